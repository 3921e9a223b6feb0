// `imperm run --flake` as a person calls it, up to where a medium would be made. No machine is started.
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { HISTORY_FILE } from '../record/index.js';
import { Cli, type CliResult, withFolder } from './cli-process.js';

const FLAKE = `path:${path.join(repositoryRoot, 'harness/nix/stub-hosts')}`;
const SYSTEMS = `{ outputs = _: { lib = {
  guest = "a stub";
  describeHost = import ./nix/lib/describe-host.nix;
  mkIso = contents: throw "no medium of \${toString (builtins.length contents)} paths here";
}; }; }`;

interface Place {
  readonly folder: string;
  readonly reports: string;
  readonly run: (...words: readonly string[]) => Promise<CliResult>;
}

const withPlace = (work: (place: Place) => Promise<void>): Promise<void> =>
  withFolder(async (folder) => {
    const systems = path.join(folder, 'systems');
    await mkdir(systems);
    await cp(path.join(repositoryRoot, 'nix'), path.join(systems, 'nix'), { recursive: true });
    await writeFile(path.join(systems, 'flake.nix'), SYSTEMS);
    const reports = path.join(folder, 'reports');
    await work({
      folder,
      reports,
      run: (...words) =>
        new Cli(
          [
            ...['run', ...words, '--systems-flake', `path:${systems}`],
            ...['--reports', reports, '--accel', 'tcg'],
          ],
          { IMPERM_NIX_STORE: path.join(folder, 'store') },
        ).result,
    });
  });

t.test('what does not go together on the command line', (t) =>
  withPlace(async ({ run }) => {
    const cases: (readonly [readonly string[], RegExp])[] = [
      [
        ['btrfs-luks-rollback', '--flake', FLAKE],
        /--flake tests a host of that flake, and no other scenario/,
      ],
      [['--all', '--flake', FLAKE], /--flake tests a host of that flake/],
      [['--guest', 'nixos', '--install', 'x.sh'], /--install is for --flake/],
      [['x.yaml', '--flake', FLAKE, '--install', 'x.sh'], /x\.yaml has one/],
    ];
    for (const [words, message] of cases) t.match(await run(...words), { exitCode: 2, stderr: message });
  }),
);

t.test('a host that is not there, or that nothing installs, costs nobody a run', (t) =>
  withPlace(async ({ run, reports }) => {
    t.match(await run('--flake', `${FLAKE}#tmpsf`), {
      exitCode: 2,
      stderr: /has no host "tmpsf" .*\n.*tmpfs\?/,
    });
    t.match(await run('--flake', `${FLAKE}#kept`), {
      exitCode: 2,
      stderr: /kept has no disko .*\n.*--install/,
    });
    t.match(await run('--flake', `${FLAKE}#kept`, '--install', '/nowhere'), {
      exitCode: 2,
      stderr: /Cannot read the install script \/nowhere: ENOENT/,
    });
    const wrong = await run('--flake', `${FLAKE}#wrong`);
    t.match(wrong, { exitCode: 69, stderr: /a mistake of somebody else/ });
    await t.rejects(readdir(reports), { code: 'ENOENT' });
  }),
);

t.test('the scenario lies in the folder of the run, and can be run again when it is edited', (t) =>
  withPlace(async ({ folder, run, reports }) => {
    const script = path.join(folder, 'install.sh');
    await writeFile(script, '#!/bin/bash\necho "mine: $DISK"\n');
    const first = await run('--flake', `${FLAKE}#tmpfs`, '--install', script);
    t.match(first, { exitCode: 69, stderr: /no medium of 1 paths here/ });
    t.match(first.stderr, /\/srv\/share is nfs: it is not looked at\./, 'warnings are shown');
    const [id = ''] = (await readdir(reports)).filter((name) => name !== 'latest' && name !== HISTORY_FILE);
    const text = await readFile(path.join(reports, id, 'tmpfs.yaml'), 'utf8');
    t.match(text, /^# Made by imperm from the host tmpfs of /);
    t.match(text, /echo "mine: \$DISK"/);

    const edited = path.join(folder, 'edited.yaml');
    await writeFile(edited, text.replace(/^timeout: .*$/m, 'timeout: soon'));
    t.match(await run('--flake', `${FLAKE}#tmpfs`, edited), {
      exitCode: 2,
      stderr: /edited\.yaml:\d+:\d+: timeout/,
    });
    await writeFile(edited, text.replace(/^timeout: .*$/m, 'timeout: 2h'));
    t.match(await run('--flake', `${FLAKE}#rollback`, edited), {
      exitCode: 69,
      stderr: /no medium of 2 paths here/,
    });
  }),
);

// A machine that was kept is opened again: its disk as the run left it, and nothing left behind.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../../core/index.js';
import { Cli, readOnlyRecord, withFolder } from '../cli-process.js';

/** The shortest run that has something to look at: it ends in its install. */
function renderScenario(folder: string): string {
  const parent = path.join(repositoryRoot, 'scenarios/tmpfs-luks-ext4/scenario.yaml');
  return `imperm: 1
title: an install that gives up half-way
extends: ${path.relative(folder, parent)}
install: install.sh
`;
}
const INSTALL = `#!/usr/bin/env bash
set -eu
sgdisk --new=1:0:+8M --change-name=1:half-way "$DISK"
exit 3
`;
/** Also whether the passphrase is there, without telling it. */
const LOOK =
  'lsblk -no PARTLABEL /dev/vda; wc -c </run/imperm/luks-passphrase; sgdisk -c 1:$NAME /dev/vda >&2; exit 7';

t.test('imperm run --keep, and imperm shell --installer --command', (t) =>
  withFolder(async (folder) => {
    const reports = path.join(folder, 'reports');
    const workDir = path.join(folder, 'w');
    const env = { IMPERM_WORK: workDir };
    await mkdir(path.join(folder, 'half'));
    await writeFile(path.join(folder, 'half/scenario.yaml'), renderScenario(path.join(folder, 'half')));
    await writeFile(path.join(folder, 'half/install.sh'), INSTALL, { mode: 0o755 });
    const file = path.join(folder, 'half/scenario.yaml');
    const run = await new Cli(['run', file, '--once', '--keep', '--reports', reports], env).result;
    t.equal(run.exitCode, 69, run.stderr);
    const record = await readOnlyRecord(reports);
    const [variant] = record.variants;
    t.equal(variant?.error?.code, 'INSTALL_FAILED');
    const kept = path.join(reports, record.run, variant?.kept?.folder ?? 'none');
    t.match(run.stdout, new RegExp(`npx imperm shell .*${record.run} half`));
    t.strictSame(await readdir(workDir), [], 'nothing but what was kept');
    t.equal((await stat(path.join(kept, 'secrets.json'))).mode & 0o777, 0o600);
    const secrets = JSON.parse(await readFile(path.join(kept, 'secrets.json'), 'utf8')) as {
      passphrase: string;
    };
    t.notMatch(`${run.stdout}${run.stderr}${JSON.stringify(record)}`, secrets.passphrase);

    const look = (name: string, ...more: string[]): Cli['result'] => {
      const command = `NAME=${name}; ${LOOK}`;
      return new Cli(['shell', '--installer', '--reports', reports, '--command', command, ...more], env)
        .result;
    };
    const expected = (label: string): string => `\n${label}\n${String(secrets.passphrase.length)}\n`;
    const first = await look('for-good', '--write');
    t.equal(first.exitCode, 7, first.stderr);
    t.equal(first.stdout, expected('half-way'), 'the disk as the install left it');
    const second = await look('thrown-away');
    t.equal(second.stdout, expected('for-good'), '--write has changed it');
    const third = await look('x');
    t.equal(third.stdout, expected('for-good'), 'without --write nothing does');
    t.strictSame(await readdir(workDir), []);
  }),
);

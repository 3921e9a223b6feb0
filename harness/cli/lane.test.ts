// What NixOS declines, as the command line tells it: declared or not. A flake of a few lines says what NixOS would; no
// machine is started.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Cli, readOnlyRecord, withFolder } from './cli-process.js';

/** `declared` has what NixOS declines there; `other` does not; nothing is in `empty`. */
const FLAKE = `{ outputs = _: { lib = {
  guest = "nixos";
  laneNames = [ "main" "declared" "empty" "other" ];
  expectedRefusals = { document, lane }:
    if lane == "empty" then { }
    else builtins.mapAttrs (_: _: if lane == "main" then [ ] else [ "This module cannot be used" ]) document.systems;
  mkSystems = { document, lane }: builtins.mapAttrs (_: _: {
    config.system.build.toplevel = throw ''
      Failed assertions:
      - \${if lane == "declared" then "This module cannot be used with scripted initrd." else "Something else."}
    '';
  }) document.systems;
}; }; }`;

t.test('a configuration that NixOS declines', (t) =>
  withFolder(async (folder) => {
    const flake = path.join(folder, 'flake');
    await mkdir(flake);
    await writeFile(path.join(flake, 'flake.nix'), FLAKE);
    const run = async (lane: string) => {
      const reports = path.join(folder, lane);
      const words = ['run', 'btrfs-luks-rollback', '--once', '--guest', 'nixos', '--lane', lane];
      const options = ['--systems-flake', `path:${flake}`, '--reports', reports, '--accel', 'tcg'];
      const result = await new Cli([...words, ...options], { IMPERM_NIX_STORE: path.join(folder, 'store') })
        .result;
      return { ...result, variant: (await readOnlyRecord(reports)).variants[0] };
    };
    const declared = await run('declared');
    t.equal(declared.exitCode, 0, declared.stderr);
    t.match(declared.variant, { verdict: 'known-bug', guest: 'nixos, lane declared', boots: [] });
    t.match(declared.variant?.reason, /^NixOS has to decline it in the lane declared: This module cannot/);
    t.match(declared.stdout.replaceAll(/\s+/g, ' '), /On real NixOS, of 1 variant: 0 evaluated and built/);

    for (const lane of ['other', 'main']) {
      const { exitCode, variant } = await run(lane);
      t.equal(exitCode, 1, lane);
      t.match(variant, { verdict: 'fail' }, lane);
      t.match(
        variant?.checks.find(({ id }) => id === 'evaluates'),
        { status: 'fail', found: /^NixOS declines the configuration/, evidence: [/^- Something else\./] },
        'in its own words',
      );
    }
    const empty = await run('empty');
    t.equal(empty.exitCode, 0);
    t.match(empty.variant, { verdict: 'skip', reason: 'the lane empty does not have this system' });

    const wrong = await new Cli(
      [
        'run',
        '--once',
        '--guest',
        'nixos',
        '--lane',
        'mian',
        '--systems-flake',
        `path:${flake}`,
        '--reports',
        path.join(folder, 'wrong'),
      ],
      { IMPERM_NIX_STORE: path.join(folder, 'store') },
    ).result;
    t.match(wrong, {
      exitCode: 2,
      stderr: /There is no lane "mian"[\s\S]*The lanes are: declared, empty, main/,
    });
  }),
);

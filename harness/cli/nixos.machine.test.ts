// The driver for NixOS on real machines, as far as it can be seen without NixOS: everything that it meets has NixOS's
// interface and is made of Debian packages. No line of the driver is left out; no system that it installs is NixOS.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { makeContract } from '../nix/index.js';
import { loadScenario } from '../scenario/index.js';
import { Cli, readOnlyRecord, withFolder } from './cli-process.js';

const LIMIT_MS = 1_200_000;
const LAYOUTS = ['btrfs-luks-rollback', 'tmpfs-luks-ext4'];

const { cacheDir, debianMirror } = readEnvironment();
const budget = Budget.start('the contract to be made', LIMIT_MS, new AbortController().signal);
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
// Some gigabytes: /tmp is often in memory.
const folder = await mkdtemp('/var/tmp/imperm-contract-');
t.teardown(async () => {
  await runProgram('chmod', ['-R', 'u+w', folder]);
  if (process.env['KEEP'] === undefined) await rm(folder, { recursive: true, force: true });
});
const scenarios = await Promise.all(
  LAYOUTS.map((name) => loadScenario(path.join(repositoryRoot, 'scenarios', name, 'scenario.yaml'))),
);
const contract = await makeContract({ toolbox, cacheDir, mirror: debianMirror, folder, scenarios, budget });

const runContract = (words: readonly string[], reports: string): Cli =>
  new Cli(
    ['run', ...words, '--once', '--guest', 'nixos', '--systems-flake', contract.flake, '--reports', reports],
    {
      IMPERM_NIX_STORE: contract.store,
    },
  );

t.test('two layouts are installed from a medium that holds them, and keep their promises', (t) =>
  withFolder(async (reports) => {
    const { exitCode, stderr, stdout } = await runContract(LAYOUTS, reports).result;
    t.equal(exitCode, 0, stderr.slice(-4000));
    const { variants } = await readOnlyRecord(reports);
    t.strictSame(
      variants.map(({ scenario, verdict, guest }) => [scenario.name, verdict, guest]).sort(),
      LAYOUTS.map((name) => [name, 'pass', "debian with NixOS's interface"]),
    );
    t.match(stdout, /debian with NixOS's interface/, 'and nobody calls it NixOS');
  }),
);

t.test('a layout is installed from an official medium, the closure copied over the only channel', (t) =>
  withFolder(async (reports) => {
    const words = ['btrfs-luks-rollback', '--medium', contract.officialIso];
    const { exitCode, stderr } = await runContract(words, reports).result;
    t.equal(exitCode, 0, stderr.slice(-4000));
    const [variant] = (await readOnlyRecord(reports)).variants;
    t.equal(variant?.verdict, 'pass');
    const log = await readFile(path.join(reports, 'latest', variant?.folder ?? '', 'deploy.log'), 'utf8');
    t.match(log, /installing the boot loader\.\.\./);
  }),
);

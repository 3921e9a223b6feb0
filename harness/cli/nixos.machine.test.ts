// The driver for NixOS on real machines, as far as it can be seen without NixOS: everything that it meets has NixOS's
// interface and is made of Debian packages. No line of the driver is left out; no system that it installs is NixOS.
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { makeContract } from '../nix/index.js';
import { loadScenario } from '../scenario/index.js';
import { Cli, readOnlyRecord } from './cli-process.js';

const LIMIT_MS = 1_200_000;
const LAYOUTS = ['btrfs-luks-rollback', 'tmpfs-luks-ext4'];
const NAME = "debian with NixOS's interface";

const { cacheDir, debianMirror } = readEnvironment();
const budget = Budget.start('the contract to be made', LIMIT_MS, new AbortController().signal);
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
// Some gigabytes: /tmp is often in memory.
const folder = await mkdtemp('/var/tmp/imperm-contract-');
t.teardown(async () => {
  await runProgram('chmod', ['-R', 'u+w', folder]);
  await rm(folder, { recursive: true, force: true });
});
const fileOf = (name: string): string => path.join(repositoryRoot, 'scenarios', name, 'scenario.yaml');
/** The other kind of stage 1, with its other prompt and its other evidence; two boots show them. */
const SCRIPTED = path.join(folder, 'scripted.yaml');
await writeFile(
  SCRIPTED,
  `imperm: 1
title: Rolled back in scripted stage 1, installed from an official medium
extends: ${path.relative(folder, fileOf('btrfs-luks-rollback'))}
matrix: { stage1: [scripted], disk: [nvme], sectorSize: [512], luks: [passphrase], firmware: [uefi] }
steps: [boot, reboot, power-off]
`,
);
const scenarios = await Promise.all([...LAYOUTS.map(fileOf), SCRIPTED].map((file) => loadScenario(file)));
const contract = await makeContract({ toolbox, cacheDir, mirror: debianMirror, folder, scenarios, budget });

// What is kept of these media is of no use to anybody, and goes with them.
const ownCache = path.join(folder, 'cache');
await mkdir(ownCache);
for (const name of await readdir(cacheDir))
  if (!name.endsWith('.lock')) await symlink(path.join(cacheDir, name), path.join(ownCache, name));

function startRun(reports: string, words: readonly string[]): Cli['result'] {
  return new Cli(
    ['run', ...words, '--once', '--guest', 'nixos', '--systems-flake', contract.flake, '--reports', reports],
    { IMPERM_NIX_STORE: contract.store, IMPERM_CACHE: ownCache },
  ).result;
}

// Both at once: each waits for its machines much of the time.
const [ofOwn, ofOfficial] = [path.join(folder, 'own-reports'), path.join(folder, 'official-reports')];
const own = startRun(ofOwn, LAYOUTS);
const official = startRun(ofOfficial, [SCRIPTED, '--medium', contract.officialIso]);

t.test('two layouts are installed from a medium that holds them, and keep their promises', async (t) => {
  const { exitCode, stderr, stdout } = await own;
  t.equal(exitCode, 0, stderr.slice(-4000));
  const { variants } = await readOnlyRecord(ofOwn);
  t.strictSame(
    variants.map(({ scenario, verdict, guest }) => [scenario.name, verdict, guest]).sort(),
    LAYOUTS.map((name) => [name, 'pass', NAME]),
  );
  for (const { folder: evidence } of variants) {
    const log = await readFile(path.join(ofOwn, 'latest', evidence, 'deploy.log'), 'utf8');
    t.match(log, /^copying path '\/nix\/store\/\w+-nixos-system-/m, "from the medium's store to the disk's");
  }
  t.match(stdout.replaceAll(/\s+/g, ' '), `Guest: ${NAME}.`, 'nobody calls it NixOS');
});

t.test(
  'a layout is installed from an official medium, the closure copied over the only channel',
  async (t) => {
    const { exitCode, stderr } = await official;
    t.equal(exitCode, 0, stderr.slice(-4000));
    const [variant] = (await readOnlyRecord(ofOfficial)).variants;
    t.match(variant, { verdict: 'pass', guest: NAME, axes: { stage1: 'scripted' } });
    const log = await readFile(path.join(ofOfficial, 'latest', variant?.folder ?? '', 'deploy.log'), 'utf8');
    t.notMatch(log, /copying path/, 'it was on the disk when nixos-install began');
    t.match(log, /installing the boot loader\.\.\./);
  },
);

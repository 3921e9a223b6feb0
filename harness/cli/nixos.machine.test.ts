// The driver for NixOS on real machines, as far as it can be seen without NixOS: everything that it meets has NixOS's
// interface and is made of Debian packages. No line of the driver is left out; no system that it installs is NixOS.
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { makeContract } from '../nix/index.js';
import { loadScenario } from '../scenario/index.js';
import type { VariantRecord } from '../record/index.js';
import { Cli, readOnlyRecord } from './cli-process.js';

const LIMIT_MS = 1_200_000;
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
/** What each medium installs. The layouts themselves are proved elsewhere; two boots show that the driver did its work. */
const LAYOUTS = {
  // Its system is that of the host of somebody's own.
  iso: { of: 'btrfs-luks-rollback', stage1: 'systemd', disk: 'virtio' },
  netboot: { of: 'tmpfs-luks-ext4', stage1: 'systemd', disk: 'nvme' },
  // The other kind of stage 1, with its other prompt and its other evidence.
  official: { of: 'btrfs-luks-rollback', stage1: 'scripted', disk: 'nvme' },
} as const;
type Medium = keyof typeof LAYOUTS;

/** The scenario's file: one variant of a layout, in two boots. */
async function writeScenario(name: Medium): Promise<string> {
  const { of, stage1, disk } = LAYOUTS[name];
  const base = path.join(repositoryRoot, 'scenarios', of, 'scenario.yaml');
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(
    file,
    `imperm: 1
title: ${of}, installed from the medium ${name}
extends: ${path.relative(folder, base)}
matrix: { stage1: [${stage1}], disk: [${disk}], sectorSize: [512], luks: [passphrase], firmware: [uefi] }
steps: [boot, reboot, power-off]
`,
  );
  return file;
}

const files = {
  iso: await writeScenario('iso'),
  netboot: await writeScenario('netboot'),
  official: await writeScenario('official'),
};
const scenarios = await Promise.all(Object.values(files).map((file) => loadScenario(file)));
const contract = await makeContract({ toolbox, cacheDir, mirror: debianMirror, folder, scenarios, budget });

// What is kept of these media is of no use to anybody, and goes with them.
const ownCache = path.join(folder, 'cache');
await mkdir(ownCache);
for (const name of await readdir(cacheDir))
  if (!name.endsWith('.lock')) await symlink(path.join(cacheDir, name), path.join(ownCache, name));

function startRun(name: Medium, words: readonly string[]): Cli['result'] {
  const reports = path.join(folder, name);
  return new Cli(
    ['run', ...words, '--once', '--guest', 'nixos', '--systems-flake', contract.flake, '--reports', reports],
    { IMPERM_NIX_STORE: contract.store, IMPERM_CACHE: ownCache },
  ).result;
}

// All at once: each waits for its machine a good part of the time.
const runs = {
  iso: startRun('iso', ['--flake', contract.host]),
  netboot: startRun('netboot', [files.netboot, '--medium', 'netboot']),
  official: startRun('official', [files.official, '--medium', contract.officialIso]),
};

/** The only variant of a run, and what was said when the system was installed. */
async function readRun(name: Medium): Promise<{ variant: VariantRecord; log: string; stdout: string }> {
  const { exitCode, stderr, stdout } = await runs[name];
  const reports = path.join(folder, name);
  const [variant] = (await readOnlyRecord(reports)).variants;
  if (variant === undefined || exitCode !== 0)
    throw new Error(`exit code ${String(exitCode)}:\n${stderr.slice(-4000)}\n${stdout}`);
  const log = await readFile(path.join(reports, 'latest', variant.folder, 'deploy.log'), 'utf8');
  return { variant, log, stdout };
}

const COPIED = /^copying path '\/nix\/store\/\w+-nixos-system-/m;

const TITLES = {
  iso: "a host of somebody's own flake is described, installed from a CD that holds it, and keeps what follows from its configuration",
  netboot: 'a layout is installed from a kernel with everything in its memory, and keeps its promises',
};

for (const name of ['iso', 'netboot'] as const) {
  t.test(TITLES[name], async (t) => {
    const { variant, log, stdout } = await readRun(name);
    t.match(variant, { verdict: 'pass', guest: NAME, axes: { stage1: 'systemd' } });
    t.match(log, COPIED, "from the medium's store to the disk's");
    t.match(stdout.replaceAll(/\s+/g, ' '), `Guest: ${NAME}.`, 'nobody calls it NixOS');
  });
}

t.test('what was derived from the host is what its owner would have promised', async (t) => {
  const { variant } = await readRun('iso');
  const ids = new Set(variant.checks.map(({ id }) => id));
  for (const id of [
    'root-wiped',
    'gone:/',
    'kept:/persist',
    'kept:/etc/nixos',
    'kept:/etc/machine-id',
    'rollback-order',
    'rollback-log',
    'login:itsdrike',
    'ssh-host-keys-stable',
    'generation',
    'disk-clean',
  ])
    t.ok(ids.has(id), id);
});

t.test(
  'a layout is installed from an official medium, the closure copied over the only channel',
  async (t) => {
    const { variant, log } = await readRun('official');
    t.match(variant, { verdict: 'pass', guest: NAME, axes: { stage1: 'scripted' } });
    t.notMatch(log, COPIED, 'it was on the disk when nixos-install began');
    t.match(log, /installing the boot loader\.\.\./);
  },
);

// The driver for NixOS on real machines, as far as it can be seen without NixOS: everything that it meets has NixOS's
// interface and is made of Debian packages. No line of the driver is left out; no system that it installs is NixOS.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';

import t from 'tap';

import { Budget, readEnvironment, Redactor, repositoryRoot } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { makeContract, STORE_SERVER } from '../nix/index.js';
import { openInstaller, prepareRun } from '../run/index.js';
import { loadScenario } from '../scenario/index.js';
import { openTarget } from '../target/index.js';
import type { VariantRecord } from '../record/index.js';
import { Cli, readOnlyRecord } from './cli-process.js';

const LIMIT_MS = 1_200_000;
const TRANSPORT_LIMIT_MS = 180_000;
const NAME = "debian with NixOS's interface";

const { cacheDir, debianMirror } = readEnvironment();
const budget = Budget.start('the contract to be made', LIMIT_MS, new AbortController().signal);
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
// Some gigabytes: /tmp is often in memory.
const folder = await mkdtemp('/var/tmp/imperm-contract-');
// However this file ends: when making the contract fails there is no test yet that could be torn down.
process.once('exit', () => {
  spawnSync('chmod', ['-R', 'u+w', folder]);
  rmSync(folder, { recursive: true, force: true });
});
/** The layouts themselves are proved elsewhere; two boots show that the driver did its work. */
const STEPS = '[boot, reboot, power-off]';
const MATRIX = 'sectorSize: [512], luks: [passphrase], firmware: [uefi]';
const SCENARIOS = {
  // Its system is that of the host of somebody's own.
  iso: { of: 'btrfs-luks-rollback', matrix: `stage1: [systemd], disk: [virtio], ${MATRIX}`, steps: STEPS },
  netboot: { of: 'tmpfs-luks-ext4', matrix: `stage1: [systemd], disk: [nvme], ${MATRIX}`, steps: STEPS },
  // Nothing is installed.
  image: {
    of: 'btrfs-image',
    matrix: 'stage1: [systemd], disk: [virtio]',
    steps: '[boot, { run: collect-garbage.sh }, reboot, power-off]',
  },
  // The other kind of stage 1, with its other prompt and its other evidence.
  official: {
    of: 'btrfs-luks-rollback',
    matrix: `stage1: [scripted], disk: [nvme], ${MATRIX}`,
    steps: STEPS,
  },
} as const;
type Name = keyof typeof SCENARIOS;
type Run = 'iso' | 'netboot' | 'official';

/** The scenario's file: one variant of a layout. */
async function writeScenario(name: Name): Promise<string> {
  const { of, matrix, steps } = SCENARIOS[name];
  const base = path.join(repositoryRoot, 'scenarios', of);
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(
    file,
    `imperm: 1
title: ${of}, as the test of the driver has it (${name})
extends: ${path.relative(folder, path.join(base, 'scenario.yaml'))}
matrix: { ${matrix} }
steps: ${steps}
`,
  );
  return file;
}

const files = {
  iso: await writeScenario('iso'),
  netboot: await writeScenario('netboot'),
  image: await writeScenario('image'),
  official: await writeScenario('official'),
};
await cp(
  path.join(repositoryRoot, 'scenarios/btrfs-image/collect-garbage.sh'),
  path.join(folder, 'collect-garbage.sh'),
);
const scenarios = await Promise.all(Object.values(files).map((file) => loadScenario(file)));
const contract = await makeContract({ toolbox, cacheDir, mirror: debianMirror, folder, scenarios, budget });

// What is kept of these media is of no use to anybody, and goes with them.
const ownCache = path.join(folder, 'cache');
await mkdir(ownCache);
for (const name of await readdir(cacheDir))
  if (!name.endsWith('.lock')) await symlink(path.join(cacheDir, name), path.join(ownCache, name));

function startRun(name: Run, words: readonly string[]): Cli['result'] {
  const reports = path.join(folder, name);
  return new Cli(
    ['run', ...words, '--once', '--guest', 'nixos', '--systems-flake', contract.flake, '--reports', reports],
    { IMPERM_NIX_STORE: contract.store, IMPERM_CACHE: ownCache },
  ).result;
}

// All at once: each waits for its machine a good part of the time.
const runs = {
  iso: startRun('iso', ['--flake', contract.host]),
  netboot: startRun('netboot', [files.netboot, files.image, '--medium', 'netboot']),
  official: startRun('official', [files.official, '--medium', contract.officialIso]),
};

/** The variant of a scenario. */
async function readRun(
  name: Name,
  run: Run = name === 'image' ? 'netboot' : name,
): Promise<{ variant: VariantRecord; stdout: string }> {
  const { exitCode, stderr, stdout } = await runs[run];
  const reports = path.join(folder, run);
  const { variants } = await readOnlyRecord(reports);
  // That of the own host has a title of its own.
  const variant =
    variants.length === 1
      ? variants[0]
      : variants.find(({ scenario }) => scenario.title.endsWith(`(${name})`));
  if (variant === undefined || exitCode !== 0)
    throw new Error(`exit code ${String(exitCode)}:\n${stderr.slice(-4000)}\n${stdout}`);
  return { variant, stdout };
}

/** What was said when the system was installed. */
async function readInstallation(name: Run, { folder: ofVariant }: VariantRecord): Promise<string> {
  return readFile(path.join(folder, name, 'latest', ofVariant, 'deploy.log'), 'utf8');
}

const COPIED = /^copying path '\/nix\/store\/\w+-nixos-system-/m;

const TITLES = {
  iso: "a host of somebody's own flake is described, installed from a CD that holds it, and keeps what follows from its configuration",
  netboot: 'a layout is installed from a kernel with everything in its memory, and keeps its promises',
};

for (const name of ['iso', 'netboot'] as const) {
  t.test(TITLES[name], async (t) => {
    const { variant, stdout } = await readRun(name);
    t.match(variant, { verdict: 'pass', guest: NAME, axes: { stage1: 'systemd' } });
    t.match(await readInstallation(name, variant), COPIED, "from the medium's store to the disk's");
    t.match(stdout.replaceAll(/\s+/g, ' '), `Guest: ${NAME}.`, 'nobody calls it NixOS');
  });
}

t.test('a disk image is made of a closure, and its first boot completes it', async (t) => {
  const { variant } = await readRun('image');
  t.match(variant, { verdict: 'pass', guest: NAME });
  const phases = variant.phases.map(({ name }) => name);
  t.ok(phases.includes('make-image') && !phases.includes('install'), 'nothing was installed');
  const ids = new Set(variant.checks.map(({ id }) => id));
  for (const id of ['image-subvolumes', 'image-owners', 'grown', 'registered', 'gone:/'])
    t.ok(ids.has(id), id);
});

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
    const { variant } = await readRun('official');
    const log = await readInstallation('official', variant);
    t.match(variant, { verdict: 'pass', guest: NAME, axes: { stage1: 'scripted' } });
    t.notMatch(log, COPIED, 'it was on the disk when nixos-install began');
    t.match(log, /installing the boot loader\.\.\./);
  },
);

/** Two store paths, the second with the first inside: Nix itself builds them, and finds what needs what. */
const SYNTHETIC = `let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  needed = make "needed" "echo Synthetic, as it was built >$out";
in
make "synthetic" ''
  /bin/mkdir -p $out/bin
  { echo "#!/bin/sh"; echo "exec /bin/cat \${needed}"; } >$out/bin/say
  /bin/chmod +x $out/bin/say
  /bin/ln -s say $out/bin/tell
''`;

/** Stands where ssh to the other machine would: the machines have no network, and each its own channel to us. */
const RELAY = `#!/bin/sh
cat </root/back &
exec cat >/root/forth
`;

t.test('a closure goes from one machine into another, and no byte of it can change on the way', async (t) => {
  await runs.netboot;
  const part = Budget.start(
    'a closure to go from machine to machine',
    TRANSPORT_LIMIT_MS,
    new AbortController().signal,
  );
  const environment = { ...readEnvironment(), cacheDir: ownCache, nixStore: contract.store };
  const { host, guest } = await prepareRun({
    environment,
    target: await openTarget({ kind: 'qemu' }, { workDir: environment.workDir, budget: part }),
    tools: 'private',
    accelerator: 'auto',
    signal: new AbortController().signal,
    emit: () => undefined,
    guest: { kind: 'nixos', medium: 'netboot', systemsFlake: contract.flake },
    scenarios: [await loadScenario(files.netboot), await loadScenario(files.image)],
  });
  const open = (name: string): ReturnType<typeof openInstaller> =>
    openInstaller({
      ...{ host, installer: guest.installer, budget: part, redactor: new Redactor() },
      consoleFile: path.join(folder, `${name}-console.log`),
      journalFile: path.join(folder, `${name}-journal.log`),
      onConsoleLine: () => undefined,
      onCleanupError: () => undefined,
    });
  const from = await open('from');
  t.teardown(() => from.machine.stop());
  const to = await open('to');
  t.teardown(() => to.machine.stop());
  await from.shell.run('cat >/tmp/synthetic.nix', part, { input: SYNTHETIC });
  await from.shell.run('cd /root; mkfifo forth back; cat >relay; chmod +x relay', part, { input: RELAY });
  const built = 'NIX_REMOTE=local nix-build --quiet --no-out-link /tmp/synthetic.nix';
  const top = (await from.shell.run(built, part)).trim();
  const listed = 'nix-store --query --requisites';
  const described = (store: string): string =>
    `export NIX_REMOTE='${store}'; for each in $(${listed} ${top} | sort); do echo "$each $(nix-store --query --hash "$each") $(nix-store --query --references "$each" | xargs)"; done`;
  const copy = async (alter: (chunk: Buffer) => Buffer): Promise<{ exitCode: number; said: string }> => {
    const server = await to.shell.stream(STORE_SERVER, part);
    const relay = await from.shell.stream('exec 2>/dev/null; cat </root/forth & exec cat >/root/back', part);
    relay
      .pipe(
        new Transform({
          transform: (chunk: Buffer, _encoding, done) => {
            done(null, alter(chunk));
          },
        }),
      )
      .pipe(server)
      .pipe(relay);
    const { exitCode, stdout } = await from.shell.execute(
      `nix copy --no-check-sigs --to 'ssh-ng://localhost?remote-program=/root/relay' ${top} 2>&1`,
      part,
    );
    return { exitCode, said: stdout.toString() };
  };

  let isChanged = false;
  const change = (chunk: Buffer): Buffer => {
    const at = chunk.indexOf('Synthetic, as');
    if (at < 0) return chunk;
    isChanged = true;
    return Buffer.concat([chunk.subarray(0, at), Buffer.from('s'), chunk.subarray(at + 1)]);
  };
  t.match(await copy(change), { exitCode: 1, said: /hash mismatch/ });
  t.ok(isChanged, 'a letter was changed on the way');
  const before = await to.shell.execute(
    `NIX_REMOTE='local?root=/mnt' nix-store --check-validity ${top}`,
    part,
  );
  t.not(before.exitCode, 0, 'and the other machine has nothing of it');

  t.match(await copy((chunk) => chunk), { exitCode: 0 });
  const expected = await from.shell.run(described('local'), part);
  t.match(expected, /-synthetic sha256:\w+ \S+-needed\n/, 'one path needs the other');
  t.match(expected, /-needed sha256:\w+ \n/, 'which needs nothing');
  t.equal(await to.shell.run(described('local?root=/mnt'), part), expected);
  await to.shell.run("NIX_REMOTE='local?root=/mnt' nix-store --verify --check-contents", part);
  const said = await to.shell.run(`mount --bind /mnt/nix/store /nix/store && ${top}/bin/tell`, part);
  t.equal(said.trim(), 'Synthetic, as it was built');
});

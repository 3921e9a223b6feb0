// The target `hardware` on a machine that the harness reaches by SSH alone, with an NVMe disk among others whose serial
// numbers differ in one digit, a power switch and a console that are commands, and the installer of `imperm image`.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { BenchMachine } from './bench-machine.js';
import { BIN, Cli, type CliResult, readOnlyRecord } from './cli-process.js';

const LIMIT_MS = 1_500_000;
/** Told apart by one digit, or by one that is missing. */
const [MAIN, TWIN, PREFIX] = ['S64DNF0R123456', 'S64DNF0R123457', 'S64DNF0R12345'] as const;

const budget = Budget.start('the real machine', LIMIT_MS, new AbortController().signal);
const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-real-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const { cacheDir, debianMirror } = readEnvironment();
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });

await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(folder, 'key')], { budget });
const image = await new Cli([
  'image',
  path.join(folder, 'installer.img'),
  '--authorized-key',
  path.join(folder, 'key.pub'),
]).result;
const hostKey = /hostKey: (ssh-ed25519 \S+)/.exec(image.stdout)?.[1] ?? 'none';

const bench = await BenchMachine.make(
  {
    folder,
    toolbox,
    memoryMiB: 3072,
    disks: [
      { serial: TWIN, sizeMiB: 64 },
      { serial: MAIN, sizeMiB: 12_288 },
      { serial: PREFIX, sizeMiB: 64 },
    ],
  },
  budget,
);
t.teardown(() => bench[Symbol.asyncDispose]());
for (const serial of [TWIN, PREFIX]) await writeFile(bench.diskFile(serial), randomBytes(64 * 2 ** 20));
bench.powerOn();

interface Change {
  readonly disk?: string;
  readonly name?: string;
  readonly console?: string;
  readonly power?: string;
}

async function writeHost(change: Change = {}): Promise<string> {
  const { console, power } = { ...bench.commands, ...change };
  const { disk = bench.describeDisk(MAIN), name = 'main' } = change;
  const file = path.join(folder, 'host.yaml');
  await writeFile(
    file,
    `imperm-host: 1
ssh: { address: 127.0.0.1, port: ${String(bench.sshPort)}, key: key, hostKey: ${hostKey} }
system: { port: ${String(bench.systemPort)} }
timeScale: 10
disks: { ${name}: ${disk} }
${console}${power}`,
  );
  return file;
}

async function imperm(words: readonly string[], change: Change = {}): Promise<CliResult> {
  return new Cli([...words, '--target', 'hardware', '--host', await writeHost(change)]).result;
}

const digests = (): Promise<string[]> =>
  Promise.all(
    [TWIN, PREFIX].map(async (serial) =>
      createHash('sha256')
        .update(await readFile(bench.diskFile(serial)))
        .digest('hex'),
    ),
  );
const blocks = async (): Promise<number> => (await stat(bench.diskFile(MAIN))).blocks;
const untouched = await digests();

t.test('the installer of `imperm image` answers with the key that was made for it', async (t) => {
  t.match(image, { exitCode: 0, stdout: /keep it private[^]*dd if=.*installer\.img/ });
  const file = await writeHost();
  const checked = await budget.poll(async () => {
    const result = await new Cli(['hardware', 'check', file]).result;
    return result.exitCode === 0 ? result : undefined;
  }, 500);
  t.match(checked.stdout, new RegExp(`allowed  main: /dev/nvme\\dn1, QEMU NVMe Ctrl, ${MAIN}, `));
});

t.test('what cannot be on this machine is refused before anything is written', async (t) => {
  const skips = async (scenario: string, change: Change, why: RegExp, more: string[] = []): Promise<void> => {
    const { stdout } = await imperm(['plan', scenario, '--once', ...more], change);
    t.match(stdout, why);
  };
  const [rollback, hibernate] = ['btrfs-luks-rollback', 'btrfs-luks-hibernate'] as const;
  t.match((await imperm(['plan', rollback, '--once'])).stdout, /disk=nvme[^]*cut the power/);
  await skips(rollback, { console: '' }, /skipped, the machine of .* has no `console` in its host file/);
  await skips(rollback, { power: '' }, /skipped, the machine of .* has no `power` in its host file/);
  await skips(
    rollback,
    { name: 'other' },
    /skipped, it has the disk "main", and the host file allows no disk/,
  );
  await skips(rollback, {}, /skipped, the disks of the machine of .* are what they are/, [
    '--variant',
    'disk=virtio',
  ]);
  const tooSmall = bench.describeDisk(MAIN).replace(/size: \d+/, 'size: 1000000000');
  await skips(rollback, { disk: tooSmall }, /skipped, its disk "main" has 12288 MiB, and .* only 953 MiB/);
  await skips(hibernate, {}, /skipped, .* sleeping system go on on copies only/);
  await skips(rollback, {}, /skipped, .* NixOS on real machines is not supported yet/, ['--guest', 'nixos']);
});

t.test('who has not confirmed, or another disk, or a disk that is another', async (t) => {
  const reports = ['--reports', path.join(folder, 'refused')];
  const run = (words: string[], change?: Change): Promise<CliResult> =>
    imperm(['run', 'btrfs-luks-rollback', '--once', ...reports, ...words], change);
  const before = await blocks();
  t.match(await run([]), { exitCode: 2, stderr: /Nobody has confirmed[^]*--erase S64DNF0R123456/ });
  t.match(await run(['--erase', TWIN]), {
    exitCode: 2,
    stderr: /overwrites no disk with that serial number[^]*It overwrites S64DNF0R123456/,
  });
  t.match(await run(['--erase', MAIN], { disk: bench.describeDisk(MAIN).replace('Ctrl', 'Control') }), {
    exitCode: 69,
    stderr: /does not write to the machine[^]*is another model: QEMU NVMe Ctrl, not QEMU NVMe Control/,
  });
  t.match(await run(['--erase', MAIN], { power: "power: { off: ['false'] }\n" }), {
    exitCode: 2,
    stderr: /power\.on is missing/,
  });
  // At a terminal it is asked for, and what is typed is compared.
  const words = ['run', 'btrfs-luks-rollback', '--once', '--target', 'hardware', '--host', await writeHost()];
  const typed = await runProgram(
    'script',
    ['-q', '-e', '-c', [process.execPath, BIN, ...words, ...reports].join(' '), '/dev/null'],
    { input: `${TWIN}\n`, okExitCodes: [0, 2], budget, env: { CI: '' } },
  );
  t.equal(typed.exitCode, 2);
  t.match(typed.stdout, /allowed {2}main: [^]*Type its serial number[^]*Nothing was written\./);
  t.equal(await blocks(), before, 'nothing was written');
  t.strictSame(await digests(), untouched);
});

t.test('a layout keeps its promises, and the other disks stay as they were', async (t) => {
  const reports = path.join(folder, 'reports');
  const { exitCode, stdout, stderr } = await imperm([
    ...['run', 'btrfs-luks-rollback', '--once', '--erase', MAIN, '--reports', reports],
  ]);
  t.equal(exitCode, 0, stderr + stdout);
  const record = await readOnlyRecord(reports);
  const [variant] = record.variants;
  t.match(variant, { verdict: 'pass', target: 'hardware', axes: { disk: 'nvme' } });
  t.match(record.host, { accelerator: 'none', qemu: /QEMU Standard PC/ });
  t.strictSame(
    variant?.boots.map(({ how }) => how),
    ['power-on', 'reboot', 'power-cut'],
  );
  t.equal(new Set(variant?.boots.map(({ bootId }) => bootId)).size, 3);
  t.equal(bench.powerOns, 2, 'its power was cut once');
  t.strictSame(await digests(), untouched, 'nothing was written to the others');
  const evidence = await readAll(reports);
  t.ok(evidence.includes('imperm.host-key:********'), 'the kernel shows its command line');
  t.notOk(/PRIVATE KEY|imperm\.host-key:[A-Za-z0-9]/.test(evidence), 'no secret is told');
  t.match(await new Cli(['hardware', 'check', await writeHost()]).result, {
    exitCode: 0,
    stdout: /An install would overwrite what is on it now:[^]*crypto_LUKS/,
  });
});

t.test('a machine that does not come back is found in its installer, with its last journal', async (t) => {
  const reports = path.join(folder, 'broken');
  const layout = path.relative(
    folder,
    path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'),
  );
  await writeFile(
    path.join(folder, 'no-return.yaml'),
    `imperm: 1\ntitle: it does not come back\nextends: ${layout}\nsteps: [boot, { run: break.sh }, reboot, power-off]\n`,
  );
  // From then on stage 1 resets the machine.
  await writeFile(
    path.join(folder, 'break.sh'),
    "sed -i '/^options /s/$/ rd.systemd.unit=reboot.target/' /boot/loader/entries/*.conf && echo the last words | systemd-cat && journalctl --sync\n",
  );
  const { exitCode, stdout } = await imperm([
    ...['run', path.join(folder, 'no-return.yaml'), '--once', '--erase', MAIN, '--reports', reports],
  ]);
  t.equal(exitCode, 1);
  t.match(stdout, /the system comes up[^]*The machine is in its installer again/);
  const [variant] = (await readOnlyRecord(reports)).variants;
  t.match(variant, { verdict: 'fail', boots: [{ number: 1 }, { number: 2 }] });
  const [journal = ''] = (await readdir(reports, { recursive: true })).filter((name) =>
    name.endsWith('disk-journal.log'),
  );
  t.match(await readFile(path.join(reports, journal), 'utf8'), /the last words/);
  t.strictSame(await digests(), untouched);
});

/** Every text in a folder. */
async function readAll(reports: string): Promise<string> {
  const files = await readdir(reports, { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(path.join(file.parentPath, file.name), 'latin1'));
  return (await Promise.all(texts)).join('\n');
}

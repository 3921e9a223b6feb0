// The disk guard on a machine that is reached only by SSH: a real sshd, real NVMe disks with nearly the same names, and every
// kind of use that the kernel knows of a disk.
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, Redactor } from '../core/index.js';
import { openInstaller, prepareRun } from '../run/index.js';
import { makeMachineKeys, openTarget } from '../target/index.js';
import { Cli, type CliResult } from './cli-process.js';

const LIMIT_MS = 600_000;
const DISK_MIB = 128;
const MODEL = 'QEMU NVMe Ctrl';
/** Told apart by one digit. */
const [MAIN, TWIN] = ['S64DNF0R123456', 'S64DNF0R123457'] as const;

const { signal } = new AbortController();
const budget = Budget.start('the machine to be asked', LIMIT_MS, signal);
const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-hardware-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const environment = readEnvironment();
const context = await prepareRun({
  environment,
  target: await openTarget({ kind: 'qemu' }, { workDir: environment.workDir, budget }),
  tools: 'private',
  accelerator: 'auto',
  signal,
  emit: () => undefined,
  scenarios: [],
});
const { machine, shell } = await openInstaller({
  ...{ host: context.host, installer: context.guest.installer, budget, redactor: new Redactor() },
  consoleFile: path.join(folder, 'console.log'),
  journalFile: path.join(folder, 'journal.log'),
  onConsoleLine: () => undefined,
  onCleanupError: () => undefined,
});
t.teardown(() => machine.stop());
for (const name of [MAIN, TWIN]) {
  const file = path.join(folder, `${name}.raw`);
  await context.host.toolbox.run(
    'qemu-img',
    ['create', '-q', '-f', 'raw', file, `${String(DISK_MIB)}M`],
    budget,
  );
  await machine.attachDisk({ name, bus: 'nvme', file, format: 'raw' }, budget);
  await shell.run(`udevadm wait --settle --timeout=60 /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_${name}_1`, budget);
}
const run = (command: string): Promise<string> => shell.run(command, budget);
const main = (await run(`readlink -f /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_${MAIN}_1`)).trim();
const twin = (await run(`readlink -f /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_${TWIN}_1`)).trim();

// The machine has no network: each connection is an sshd of its own, at the end of the channel that there is.
const keys = makeMachineKeys();
await shell.run('umask 077; mkdir -p /run/bench; cat >/run/bench/host-key', budget, {
  input: keys.hostPrivate,
});
await shell.run('umask 077; cat >/run/bench/authorized-keys', budget, { input: `${keys.clientPublic}\n` });
await run(
  'sed "s#/run/credentials/@system/imperm.#/run/bench/#" /usr/lib/imperm/sshd_config >/run/bench/sshd_config',
);
const server = createServer((socket) => {
  socket.on('error', () => undefined);
  shell.stream('/usr/sbin/sshd -i -f /run/bench/sshd_config', budget).then(
    (stream) => {
      stream.on('error', () => socket.destroy());
      socket.pipe(stream).pipe(socket);
    },
    () => socket.destroy(),
  );
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
t.teardown(() => {
  server.close();
});
const { port } = server.address() as AddressInfo;
await writeFile(path.join(folder, 'key'), keys.clientPrivate, { mode: 0o600 });

interface Change {
  readonly hostKey?: string;
  readonly serial?: string;
  readonly model?: string;
  readonly sizeBytes?: number;
  readonly disks?: string;
}

/** What imperm says of the disk `main` of a host file. */
async function check(change: Change = {}): Promise<CliResult> {
  const { hostKey = keys.hostPublic, serial = MAIN, model = MODEL, sizeBytes = DISK_MIB * 2 ** 20 } = change;
  const { disks = `{ main: { serial: ${serial}, model: ${model}, size: ${String(sizeBytes)} } }` } = change;
  const file = path.join(folder, 'bench.yaml');
  await writeFile(
    file,
    `imperm-host: 1\nssh: { address: 127.0.0.1, port: ${String(port)}, key: key, hostKey: ${hostKey} }\ndisks: ${disks}\n`,
  );
  return new Cli(['hardware', 'check', file]).result;
}

const digest = async (name: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path.join(folder, `${name}.raw`)))
    .digest('hex');

t.test('the disk that is meant, and what is on it', async (t) => {
  const before = [await digest(MAIN), await digest(TWIN)];
  t.match(await check(), {
    exitCode: 0,
    stdout: new RegExp(`allowed  main: ${main}, ${MODEL}, ${MAIN}, 134217728 bytes`),
  });
  t.match(await check({ serial: TWIN }), { exitCode: 0, stdout: new RegExp(`allowed  main: ${twin}, `) });
  t.strictSame([await digest(MAIN), await digest(TWIN)], before, 'nothing was written');
  await run(
    `sgdisk --new=1:0:0 --change-name=1:precious ${main} && udevadm settle && mkfs.vfat -n DATA ${main}p1 && udevadm trigger --settle`,
  );
  t.match(await check(), {
    exitCode: 0,
    stdout: new RegExp(`overwrite[^]*${main}p1, 127 MiB: vfat, "DATA"`),
  });
});

t.test('another disk', async (t) => {
  const refused = async (change: Change, why: RegExp): Promise<void> => {
    const { exitCode, stdout } = await check(change);
    t.equal(exitCode, 69);
    t.match(stdout, why);
    t.notMatch(stdout, 'allowed');
  };
  await refused(
    { serial: 'S64DNF0R12345' },
    /No disk of this machine has the serial number S64DNF0R12345 of "main"/,
  );
  await refused({ model: `${MODEL} 2` }, /is another model: QEMU NVMe Ctrl, not QEMU NVMe Ctrl 2\./);
  await refused({ sizeBytes: DISK_MIB * 1_000_000 }, /another size: 134217728 bytes, not 128000000\./);
  const { stdout } = await check({ serial: 'x' });
  t.match(
    stdout,
    `  # ${twin}\n  NAME:\n    serial: "${TWIN}"\n    model: "${MODEL}"\n    size: 134217728\n`,
  );
  t.match(await check({ disks: '{}' }), {
    exitCode: 0,
    stdout: /The disks of this machine, for the host file/,
  });
});

t.test('another machine, or nobody', async (t) => {
  const { hostPublic } = makeMachineKeys();
  t.match(await check({ hostKey: hostPublic }), {
    exitCode: 69,
    stderr: /holds another host key[^]*ssh-keyscan/,
  });
  await writeFile(path.join(folder, 'key'), makeMachineKeys().clientPrivate, { mode: 0o600 });
  t.match(await check(), { exitCode: 69, stderr: /authentication methods failed[^]*ssh -i / });
  await rm(path.join(folder, 'key'));
  t.match(await check(), { exitCode: 2, stderr: /The key .*key of .*bench\.yaml cannot be read/ });
  await writeFile(path.join(folder, 'key'), keys.clientPrivate, { mode: 0o600 });
});

t.test('a disk in use, in every way', async (t) => {
  const whileIn = async (use: string, end: string, why: RegExp | string): Promise<void> => {
    await run(use);
    const { exitCode, stdout } = await check();
    await run(end);
    t.equal(exitCode, 69, use);
    t.match(stdout, why);
  };
  const part = `${main}p1`;
  await whileIn(`mount ${part} /mnt`, 'umount /mnt', `${part} is in use: mounted at /mnt.`);
  await whileIn(
    `systemd-run --quiet --unit=hidden --property=PrivateMounts=yes --property=Type=notify --property=NotifyAccess=all sh -c 'mount ${part} /mnt && systemd-notify --ready && exec sleep infinity'`,
    'systemctl stop hidden',
    `${part} is in use: mounted at /mnt.`,
  );
  await whileIn(`mkswap -q ${part} && swapon ${part}`, `swapoff ${part}`, `${part} is in use: swap.`);
  await whileIn(
    `printf secret | cryptsetup luksFormat --batch-mode --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 ${part} - && printf secret | cryptsetup open --key-file=- ${part} bench && udevadm settle`,
    'cryptsetup close bench',
    `${part} is in use: held by bench.`,
  );
  // Of the two only the first is named where mounts are listed.
  await whileIn(
    `wipefs --all --quiet ${part} ${main} ${twin} && udevadm settle && mkfs.btrfs --quiet --force ${twin} ${main} && mount ${twin} /mnt`,
    'umount /mnt',
    `${main} is in use: part of a mounted btrfs.`,
  );
  const { exitCode, stdout } = await check();
  t.equal(exitCode, 0, stdout);
});

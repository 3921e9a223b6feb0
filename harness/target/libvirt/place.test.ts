// Where a libvirt finds the files of a machine. The other host is a real sshd, of this user, that lets only us in.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, Cleanup, takeLease } from '../../core/index.js';
import { chooseAccelerator } from '../accelerator.js';
import type { MachineSpec } from '../machine-spec.js';
import type { HypervisorEvent } from '../target.js';
import { LibvirtHost, parseSshAddress, withoutQuestions } from './host.js';
import { makeLabel } from './label.js';
import { askLimits } from './limits.js';
import { MachinePlace } from './place.js';
import { makeRemoteFolder, reapRemoteFolders } from './remote-folder.js';
import { Virsh } from './virsh.js';

const SSHD = '/usr/sbin/sshd';
const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
const budget = Budget.start('the test', 60_000, new AbortController().signal);

/** Runs a sshd, and puts a client before the user's own that knows it. @returns Why there is none. */
async function startSshd(): Promise<string | undefined> {
  if (spawnSync('ssh', ['-V']).status !== 0) return 'this host has no ssh';
  if (
    !(await access(SSHD).then(
      () => true,
      () => false,
    ))
  )
    return `this host has no ${SSHD}`;
  const file = (name: string): string => path.join(dir, name);
  for (const name of ['host', 'key'])
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await writeFile(
    file('sshd_config'),
    `ListenAddress 127.0.0.1:${String(port)}\nHostKey ${file('host')}\nAuthorizedKeysFile ${file('key.pub')}
StrictModes no\nPermitRootLogin yes\nPidFile none\nUsePAM no\n`,
  );
  const hostKey = (await readFile(file('host.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(file('known_hosts'), `[127.0.0.1]:${String(port)} ${hostKey}\n`);
  await writeFile(
    file('config'),
    `Host elsewhere\n HostName 127.0.0.1\n Port ${String(port)}\n IdentityFile ${file('key')}\n IdentitiesOnly yes
 UserKnownHostsFile ${file('known_hosts')}\nHost stranger\n HostName 127.0.0.1\n Port ${String(port)}
 IdentityFile ${file('key')}\n UserKnownHostsFile /dev/null\n GlobalKnownHostsFile /dev/null
Host unwelcome\n HostName 127.0.0.1\n Port ${String(port)}\n IdentityFile ${file('host')}\n IdentitiesOnly yes
 UserKnownHostsFile ${file('known_hosts')}\n`,
  );
  await mkdir(file('bin'));
  const { stdout } = spawnSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' });
  await writeFile(file('bin/ssh'), `#!/bin/sh\nexec ${stdout.trim()} -F ${file('config')} "$@"\n`);
  await chmod(file('bin/ssh'), 0o755);
  process.env['PATH'] = `${file('bin')}:${process.env['PATH'] ?? ''}`;
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true });
  const sshd = spawn(SSHD, ['-D', '-e', '-f', file('sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => sshd.kill());
  let said = '';
  sshd.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await budget.poll(() => (said.includes('listening on') ? true : undefined), 20);
  return undefined;
}

const none = await startSshd();
const skip = none === undefined ? false : none;
const URI = 'qemu+ssh://elsewhere/system';

t.test('addresses', (t) => {
  t.equal(parseSshAddress('qemu:///system'), undefined);
  t.equal(parseSshAddress('qemu+tls://host/system'), undefined);
  t.strictSame(parseSshAddress('qemu+ssh://host/system'), { host: 'host' });
  t.strictSame(parseSshAddress('qemu+ssh://a%40b@[::1]:2222/session?keyfile=/k%20y'), {
    host: '::1',
    user: 'a@b',
    port: '2222',
    keyFile: '/k y',
  });
  t.equal(withoutQuestions('qemu:///system'), 'qemu:///system');
  t.equal(withoutQuestions('qemu+ssh://h/system'), 'qemu+ssh://h/system?no_tty=1');
  t.equal(withoutQuestions('qemu+ssh://h/system?keyfile=/k'), 'qemu+ssh://h/system?keyfile=/k&no_tty=1');
  t.end();
});

t.test('what cannot be had on another host is said before anything is made', async (t) => {
  const asked: string[] = [];
  const virsh = new Virsh(URI, (_program, args) => {
    asked.push(args.join(' '));
    return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
  });
  const facts = {
    version: '9.0.0',
    qemuVersion: '7.2.22',
    hasKvm: true,
    securityModels: [],
    diskBuses: ['virtio'],
    fileOwner: { user: 1, group: 2 },
  };
  const limits = await askLimits(virsh, facts, { folder: dir, budget });
  t.match(limits.tpm, /^libvirt 9\.0\.0 .* is on another host: a TPM/);
  t.strictSame(Object.keys(limits).sort(), ['nvme', 'tpm']);
  t.ok(
    asked.every((words) => words.includes(`${URI}?no_tty=1`)),
    'virsh asks nobody a question',
  );
  const choose = (wanted: 'auto' | 'kvm' | 'tcg'): Promise<{ kind: string; reason: string }> =>
    chooseAccelerator({ wanted, toolbox: {} as never, cacheDir: dir, workDir: dir, budget, isRemote: true });
  t.match(await choose('auto'), { kind: 'tcg', reason: /not seen from here; --accel kvm/ });
  t.match(await choose('kvm'), { kind: 'kvm', reason: /on trust/ });
});

/** Folders of machines on the other host, which has the same /var/tmp. */
async function foldersThere(): Promise<string[]> {
  return (await readdir('/var/tmp')).filter((name) => /^imperm\.\w{8}$/.test(name)).sort();
}

t.test('a host that cannot be reached is told with its reason', { skip }, async (t) => {
  const ask = (host: string): Promise<string> =>
    new LibvirtHost(`qemu+ssh://${host}/system`).run('echo', budget);
  await t.rejects(ask('stranger'), { code: 'HOST_UNFIT', message: /stranger: its host key is unknown/ });
  await t.rejects(ask('unwelcome'), { code: 'HOST_UNFIT', message: /unwelcome: it lets this user not in/ });
  await t.rejects(ask('nowhere.invalid'), {
    code: 'HOST_UNFIT',
    message: /does not get to nowhere\.invalid/,
  });
  await t.rejects(new LibvirtHost(URI).run('echo why >&2; exit 3', budget), {
    code: 'TOOL_FAILED',
    message: 'A command on elsewhere failed: why',
  });
  const odd = `a'b "c" $HOME \\ *`;
  t.equal(
    (await new LibvirtHost(URI).run(`printf %s '${odd.replaceAll("'", `'\\''`)}'`, budget)).trim(),
    odd,
  );
});

interface Opened {
  readonly place: MachinePlace;
  readonly cleanup: Cleanup;
  readonly folder: string;
  readonly events: HypervisorEvent[];
  readonly errors: unknown[];
}

async function open(workDir: string): Promise<Opened> {
  const lease = await takeLease(workDir);
  const events: HypervisorEvent[] = [];
  const errors: unknown[] = [];
  const cleanup = new Cleanup((_what, error) => errors.push(error));
  const line = (name: string): string => path.join(lease.dir, name);
  const before = await foldersThere();
  const place = await MachinePlace.open(URI, {
    lease,
    lines: { serial: line('serial'), journal: line('journal'), agent: line('agent') },
    cleanup,
    budget,
    onEvent: (event) => events.push(event),
    label: await makeLabel(lease.dir),
  });
  const folder = (await foldersThere()).find((name) => !before.includes(name)) ?? '';
  return { place, cleanup, folder: `/var/tmp/${folder}`, events, errors };
}

t.test('what a machine writes is away while it runs, and comes back', { skip }, async (t) => {
  const { place, cleanup, folder, errors, events } = await open(path.join(dir, 'w1'));
  const file = (name: string): string => path.join(dir, name);
  for (const name of ['nvram', 'code', 'string', 'below.raw']) await writeFile(file(name), name);
  await writeFile(
    file('disk'),
    Buffer.concat([Buffer.from('x'), Buffer.alloc(8 * 2 ** 20), Buffer.from('y')]),
  );
  const disk = {
    name: 'main',
    bus: 'virtio',
    file: file('disk'),
    format: 'qcow2',
    backingFile: file('below.raw'),
  } as const;
  const given: MachineSpec = { memoryMiB: 1, boot: { from: 'disk' }, disks: [disk], nonce: '' };
  const { spec, wiring } = await place.bringMachine(given, {
    nvramFile: file('nvram'),
    firmwareCode: file('code'),
    firmwareStrings: [file('string')],
    budget,
  } as never);
  const [there] = spec.disks;
  t.equal(path.dirname(there?.file ?? ''), `${folder}/0`);
  t.ok((await stat(there?.file ?? '')).blocks < 1024, 'holes stay holes');
  t.equal(await readFile(`${folder}/0/below.raw`, 'utf8'), 'below.raw', 'beside the disk above it');
  t.equal(await readFile(wiring.firmwareStrings[0] ?? '', 'utf8'), 'string');
  t.equal((await stat(folder)).mode & 0o777, 0o700, 'nobody else sees it');
  await t.rejects(access(file('disk')), 'nobody takes an old copy for the disk');
  await t.rejects(access(file('nvram')));
  await access(file('code'));
  await writeFile(there?.file ?? '', 'written by the machine');
  // The lines lead back.
  const server = createServer((socket) => socket.end('from here')).listen(
    path.join(dir, 'w1', (await readdir(path.join(dir, 'w1')))[0] ?? '', 'agent'),
  );
  await once(server, 'listening');
  const [said] = (await once(connect(wiring.lines.agent), 'data')) as [Buffer];
  t.equal(said.toString(), 'from here');
  server.close();
  await cleanup.release();
  t.equal(await readFile(file('disk'), 'utf8'), 'written by the machine');
  t.equal(await readFile(file('nvram'), 'utf8'), 'nvram');
  await t.rejects(access(folder), 'nothing is left there');
  t.strictSame({ errors, events }, { errors: [], events: [] });
});

t.test(
  'a connection that is lost ends the machine, and a disk that cannot come back is gone',
  { skip },
  async (t) => {
    const { place, cleanup, folder, errors, events } = await open(path.join(dir, 'w2'));
    const file = path.join(dir, 'lost');
    await writeFile(file, 'old');
    await place.bringDisk({ name: 'main', bus: 'virtio', file, format: 'raw' }, budget);
    await rm(folder, { recursive: true });
    const [lease = ''] = await readdir(path.join(dir, 'w2'));
    const [pid = ''] = await readdir(path.join(dir, 'w2', lease, 'processes'));
    process.kill(Number(pid), 'SIGKILL');
    await budget.poll(() => (events.length > 0 ? true : undefined), 20);
    t.match(events, [
      { kind: 'ended', error: { code: 'MACHINE_DIED', message: /connection to elsewhere has ended/ } },
    ]);
    await cleanup.release();
    t.equal(errors.length, 1, 'which is said');
    await t.rejects(access(file));
  },
);

t.test('folders of the dead are removed, and those of the living are not', { skip }, async (t) => {
  const host = new LibvirtHost(URI);
  const label = await makeLabel('/x/cafe0123');
  const alive = await makeRemoteFolder(host, label, budget);
  const dead = await makeRemoteFolder(host, { ...label, owner: '4194999 1' }, budget);
  const foreign = await makeRemoteFolder(
    host,
    { ...label, owner: '4194999 1', host: 'another boot' },
    budget,
  );
  await reapRemoteFolders(host, budget);
  await t.rejects(access(dead));
  for (const folder of [alive, foreign]) {
    await access(folder);
    await rm(folder, { recursive: true });
  }
});

// What is said to libvirt, and how what it says is understood. The daemon is played; machines are in the contract of
// targets.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, appendFile, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';
import { parseStringPromise } from 'xml2js';

import { Budget, HarnessError, ownIdentity, type runProgram, takeLease } from '../../core/index.js';
import type { MachineSpec } from '../machine-spec.js';
import { cutPower } from './cut-power.js';
import { type DomainOptions, renderDisk, renderDomain } from './domain-xml.js';
import { DomainEvents } from './events.js';
import { askCapacity, askLibvirt, type LibvirtFacts } from './facts.js';
import { LibvirtHost } from './host.js';
import { translate } from './hypervisor.js';
import { askLimits } from './limits.js';
import { reapDomains } from './reap.js';
import { readSavedIdentity } from './saved-state.js';
import { Virsh } from './virsh.js';

const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
const budget = Budget.start('the test', 60_000, new AbortController().signal);

/** A libvirt that answers each command (without `virsh --quiet --connect URI`) by a function. */
function play(answer: (args: readonly string[]) => string | Promise<string>): Virsh {
  const run: typeof runProgram = async (file, args) => {
    t.strictSame([file, ...args.slice(0, 3)], ['virsh', '--quiet', '--connect', 'qemu:///system']);
    return { stdout: await answer(args.slice(3)), stderr: '', exitCode: 0 };
  };
  return new Virsh('qemu:///system', run);
}

function refusal(details: string): HarnessError {
  return new HarnessError('TOOL_FAILED', 'virsh failed: exit code 1', { details });
}

const SPEC: MachineSpec = { memoryMiB: 1024, boot: { from: 'disk' }, disks: [], nonce: 'n0nce' };
const OPTIONS: DomainOptions = {
  identity: { name: 'imperm-1', uuid: 'u-u' },
  label: { run: 'cafe0123', owner: '12 34', host: 'boot ns', user: '1000' },
  accelerator: { kind: 'tcg', reason: '', timeScale: 4 },
  securityModels: ['dac', 'apparmor'],
  fileOwner: { user: 1000, group: 100 },
  firmwareCode: '/code.fd',
  nvramFile: '/vars.fd',
  lines: { serial: '/s', journal: '/j', agent: '/a' },
  firmwareStrings: ['/secret,0'],
};

const LOCAL = new LibvirtHost('qemu:///system');

type Parsed = Record<string, [Record<string, unknown>]>;

async function render(
  spec: Partial<MachineSpec> = {},
  options: Partial<DomainOptions> = {},
): Promise<Parsed> {
  const xml = renderDomain({ ...SPEC, ...spec }, { ...OPTIONS, ...options });
  return ((await parseStringPromise(xml)) as { domain: Parsed }).domain;
}

t.test('a machine in the words of libvirt', async (t) => {
  const domain = await render();
  const user = '+1000:+100';
  t.match(domain, {
    $: { type: 'qemu' },
    name: ['imperm-1'],
    uuid: ['u-u'],
    memory: [{ $: { unit: 'MiB' }, _: '1024' }],
    vcpu: ['1'],
    sysinfo: [{ $: { type: 'fwcfg' }, entry: [{ $: { name: 'opt/imperm/nonce' }, _: 'n0nce' }] }],
    os: [{ loader: [{ $: { type: 'pflash', readonly: 'yes' }, _: '/code.fd' }], nvram: ['/vars.fd'] }],
    cpu: [{ model: [{ _: 'Nehalem' }] }],
    seclabel: [
      { $: { type: 'static', model: 'dac', relabel: 'no' }, label: [user] },
      { $: { type: 'none', model: 'apparmor' } },
    ],
    metadata: [
      { 'imperm:machine': [{ $: { run: 'cafe0123', owner: '12 34', host: 'boot ns', user: '1000' } }] },
    ],
  });
  const [devices] = domain['devices']!;
  for (const [name, socket] of [
    ['serial', '/s'],
    ['console', '/j'],
    ['channel', '/a'],
  ] as const)
    t.match(devices[name], [{ $: { type: 'unix' }, source: [{ $: { mode: 'connect', path: socket } }] }]);
  t.notOk(devices['interface'], 'no network');
  t.notOk(devices['tpm']);
  t.strictSame(
    (domain['qemu:commandline']![0]['qemu:arg'] as { $: { value: string } }[]).map(({ $ }) => $.value),
    ['-smbios', 'type=11,path=/secret,,0'],
    'of a credential only the file is named',
  );
});

t.test('what only some machines have', async (t) => {
  const kvm = await render({}, { accelerator: { kind: 'kvm', reason: '', timeScale: 1 } });
  t.match(kvm, { $: { type: 'kvm' }, vcpu: ['2'], cpu: [{ $: { mode: 'host-passthrough' } }] });
  const secure = await render({ secureBoot: true });
  t.match(secure, {
    os: [{ loader: [{ $: { secure: 'yes' } }] }],
    features: [{ smm: [{ $: { state: 'on' } }] }],
  });
  const tpm = await render({}, { tpmSocket: '/tpm' });
  t.match(tpm['devices']![0]['tpm'], [
    { $: { model: 'tpm-crb' }, backend: [{ $: { type: 'external' }, source: [{ $: { path: '/tpm' } }] }] },
  ]);
  const began = { from: 'kernel', kernel: '/k', initrd: '/i', commandLine: 'quiet' } as const;
  const identity = { name: 'saved', uuid: 'same', generation: 'old' };
  t.match(await render({ boot: { from: 'state', stateFile: '/x', began } }, { identity }), {
    name: ['saved'],
    uuid: ['same'],
    genid: ['old'],
    os: [{ kernel: ['/k'], initrd: ['/i'], cmdline: ['quiet'] }],
  });
  const cd = await render({ cdrom: '/cd.iso' });
  t.match(cd['devices']![0]['disk'], [{ $: { device: 'cdrom' }, boot: [{ $: { order: '1' } }] }]);
});

t.test('a disk in the words of libvirt', async (t) => {
  const disk = {
    name: 'main',
    bus: 'virtio',
    file: '/d',
    format: 'qcow2',
    bootIndex: 1,
    sectorBytes: 4096,
  } as const;
  const described = {
    driver: [{ $: { type: 'qcow2', cache: 'unsafe', discard: 'unmap' } }],
    source: [{ $: { file: '/d' } }],
    target: [{ $: { dev: 'vda', bus: 'virtio' } }],
    blockio: [{ $: { logical_block_size: '4096', physical_block_size: '4096' } }],
    serial: ['main'],
    alias: [{ $: { name: 'ua-main' } }],
  };
  t.match((await render({ disks: [disk] }))['devices']![0]['disk'], [
    { ...described, boot: [{ $: { order: '2' } }] },
  ]);
  const plugged = ((await parseStringPromise(renderDisk({ ...disk, readOnly: true }, 2))) as { disk: Parsed })
    .disk;
  t.match(plugged, { ...described, driver: [{}], target: [{ $: { dev: 'vdc' } }], readonly: [''] });
  t.notOk(plugged['boot'], 'the firmware looks for nothing to boot any more');
  t.notMatch(plugged['driver'], [{ $: { discard: String } }]);
  t.throws(() => renderDisk({ ...disk, bus: 'nvme' }, 0), { code: 'INTERNAL' });
});

t.test('events', (t) => {
  const kinds = (kind: string, text = ''): string[] => translate({ kind, text }).map((event) => event.kind);
  t.strictSame(kinds('reboot'), ['reset']);
  t.strictSame(kinds('lifecycle', 'Stopped Shutdown'), ['powered-off', 'ended']);
  t.strictSame(kinds('lifecycle', 'Stopped Destroyed'), ['ended']);
  t.strictSame(kinds('lifecycle', 'Stopped Failed'), ['ended']);
  t.strictSame(kinds('lifecycle', 'Stopped Saved'), [], 'as it was told');
  t.strictSame(kinds('lifecycle', 'Resumed Unpaused'), []);
  t.strictSame(kinds('lifecycle', 'Crashed Panicked'), ['fault']);
  t.strictSame(kinds('io-error', '/d (ua-main) pause'), ['fault']);
  t.strictSame(kinds('io-error', '/d (ua-main) report'), [], 'the guest sees it itself');
  t.strictSame(kinds('rtc-change', '0'), []);
  t.end();
});

t.test('events of one domain are heard from the moment on that was waited for', async (t) => {
  const file = path.join(dir, 'events');
  await writeFile(file, "event 'lifecycle' for domain 'imperm-1': Started Booted\n");
  const lease = await takeLease(path.join(dir, 'events-work'));
  const virsh = { words: () => ['tail', '-n', '0', '-f', file] } as unknown as Virsh;
  const events = await DomainEvents.listen(virsh, { domain: 'imperm-1', lease });
  const heard: string[] = [];
  events.on(({ kind, text }) => heard.push(`${kind}=${text}`));
  await events.waitUntilHeard(
    () => appendFile(file, "event 'metadata-change' for domain 'imperm-1': title\n"),
    budget,
  );
  heard.length = 0;
  const next = events.waitFor(({ kind }) => kind === 'device-removed');
  await appendFile(
    file,
    "event 'reboot' for domain 'imperm-12'\nevent 'reboot' for domain 'imperm-1'\nevent 'dev",
  );
  await appendFile(file, "ice-removed' for domain imperm-1: ua-main\n");
  t.equal((await budget.race(next)).text, 'ua-main', 'also in the words of an older virsh');
  t.strictSame(
    heard.filter((each) => !each.startsWith('metadata')),
    ['reboot=', 'device-removed=ua-main'],
  );
  const over = t.rejects(events.over, { code: 'MACHINE_DIED' });
  await events.close();
  await over;
  await lease.release();
});

t.test('only what a dead run of this user left is ended', async (t) => {
  const host = `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()} ${await readlink('/proc/self/ns/pid')}`;
  const user = String(process.getuid?.());
  const dead = '4194999 1';
  const label = (owner: string, other: { host?: string; user?: string } = {}): string =>
    `<machine xmlns="urn:imperm:machine:1" run="x" owner="${owner}" host="${other.host ?? host}" user="${other.user ?? user}"/>`;
  const domains: Record<string, string> = {
    dead: label(dead),
    alive: label(ownIdentity()),
    'other-user': label(dead, { user: '4242' }),
    'other-host': label(dead, { host: 'another boot' }),
    unreadable: label('nonsense'),
  };
  const ended: string[] = [];
  const virsh = play(([command, ...rest]) => {
    if (command === 'list') return [...Object.keys(domains), 'foreign', 'gone', ''].join('\n');
    if (command === 'destroy') return String(ended.push(rest.at(-1) ?? ''));
    const [id = ''] = rest;
    if (command !== 'metadata') throw new Error(`who asked for ${String(command)}?`);
    const text = domains[id];
    if (text === undefined)
      throw refusal('error: metadata not found: Requested metadata element is not present');
    return text;
  });
  t.equal(await reapDomains(virsh, budget), 1);
  t.strictSame(ended, ['dead']);
});

t.test('what virsh says becomes an error with a next step', async (t) => {
  const failing = (message: string, details: string): Promise<string> =>
    new Virsh('qemu:///system', () =>
      Promise.reject(new HarnessError('TOOL_FAILED', message, { details })),
    ).run(['create', '/x'], budget);
  await t.rejects(failing('setpriv failed: failed to execute virsh: No such file or directory', ''), {
    code: 'HOST_UNFIT',
    hint: /libvirt/,
  });
  await t.rejects(
    failing(
      'virsh failed: exit code 1',
      'error: failed to connect to the hypervisor\nerror: Failed to connect socket',
    ),
    { code: 'HOST_UNFIT', message: 'libvirt does not answer at qemu:///system', hint: /libvirtd -d/ },
  );
  await t.rejects(
    failing('virsh failed: exit code 1', 'error: Failed to create domain\nerror: unknown bus'),
    {
      code: 'TOOL_FAILED',
      message: 'libvirt refused create: unknown bus',
    },
  );
});

const CAPABILITIES = `<capabilities><host><secmodel><model>none</model></secmodel><secmodel><model>dac</model></secmodel></host>
<guest><arch name='x86_64'><domain type='qemu'/></arch></guest></capabilities>`;
const OFFER = `<domainCapabilities><devices><disk><enum name='diskDevice'><value>disk</value></enum>
<enum name='bus'><value>virtio</value><value>scsi</value></enum></disk></devices></domainCapabilities>`;

function describe(version: string, capabilities = CAPABILITIES): Virsh {
  const answers: Record<string, string> = {
    version: `Compiled against library: libvirt 9.9.9\nUsing library: libvirt ${version}\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.22\n`,
    capabilities,
    domcapabilities: OFFER,
  };
  return play(([command = '']) => answers[command] ?? '');
}

t.test('what libvirt says of itself', async (t) => {
  const facts: LibvirtFacts = {
    version: '10.1.0',
    qemuVersion: '7.2.22',
    hasKvm: false,
    securityModels: ['dac'],
    diskBuses: ['virtio', 'scsi'],
    fileOwner: { user: process.getuid?.() ?? 0, group: process.getgid?.() ?? 0 },
  };
  t.strictSame(await askLibvirt(describe('10.1.0'), budget), facts);
  await t.rejects(askLibvirt(describe('8.10.0'), budget), {
    code: 'HOST_UNFIT',
    message: /8\.10\.0 is too old/,
  });
  await t.rejects(askLibvirt(describe('10.1.0', CAPABILITIES.replace('x86_64', 'aarch64')), budget), {
    code: 'HOST_UNFIT',
    message: /no QEMU for x86_64/,
  });
  const asked: string[] = [];
  const virsh = play(async ([command, , file = '']) => {
    t.equal(command, 'domxml-to-native');
    const xml = await readFile(file, 'utf8');
    asked.push(xml);
    if (xml.includes('<tpm')) throw refusal('error: unsupported configuration: no such TPM');
    return '';
  });
  t.strictSame(await askLimits(virsh, facts, { folder: dir, budget }), {
    nvme: 'libvirt 10.1.0 with QEMU 7.2.22 has no NVMe disks that imperm can describe to it (it has virtio, scsi)',
    tpm: 'libvirt 10.1.0 with QEMU 7.2.22 refuses: unsupported configuration: no such TPM (libvirt wants swtpm and swtpm-tools on its host)',
  });
  for (const word of ['secure="yes"', 'logical_block_size="4096"'])
    t.ok(
      asked.some((xml) => xml.includes(word)),
      word,
    );
  await t.rejects(
    askLimits(
      play(() => Promise.reject(refusal('error: no q35'))),
      facts,
      { folder: dir, budget },
    ),
    { code: 'HOST_UNFIT', message: /no q35/ },
  );
});

t.test('which domain was saved', async (t) => {
  const virsh = play((args) => {
    t.strictSame(args, ['save-image-dumpxml', '/state']);
    return "<domain type='qemu'><name>imperm-x</name><uuid>u</uuid><genid>g</genid></domain>";
  });
  t.strictSame(await readSavedIdentity(virsh, '/state', budget), {
    name: 'imperm-x',
    uuid: 'u',
    generation: 'g',
  });
});

t.test('a power cut leaves QEMU no time to write anything', async (t) => {
  const uuid = `test-${String(process.pid)}`;
  const file = path.join(dir, 'flushed');
  const qemu = spawn(
    'sh',
    [
      '-c',
      `trap 'echo flushed >"$3"; exit' TERM; echo up; while :; do sleep 0.02; done`,
      'sh',
      '-uuid',
      uuid,
      file,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await once(qemu.stdout, 'data');
  const ended = once(qemu, 'exit');
  const virsh = play(async (args) => {
    t.strictSame(args, ['destroy', '--remove-logs', uuid]);
    qemu.kill('SIGTERM');
    await ended;
    return '';
  });
  await cutPower(virsh, { host: LOCAL, uuid }, budget);
  t.equal((await ended)[1], 'SIGKILL');
  await t.rejects(access(file), 'it would have been written');
  const gone = play(() => Promise.reject(refusal("error: failed to get domain 'x'")));
  await cutPower(gone, { host: LOCAL, uuid }, budget);
});

void t.test("what a libvirt's host has is asked there", async (t) => {
  const budget = Budget.start('the host', 10_000, new AbortController().signal);
  const { cpus, totalMiB, availableMiB } = await askCapacity('qemu:///system', budget);
  t.equal(cpus, os.availableParallelism());
  t.ok(availableMiB > 0 && availableMiB <= totalMiB);
  const away = askCapacity('qemu+ssh://imperm-test.invalid/system', budget);
  await t.rejects(away, { code: 'HOST_UNFIT' });
});

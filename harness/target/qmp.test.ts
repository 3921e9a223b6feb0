import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import t from 'tap';

import { Budget } from '../core/index.js';
import type { MachineSpec } from './machine-spec.js';
import { blockNode, DISK_SLOTS, qemuArguments } from './qemu-arguments.js';
import { QmpClient, type QmpEvent } from './qmp.js';
import { ListeningSocket } from './socket.js';

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}}, "capabilities": []}}\r\n';

const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => path.join(dir, String(++files));

function startBudget(limitMs = 60_000, signal = new AbortController().signal): Budget {
  return Budget.start('QEMU', limitMs, signal);
}

interface Command {
  readonly execute: string;
  readonly arguments: Record<string, unknown>;
  readonly id: number;
}

/** Plays QEMU's end of the control channel. */
class FakeQemu {
  readonly socket: Socket;
  readonly commands: Command[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    createInterface(socket).on('line', (line) => this.commands.push(JSON.parse(line) as Command));
  }

  /** The command with this number of those received, as soon as it has come. */
  command(index: number): Promise<Command> {
    return startBudget().poll(() => this.commands[index], 1);
  }

  say(...values: readonly unknown[]): void {
    this.socket.write(values.map((value) => `${JSON.stringify(value)}\r\n`).join(''));
  }
}

async function connectSockets(): Promise<{ ours: Socket; qemu: FakeQemu }> {
  const listening = await ListeningSocket.listen(newFile());
  const qemu = new FakeQemu(connect(listening.path));
  const ours = await listening.accept(startBudget());
  t.teardown(() => {
    qemu.socket.destroy();
    ours.destroy();
  });
  return { ours, qemu };
}

async function startClient(): Promise<{ qmp: QmpClient; qemu: FakeQemu }> {
  const { ours, qemu } = await connectSockets();
  qemu.socket.write(GREETING);
  const starting = QmpClient.start(ours, startBudget());
  qemu.say({ return: {}, id: (await qemu.command(0)).id });
  return { qmp: await starting, qemu };
}

void t.test('the control channel is open when QEMU has answered the negotiation', async (t) => {
  const { ours, qemu } = await connectSockets();
  let isOpen = false;
  const starting = QmpClient.start(ours, startBudget()).then((client) => {
    isOpen = true;
    return client;
  });
  qemu.socket.write(GREETING.slice(0, 20));
  const negotiation = await qemu.command(0);
  t.match(negotiation, { execute: 'qmp_capabilities', arguments: {} });
  t.notOk(isOpen);
  qemu.socket.write(GREETING.slice(20));
  qemu.say({ return: {}, id: negotiation.id });
  const qmp = await starting;
  t.equal(qemu.commands.length, 1);
  qmp.close();
  await once(qemu.socket, 'close');

  const refused = await connectSockets();
  const refusing = t.rejects(QmpClient.start(refused.ours, startBudget()), {
    code: 'TOOL_FAILED',
    message: /no such thing/,
  });
  refused.qemu.say({
    error: { class: 'CommandNotFound', desc: 'no such thing' },
    id: (await refused.qemu.command(0)).id,
  });
  await refusing;
});

void t.test(
  'answers find their commands in any order, with events between, however the bytes are cut',
  async (t) => {
    const { qmp, qemu } = await startClient();
    const events: QmpEvent[] = [];
    qmp.onEvent((event) => events.push(event));
    const answers = ['a', 'b', 'c'].map((name) => qmp.execute('query', { name }, startBudget()));
    await qemu.command(3);
    const [a, b, c] = qemu.commands.slice(1);
    t.strictSame(
      [a, b, c].map((command) => command?.arguments),
      [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    );
    const said = [
      { event: 'STOP', timestamp: { seconds: 1, microseconds: 2 } },
      { return: 'für c €🔐', id: c?.id },
      { event: 'RESET', data: { guest: true } },
      { return: ['a'], id: a?.id },
      { return: 'nobody asked', id: 4711 },
      { return: { deep: { b: 1 } }, id: b?.id },
    ];
    const bytes = Buffer.from(said.map((value) => JSON.stringify(value)).join('\r\n') + '\n');
    for (const byte of bytes) {
      qemu.socket.write(Buffer.from([byte])); // cuts every character of several bytes, too
      await new Promise(setImmediate);
    }
    t.strictSame(await Promise.all(answers), [['a'], { deep: { b: 1 } }, 'für c €🔐']);
    t.strictSame(events, [
      { event: 'STOP', data: {} },
      { event: 'RESET', data: { guest: true } },
    ]);
  },
);

void t.test('a refused command tells why, and harms no other', async (t) => {
  const { qmp, qemu } = await startClient();
  const refused = t.rejects(qmp.execute('device_del', { id: 'x' }, startBudget()), {
    name: 'HarnessError',
    code: 'TOOL_FAILED',
    message: "QEMU refused device_del: Device 'x' not found",
  });
  const other = qmp.execute('cont', {}, startBudget());
  await qemu.command(2);
  qemu.say({ error: { class: 'DeviceNotFound', desc: "Device 'x' not found" }, id: qemu.commands[1]?.id });
  qemu.say({ return: {}, id: qemu.commands[2]?.id });
  await refused;
  t.strictSame(await other, {});
});

void t.test('an answer that comes too late is for nobody', async (t) => {
  const { qmp, qemu } = await startClient();
  await t.rejects(qmp.execute('slow', {}, startBudget(30)), { code: 'TIMEOUT', message: /QEMU/ });
  const stop = new AbortController();
  const stopped = t.rejects(qmp.execute('slow', {}, startBudget(60_000, stop.signal)), {
    code: 'INTERRUPTED',
  });
  await qemu.command(2);
  stop.abort();
  await stopped;
  await t.rejects(qmp.execute('never sent', {}, startBudget(60_000, stop.signal)), { code: 'INTERRUPTED' });
  const next = qmp.execute('next', {}, startBudget());
  const ids = [(await qemu.command(3)).id, qemu.commands[1]?.id, qemu.commands[2]?.id];
  t.equal(qemu.commands[3]?.execute, 'next');
  for (const id of ids.reverse()) qemu.say({ return: id, id });
  t.equal(await next, qemu.commands[3]?.id);
});

void t.test('events reach those who listen, until they stop', async (t) => {
  const { qmp, qemu } = await startClient();
  const heard: string[] = [];
  const stop = qmp.onEvent(({ event }) => heard.push(event));
  let asked = 0;
  const second = qmp.waitForEvent(({ event, data }) => {
    asked += 1;
    return event === 'DEVICE_DELETED' && data['device'] === 'b';
  });
  qemu.say(
    { event: 'DEVICE_DELETED', data: { device: 'a' } },
    { event: 'DEVICE_DELETED', data: { device: 'b', path: '/b' } },
  );
  t.strictSame(await second, { event: 'DEVICE_DELETED', data: { device: 'b', path: '/b' } });
  stop();
  const shutdown = qmp.waitForEvent(({ event }) => event === 'SHUTDOWN');
  qemu.say({ event: 'SHUTDOWN' });
  await shutdown;
  t.equal(asked, 2, 'who has got an answer is not asked again');
  t.strictSame(heard, ['DEVICE_DELETED', 'DEVICE_DELETED']);
});

void t.test('the end of QEMU ends every command at once', async (t) => {
  const { qmp, qemu } = await startClient();
  const died = { code: 'MACHINE_DIED', message: /closed its control channel/ };
  const pending = [
    qmp.execute('one', {}, startBudget()),
    qmp.execute('two', {}, startBudget()),
    qmp.waitForEvent(() => true),
  ];
  void qmp.waitForEvent(() => true); // nobody waits for it any more
  await qemu.command(2);
  qemu.socket.destroy();
  for (const command of pending) await t.rejects(command, died);
  await t.rejects(qmp.execute('three', {}, startBudget()), died);
  await t.rejects(
    qmp.waitForEvent(() => true),
    died,
  );

  const gone = await connectSockets();
  gone.qemu.socket.destroy();
  gone.ours.resume();
  await once(gone.ours, 'close');
  await t.rejects(QmpClient.start(gone.ours, startBudget()), died, 'also before the first word');
});

void t.test('what is not QMP ends the channel with an error, not the process', async (t) => {
  for (const nonsense of ['{"return": {}, "id": 2', 'qemu: fatal', '42', 'null']) {
    const { qmp, qemu } = await startClient();
    const pending = t.rejects(qmp.execute('query', {}, startBudget()), {
      code: 'TOOL_FAILED',
      message: /not QMP/,
      details: nonsense,
    });
    await qemu.command(1);
    qemu.socket.write(`${nonsense}\n`);
    await pending;
    await t.rejects(qmp.execute('query', {}, startBudget()), { code: 'TOOL_FAILED' });
    await once(qemu.socket, 'close');
  }
});

void t.test('a listening socket takes one machine, and leaves nothing', async (t) => {
  const socketPath = newFile();
  const listening = await ListeningSocket.listen(socketPath);
  t.equal(listening.path, socketPath);
  await t.rejects(listening.accept(startBudget(20)), { code: 'TIMEOUT' });
  const machine = connect(socketPath);
  machine.write('said before anybody asked');
  const socket = await listening.accept(startBudget());
  t.equal(String((await once(socket, 'data'))[0]), 'said before anybody asked');
  const second = connect(socketPath);
  t.match(await once(second, 'error'), [{ code: /ENOENT|ECONNREFUSED/ }]);
  await listening.close();
  await once(machine.resume(), 'close');
  await t.rejects(access(socketPath), { code: 'ENOENT' });

  const unused = newFile();
  await (await ListeningSocket.listen(unused)).close();
  await t.rejects(access(unused), { code: 'ENOENT' });
});

void t.test('a machine that dies before its socket is wanted harms nobody', async (t) => {
  const listening = await ListeningSocket.listen(newFile());
  const machine = connect(listening.path);
  await once(machine, 'connect');
  const socket = await listening.accept(startBudget());
  socket.write('nobody reads this'); // unread data makes the end of the other side an error (ECONNRESET) on ours
  const failed = new Promise((resolve) => socket.once('close', resolve));
  machine.destroy();
  t.equal(await failed, true, 'it was an error, and it did not end the process');
});

void t.test('the path of a socket may be as long as Linux allows, and no longer', async (t) => {
  const fits = path.join(dir, 'x'.repeat(107 - dir.length - 1));
  t.equal(Buffer.byteLength(fits), 107);
  await (await ListeningSocket.listen(fits)).close();
  await t.rejects(ListeningSocket.listen(`${fits}x`), {
    code: 'HOST_UNFIT',
    message: /too long/,
    hint: /IMPERM_WORK/,
  });
  await t.rejects(
    ListeningSocket.listen(`${fits.slice(0, -1)}ä`),
    { code: 'HOST_UNFIT' },
    'bytes count, not letters',
  );
});

const SPEC: MachineSpec = {
  memoryMiB: 1024,
  cpus: 2,
  boot: { from: 'disk' },
  disks: [
    { name: 'main', bus: 'virtio', file: '/work,dir/main.qcow2', format: 'qcow2', bootIndex: 1 },
    { name: 'payload', bus: 'nvme', file: '/work,dir/payload.raw', format: 'raw', readOnly: true },
  ],
  credentials: { 'imperm.passphrase': 'correct horse' },
  extraCommandLine: 'quiet secret-word',
  nonce: '0123456789abcdef01234567',
};

function argumentsOf(spec: MachineSpec, kind: 'kvm' | 'tcg' = 'tcg'): string[] {
  return qemuArguments(spec, {
    accelerator: { kind, reason: 'Asked for.', timeScale: 1 },
    firmwareCode: '/firm,ware/code.fd',
    nvramFile: '/work,dir/nvram.fd',
    sockets: { qmp: '/s,1/qmp', serial: '/s,1/serial', journal: '/s,1/journal', agent: '/s,1/agent' },
    firmwareStrings: ['/s,1/string-0', '/s,1/string-1'],
  });
}

/** The values of an option that may be given several times. */
function valuesOf(args: readonly string[], option: string): string[] {
  return args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []));
}

const KERNEL = { kernel: '/k', initrd: '/i', commandLine: 'console=ttyS0 a=1,2' };

void t.test('commas in paths do not end an option', async (t) => {
  const args = argumentsOf(SPEC);
  t.strictSame(
    valuesOf(args, '-chardev').map((value) => value.replace(/^.*path=/, '')),
    ['/s,,1/qmp', '/s,,1/serial', '/s,,1/journal', '/s,,1/agent'],
  );
  t.strictSame(
    valuesOf(args, '-drive').map((value) => value.replace(/^.*file=/, '')),
    ['/firm,,ware/code.fd', '/work,,dir/nvram.fd'],
  );
  t.strictSame(valuesOf(args, '-smbios'), ['type=11,path=/s,,1/string-0', 'type=11,path=/s,,1/string-1']);
  const nodes = valuesOf(args, '-blockdev').map((text) => JSON.parse(text) as { file: { filename: string } });
  t.strictSame(
    nodes.map((node) => node.file.filename),
    ['/work,dir/main.qcow2', '/work,dir/payload.raw'],
    'JSON needs no doubling',
  );
  t.strictSame(valuesOf(argumentsOf({ ...SPEC, boot: { from: 'kernel', ...KERNEL } }), '-append'), [
    KERNEL.commandLine,
  ]);
});

void t.test('no machine has a network, whatever it boots', async (t) => {
  for (const boot of [
    { from: 'disk' },
    { from: 'kernel', ...KERNEL },
    { from: 'state', began: { from: 'kernel', ...KERNEL }, stateFile: '/state' },
  ] as const) {
    for (const kind of ['kvm', 'tcg'] as const) {
      const args = argumentsOf({ ...SPEC, boot }, kind);
      t.ok(args.includes('-nodefaults'), 'which would bring one');
      t.ok(args.includes('-no-user-config'));
      t.strictSame(
        args.filter((arg) => /^-(net|netdev|nic)$|hostfwd|virtio-net|e1000|rtl8139|vhost/.test(arg)),
        [],
      );
      t.equal(valuesOf(args, '-accel').join().startsWith(kind), true);
      t.equal(args.includes('-incoming'), boot.from === 'state');
      t.equal(args.includes('-kernel'), boot.from !== 'disk');
    }
  }
});

void t.test('credentials and kernel arguments stay out of the process list', async (t) => {
  const line = argumentsOf(SPEC).join(' ');
  for (const secret of [
    'correct horse',
    Buffer.from('correct horse').toString('base64'),
    'imperm.passphrase',
    'secret-word',
  ]) {
    t.notOk(line.includes(secret), secret);
  }
});

void t.test('each disk has a slot, its serial number and what its bus needs', async (t) => {
  const args = argumentsOf(SPEC);
  const slots = valuesOf(args, '-device').filter((value) => value.startsWith('pcie-root-port'));
  t.equal(new Set(slots).size, DISK_SLOTS);
  const devices = valuesOf(args, '-device')
    .filter((value) => value.startsWith('{'))
    .map((text) => JSON.parse(text) as unknown);
  t.strictSame(devices, [
    {
      driver: 'virtio-blk-pci',
      id: 'dev-main',
      drive: 'node-main',
      bus: 'disk0',
      serial: 'main',
      bootindex: 1,
    },
    { driver: 'nvme', id: 'dev-payload', drive: 'node-payload', bus: 'disk1', serial: 'payload' },
  ]);
  const [main, payload] = SPEC.disks.map(blockNode);
  t.match(main, { driver: 'qcow2', 'node-name': 'node-main', discard: 'unmap' });
  t.match(payload, {
    driver: 'raw',
    'node-name': 'node-payload',
    'read-only': true,
    file: { 'read-only': true },
  });
  t.notOk(main && 'read-only' in main);
});

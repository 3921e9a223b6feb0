import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Duplex } from 'node:stream';

import ssh2 from 'ssh2';
import t from 'tap';

import { Budget, monotonicMs } from '../core/index.js';
import { AgentPort } from './agent-port.js';
import { makeMachineKeys, type MachineKeys, type MachineShell } from './shell.js';
import { ListeningSocket } from './socket.js';

const GREETING = 'imperm-agent 1\n';
/** Far more than anything here takes, far less than its budgets. */
const AT_ONCE_MS = 20_000;

const keys = makeMachineKeys();
const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
let files = 0;

function startBudget(limitMs = 120_000, signal = new AbortController().signal): Budget {
  return Budget.start('the machine', limitMs, signal);
}

type Exec = (command: string, stream: ssh2.ServerChannel) => void;

/**
 * The machine's end of the port: a real SSH server behind an agent that greets, waits for the word `ssh` and greets
 * again when the connection has ended. The port itself stays open all the time, as a virtio port does.
 */
class FakeMachine {
  readonly socket: Socket;
  readonly port: AgentPort;
  /** Words that the agent was told. */
  readonly words: string[] = [];
  /** Kind and size of terminals that were asked for, and sizes that they got later. */
  readonly windows: string[] = [];
  connections = 0;
  channels = 0;
  readonly #keys: MachineKeys;
  readonly #exec: Exec;
  #connection: Duplex | undefined;
  #received: Buffer = Buffer.alloc(0);

  private constructor(parts: { socket: Socket; port: AgentPort; keys: MachineKeys; exec: Exec }) {
    this.socket = parts.socket;
    this.port = parts.port;
    this.#keys = parts.keys;
    this.#exec = parts.exec;
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => this.#connection?.destroy());
    this.socket.on('data', (chunk: Buffer) => {
      this.#hear(chunk);
    });
  }

  static async start(t: Tap.Test, options: { keys?: MachineKeys; exec?: Exec } = {}): Promise<FakeMachine> {
    const listening = await ListeningSocket.listen(path.join(dir, String(++files)));
    const socket = connect(listening.path);
    const ours = await listening.accept(startBudget());
    t.teardown(() => {
      socket.destroy();
      ours.destroy();
    });
    return new FakeMachine({
      socket,
      port: new AgentPort(ours),
      keys: options.keys ?? keys,
      exec: options.exec ?? answer,
    });
  }

  greet(): void {
    this.socket.write(GREETING);
  }

  async openShell(): Promise<MachineShell> {
    this.greet();
    await this.port.waitForGreeting(startBudget());
    return this.port.openShell(keys, startBudget());
  }

  #hear(chunk: Buffer): void {
    if (this.#connection !== undefined) {
      this.#connection.push(chunk);
      return;
    }
    this.#received = Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf('\n');
    if (end < 0) return;
    const rest = this.#received.subarray(end + 1);
    this.words.push(this.#received.toString('utf8', 0, end));
    this.#received = Buffer.alloc(0);
    this.#becomeServer();
    if (rest.length > 0) this.#hear(rest);
  }

  #becomeServer(): void {
    const connection = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        this.socket.write(chunk, done);
      },
      final: (done) => {
        connection.push(null);
        done();
      },
    });
    this.#connection = connection;
    this.connections += 1;
    connection.once('close', () => {
      this.#connection = undefined;
      this.greet();
    });
    const server = new ssh2.Server({ hostKeys: [this.#keys.hostPrivate] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (context) => {
        const isKnown =
          context.method === 'publickey' &&
          context.key.data.equals(Buffer.from(keys.clientPublic.split(' ')[1] ?? '', 'base64'));
        if (isKnown && context.username === 'root') context.accept();
        else context.reject();
      });
      client.on('session', (accept) => {
        this.channels += 1;
        const session = accept();
        session.on('close', () => {
          this.channels -= 1;
        });
        session.on('pty', (acceptPty, _reject, { term, cols, rows }) => {
          this.windows.push(`${(term as string | undefined) ?? ''} ${String(cols)}x${String(rows)}`);
          acceptPty();
        });
        session.on('window-change', (_accept, _reject, { cols, rows }) => {
          this.windows.push(`${String(cols)}x${String(rows)}`);
        });
        session.on('exec', (acceptExec, _reject, { command }) => {
          this.#exec(command, acceptExec());
        });
      });
    });
    const played: unknown = connection; // ssh2 needs no more of a socket than that
    server.injectSocket(played as Socket);
  }
}

// eslint-disable-next-line @typescript-eslint/no-namespace
declare namespace Tap {
  interface Test {
    teardown(release: () => void): void;
  }
}

/** What commands do: `cat`, `exit <code>`, `kill`, `say <out> <err> <code>`, `hang`, `vanish`. */
function answer(command: string, stream: ssh2.ServerChannel): void {
  const [verb, ...words] = command.split(' ');
  stream.on('error', () => undefined);
  const end = (code: number): void => {
    stream.exit(code);
    stream.end();
  };
  switch (verb) {
    case 'cat':
      stream.on('data', (chunk: Buffer) => stream.write(chunk));
      stream.on('end', () => {
        end(0);
      });
      break;
    case 'exit':
      end(Number(words[0]));
      break;
    case 'kill':
      stream.exit('KILL', false, '');
      stream.end();
      break;
    case 'say':
      stream.write(words[0]);
      stream.stderr.write(words[1]);
      end(Number(words[2]));
      break;
    case 'vanish':
      stream.end();
      break;
    default:
      stream.resume(); // hangs
  }
}

void t.test(
  'the greeting is found behind noise and in pieces, once for each time the agent is ready',
  async (t) => {
    const machine = await FakeMachine.start(t);
    let hasGreeted = false;
    const greeted = machine.port.waitForGreeting(startBudget()).then(() => {
      hasGreeted = true;
    });
    const other = machine.port.waitForGreeting(startBudget());
    await t.rejects(machine.port.waitForGreeting(startBudget(20)), {
      code: 'TIMEOUT',
      message: /the machine/,
    });
    for (const piece of [randomBytes(100_000), '\u0000imperm-agent 2\nimperm-', 'agent', ' 1']) {
      machine.socket.write(piece);
      await startBudget().poll(() => machine.socket.writableLength === 0 || undefined, 1);
      await new Promise(setImmediate);
    }
    t.notOk(hasGreeted);
    machine.socket.write('\nnoise behind it');
    await Promise.all([greeted, other]);
    await machine.port.waitForGreeting(startBudget(1)); // known already

    machine.port.reset();
    await t.rejects(machine.port.waitForGreeting(startBudget(20)), { code: 'TIMEOUT' }, 'of another life');
    machine.greet();
    await machine.port.waitForGreeting(startBudget());
  },
);

void t.test('commands run, and end as they end', async (t) => {
  const machine = await FakeMachine.start(t);
  const shell = await machine.openShell();
  t.strictSame(machine.words, ['ssh']);
  t.strictSame(await shell.execute('exit 0', startBudget()), {
    exitCode: 0,
    stdout: Buffer.alloc(0),
    stderr: '',
  });
  t.match(await shell.execute('exit 200', startBudget()), { exitCode: 200 });
  t.match(await shell.execute('say häus höf 3', startBudget()), {
    exitCode: 3,
    stdout: Buffer.from('häus'),
    stderr: 'höf',
  });
  t.match(await shell.execute('kill', startBudget()), { exitCode: 255 }, 'a signal is no success');
  await t.rejects(shell.execute('vanish', startBudget()), {
    code: 'MACHINE_UNREACHABLE',
    message: /no exit code for: vanish/,
  });
  t.equal(await shell.run('say out err 0', startBudget()), 'out');
  await t.rejects(shell.run('say out err 7', startBudget()), {
    code: 'GUEST_COMMAND_FAILED',
    message: 'A command in the machine failed with exit code 7: say out err 7',
    details: 'out\nerr',
  });
  await startBudget().poll(() => machine.channels === 0 || undefined, 5);
  t.equal(machine.connections, 1);
});

void t.test('a mebibyte goes in and comes back unharmed, beside other commands', async (t) => {
  const shell = await (await FakeMachine.start(t)).openShell();
  const bytes = [randomBytes(2 ** 20), randomBytes(2 ** 20)];
  const [first, second, small, unread] = await Promise.all([
    shell.execute('cat', startBudget(), { input: bytes[0]! }),
    shell.execute('cat', startBudget(), { input: bytes[1]! }),
    shell.execute('cat', startBudget(), { input: 'ä' }),
    shell.execute('exit 4', startBudget(), { input: bytes[0]! }),
  ]);
  t.ok(first.stdout.equals(bytes[0]!));
  t.ok(second.stdout.equals(bytes[1]!));
  t.equal(small.stdout.toString(), 'ä');
  t.equal(unread.exitCode, 4, 'input need not be read');
});

void t.test('another machine is not taken for the one that was started', async (t) => {
  const machine = await FakeMachine.start(t, { keys: makeMachineKeys() });
  await t.rejects(machine.openShell(), { code: 'WRONG_MACHINE', message: /another host key/ });
});

void t.test('a machine that lets us not in, or is none, is unreachable at once', async (t) => {
  const startMs = monotonicMs();
  const stranger = await FakeMachine.start(t);
  await t.rejects(
    stranger.port.openShell({ ...makeMachineKeys(), hostPublic: keys.hostPublic }, startBudget()),
    {
      code: 'MACHINE_UNREACHABLE',
      message: /SSH to the machine failed/,
    },
  );

  const gone = await FakeMachine.start(t);
  const opening = gone.openShell();
  await startBudget().poll(() => gone.connections === 1 || undefined, 1);
  gone.socket.destroy();
  await t.rejects(opening, { code: 'MACHINE_UNREACHABLE' });
  await t.rejects(gone.port.openShell(keys, startBudget()), {
    code: 'MACHINE_DIED',
    message: /agent's port/,
  });
  await t.rejects(gone.port.waitForGreeting(startBudget()), { code: 'MACHINE_DIED' });
  t.ok(monotonicMs() - startMs < AT_ONCE_MS);

  const silent = await FakeMachine.start(t);
  silent.socket.removeAllListeners('data').resume();
  await t.rejects(silent.port.openShell(keys, startBudget(50)), { code: 'TIMEOUT', message: /the machine/ });
  const stop = new AbortController();
  const stopped = t.rejects(silent.port.openShell(keys, startBudget(60_000, stop.signal)), {
    code: 'INTERRUPTED',
  });
  stop.abort();
  await stopped;
});

void t.test('a lost connection ends every command at once', async (t) => {
  const startMs = monotonicMs();
  let silent = 0;
  const machine = await FakeMachine.start(t, {
    exec: (_command, stream) => {
      stream.resume().on('end', () => {
        silent += 1; // nothing is under way any more, in neither direction: no write can fail
      });
    },
  });
  const shell = await machine.openShell();
  const lost = { code: 'MACHINE_UNREACHABLE', message: 'The connection to the machine ended' };
  const commands = ['one', 'two'].map((command) =>
    t.rejects(shell.execute(command, startBudget(), { input: 'x' }), lost),
  );
  const broken = t.rejects(shell.broken, lost);
  await startBudget().poll(() => silent === 2 || undefined, 1);
  machine.socket.destroy();
  await Promise.all(commands);
  await broken;
  await t.rejects(shell.execute('exit 0', startBudget()), lost);
  await t.rejects(shell.run('exit 0', startBudget()), lost);
  await shell.end(); // nothing is left to say
  t.ok(monotonicMs() - startMs < AT_ONCE_MS);
});

void t.test('a reset ends the shell, and the machine greets anew', async (t) => {
  const machine = await FakeMachine.start(t);
  const shell = await machine.openShell();
  const hanging = t.rejects(shell.execute('hang', startBudget()), { code: 'MACHINE_UNREACHABLE' });
  await startBudget().poll(() => machine.channels === 1 || undefined, 1);
  shell.close();
  machine.port.reset();
  await hanging;
  // What the old sshd had still to say arrives after the reset, then the new agent.
  machine.socket.write(randomBytes(1000));
  await t.rejects(machine.port.waitForGreeting(startBudget(20)), { code: 'TIMEOUT' });
  machine.greet();
  await machine.port.waitForGreeting(startBudget());
});

void t.test('after a good-bye the next shell comes over the same port', async (t) => {
  const machine = await FakeMachine.start(t);
  let shell = await machine.openShell();
  for (const connection of [1, 2, 3]) {
    t.equal(machine.connections, connection);
    t.equal((await shell.execute('cat', startBudget(), { input: 'here' })).stdout.toString(), 'here');
    await shell.end();
    await t.rejects(shell.execute('cat', startBudget()), { code: 'MACHINE_UNREACHABLE' });
    await machine.port.waitForGreeting(startBudget());
    shell = await machine.port.openShell(keys, startBudget());
  }
  t.strictSame(machine.words, ['ssh', 'ssh', 'ssh', 'ssh']);
});

void t.test('a command that is given up leaves nothing open', async (t) => {
  const machine = await FakeMachine.start(t);
  const shell = await machine.openShell();
  const stop = new AbortController();
  const stopped = t.rejects(shell.execute('hang', startBudget(60_000, stop.signal)), { code: 'INTERRUPTED' });
  await t.rejects(shell.execute('hang', startBudget(50)), { code: 'TIMEOUT', message: /the machine/ });
  await startBudget().poll(() => machine.channels === 1 || undefined, 1);
  stop.abort();
  await stopped;
  await startBudget().poll(() => machine.channels === 0 || undefined, 1);
  // Given up before it could begin.
  const early = new AbortController();
  const never = t.rejects(shell.execute('hang', startBudget(60_000, early.signal)), { code: 'INTERRUPTED' });
  early.abort();
  await never;
  await t.rejects(shell.execute('hang', startBudget(60_000, early.signal)), { code: 'INTERRUPTED' });
  t.match(
    await shell.execute('exit 5', startBudget()),
    { exitCode: 5 },
    'the connection is as good as before',
  );
  await startBudget().poll(() => machine.channels === 0 || undefined, 1);
});

void t.test('each machine gets keys of its own, and all can be read', async (t) => {
  const all = Array.from({ length: 700 }, makeMachineKeys).flatMap((pair) => Object.values(pair) as string[]);
  t.equal(new Set(all).size, 2800);
  const unreadable = all.filter((key) => ssh2.utils.parseKey(key) instanceof Error);
  t.strictSame(unreadable, []);
  t.match(keys.hostPublic, /^ssh-ed25519 /);
});

void t.test('a command that somebody talks to: keyboard, screen, window, and how it ended', async (t) => {
  const machine = await FakeMachine.start(t);
  const shell = await machine.openShell();
  const typing = await shell.session('cat', startBudget(), { type: 'screen', columns: 132, rows: 50 });
  const shown: string[] = [];
  typing.line.on('data', (chunk: Buffer) => shown.push(chunk.toString()));
  typing.line.write('hello');
  typing.resize({ columns: 70, rows: 20 });
  await startBudget().poll(
    () => (shown.join('') === 'hello' && machine.windows.length === 2) || undefined,
    1,
  );
  t.strictSame(machine.windows, ['screen 132x50', '70x20']);
  typing.line.end();
  typing.stderr.resume();
  t.strictSame(await typing.ended, { exitCode: 0 });

  const plain = await shell.session('say out err 7', startBudget());
  const said: string[] = [];
  plain.line.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  plain.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  t.strictSame(await plain.ended, { exitCode: 7 });
  t.strictSame(said.sort(), ['err', 'out']);
  t.equal(machine.windows.length, 2, 'on no terminal');

  const killed = await shell.session('kill', startBudget());
  killed.line.resume();
  killed.stderr.resume();
  t.match(await killed.ended, { exitCode: 255, signal: 'KILL' });

  const hanging = await shell.session('hang', startBudget());
  machine.socket.destroy();
  await t.rejects(hanging.ended, { code: 'MACHINE_UNREACHABLE' });
  await t.rejects(shell.session('exit 0', startBudget()), { code: 'MACHINE_UNREACHABLE' });
});

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import { type Budget, HarnessError } from '../core/index.js';
import { type MachineKeys, MachineShell } from './shell.js';
import { waitForClose } from './socket.js';

/** What the agent in the machine says first, each time it is ready to become sshd. */
const GREETING = Buffer.from('imperm-agent 1\n');

/** Bytes of one SSH connection, taken from and given to the port. */
class PortStream extends Duplex {
  readonly #socket: Socket;
  readonly #onEnd: (stream: PortStream) => void;

  constructor(socket: Socket, onEnd: (stream: PortStream) => void) {
    super();
    this.#socket = socket;
    this.#onEnd = onEnd;
  }

  override _read(): void {
    // Fed by the port: nothing to ask for.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  /** We have said good-bye: what comes now is the agent's next greeting, no longer part of this connection. */
  override _final(done: (error?: Error | null) => void): void {
    this.#onEnd(this);
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onEnd(this);
    done(error);
  }
}

/**
 * Our end of the virtio port on which the agent in the machine greets, waits for the word `ssh`, and becomes sshd.
 * No network and no TCP port is involved.
 */
export class AgentPort {
  readonly #socket: Socket;
  readonly #closed: Promise<never>;
  readonly #waiters = new Set<() => void>();
  #hasGreeted = false;
  /** The end of what was received: may be the beginning of a greeting. */
  #tail: Buffer = Buffer.alloc(0);
  #stream: PortStream | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = new Promise((_resolve, reject) => {
      void waitForClose(socket).then(() => {
        this.#stream?.destroy();
        reject(new HarnessError('MACHINE_DIED', "The machine closed its agent's port"));
      });
    });
    this.#closed.catch(() => undefined);
    socket.on('data', (chunk: Buffer) => {
      if (this.#stream === undefined) this.#listen(chunk);
      else this.#stream.push(chunk);
    });
  }

  /**
   * Settles as soon as the agent waits to be asked.
   *
   * @throws {HarnessError} MACHINE_DIED when the machine ends first; TIMEOUT; INTERRUPTED.
   */
  async waitForGreeting(budget: Budget): Promise<void> {
    if (this.#hasGreeted) return;
    let wake: (() => void) | undefined;
    const greeted = new Promise<void>((resolve) => {
      wake = resolve;
      this.#waiters.add(resolve);
    });
    try {
      await budget.race(Promise.race([greeted, this.#closed]));
    } finally {
      if (wake !== undefined) this.#waiters.delete(wake);
    }
  }

  /**
   * Asks the waiting agent for a shell.
   *
   * @throws {HarnessError} MACHINE_DIED when the port has closed; as `MachineShell.connect`.
   */
  async openShell(keys: MachineKeys, budget: Budget): Promise<MachineShell> {
    this.reset();
    if (this.#socket.destroyed) await this.#closed;
    const stream = new PortStream(this.#socket, (ended) => {
      if (this.#stream === ended) this.#stream = undefined;
    });
    this.#stream = stream;
    this.#socket.write('ssh\n');
    return MachineShell.connect(stream, keys, budget);
  }

  /** The machine was reset: what comes next is a greeting again. */
  reset(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    this.#hasGreeted = false;
    this.#tail = Buffer.alloc(0);
  }

  #listen(chunk: Buffer): void {
    const received = Buffer.concat([this.#tail, chunk]);
    this.#tail = received.subarray(1 - GREETING.length);
    if (!received.includes(GREETING)) return;
    this.#hasGreeted = true;
    for (const wake of this.#waiters) wake();
  }
}

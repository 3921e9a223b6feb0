import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import type { Budget } from '../core/index.js';
import { type MachineKeys, MachineShell } from './shell.js';

/** What the agent in the machine says first, each time it is ready to become sshd. */
const GREETING = Buffer.from('imperm-agent 1\n');

/** Bytes of one SSH connection, taken from and given to the port. */
class PortStream extends Duplex {
  readonly #socket: Socket;
  readonly #onEnd: () => void;

  constructor(socket: Socket, onEnd: () => void) {
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
    this.#onEnd();
    this.push(null);
    done();
  }
}

/**
 * Our end of the virtio port on which the agent in the machine greets, waits for the word `ssh`, and becomes sshd.
 * No network and no TCP port is involved.
 */
export class AgentPort {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #onGreeting: (() => void) | undefined;
  #stream: PortStream | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => this.#stream?.destroy());
    socket.on('data', (chunk: Buffer) => {
      if (this.#stream !== undefined) {
        this.#stream.push(chunk);
        return;
      }
      this.#received = Buffer.concat([this.#received, chunk]);
      if (this.#received.includes(GREETING)) this.#onGreeting?.();
    });
  }

  /** Settles as soon as the agent waits to be asked. */
  async waitForGreeting(budget: Budget): Promise<void> {
    if (this.#received.includes(GREETING)) return;
    try {
      await budget.race(
        new Promise<void>((resolve) => {
          this.#onGreeting = resolve;
        }),
      );
    } finally {
      this.#onGreeting = undefined;
    }
  }

  /** Asks the waiting agent for a shell. @throws As `MachineShell.connect`. */
  async openShell(keys: MachineKeys, budget: Budget): Promise<MachineShell> {
    const stream = new PortStream(this.#socket, () => {
      this.#stream = undefined;
    });
    this.#received = Buffer.alloc(0);
    this.#stream = stream;
    this.#socket.write('ssh\n');
    return MachineShell.connect(stream, keys, budget);
  }

  /** The machine was reset: what comes next is a greeting again. */
  reset(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    this.#received = Buffer.alloc(0);
  }
}

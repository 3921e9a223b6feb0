import type { Socket } from 'node:net';

import type { Budget } from '../../core/index.js';
import { type Endpoint, openSocket } from './connect.js';

const GREETING = 'imperm-agent 1\n';
const WANTED = Buffer.from('ssh\n');

/**
 * Stands in for the agent of a machine that has no port of ours: greets once the machine's SSH server has answered, and
 * joins the line with that server each time a shell is wanted.
 */
export class AgentLine {
  readonly #line: Socket;
  /** Where the server is; absent while the machine is away. */
  #reached: { readonly endpoint: Endpoint; readonly budget: Budget } | undefined;
  #server: Socket | undefined;
  #waiting: Buffer = Buffer.alloc(0);
  #isJoining = false;

  /** @param line Our end of the agent's line. */
  constructor(line: Socket) {
    this.#line = line;
    line.on('data', (chunk: Buffer) => {
      if (this.#server === undefined) this.#hold(chunk);
      else this.#server.write(chunk);
    });
  }

  /** The machine can be talked to. @param budget Of every connection until it goes away. */
  greet(endpoint: Endpoint, budget: Budget): void {
    this.#reached = { endpoint, budget };
    this.#line.write(GREETING);
  }

  /** The machine has gone away: what was being said to it is lost. */
  forget(): void {
    this.#reached = undefined;
    this.#server?.destroy();
    this.#server = undefined;
    this.#waiting = Buffer.alloc(0);
    this.#isJoining = false;
  }

  /** Bytes for a server that is not connected yet. */
  #hold(chunk: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    if (this.#isJoining) return;
    const start = this.#waiting.indexOf(WANTED);
    if (start < 0 || this.#reached === undefined) return;
    this.#waiting = this.#waiting.subarray(start + WANTED.length);
    this.#isJoining = true;
    const { endpoint, budget } = this.#reached;
    openSocket(endpoint, budget).then(
      (server) => {
        this.#join(server);
      },
      // Whoever watches the machine sees it go; the one who waits for a shell has a budget.
      () => {
        this.forget();
      },
    );
  }

  #join(server: Socket): void {
    server.on('error', () => undefined);
    if (!this.#isJoining) {
      server.destroy();
      return;
    }
    this.#isJoining = false;
    this.#server = server;
    server.write(this.#waiting);
    this.#waiting = Buffer.alloc(0);
    server.on('data', (chunk: Buffer) => this.#line.write(chunk));
    server.once('close', () => {
      if (this.#server !== server) return;
      this.#server = undefined;
      // As the agent does when its sshd has ended.
      if (this.#reached !== undefined) this.#line.write(GREETING);
    });
  }
}

import type { Socket } from 'node:net';

import { type Budget, HarnessError } from '../core/index.js';

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface QmpReply {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
  readonly data?: Record<string, unknown>;
  readonly QMP?: unknown;
}

/** QEMU's control channel (QMP): JSON lines, replies by number, events at any time. */
export class QmpClient {
  readonly #socket: Socket;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void; command: string }
  >();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #buffer = '';
  #nextId = 1;
  #closed: HarnessError | undefined;
  readonly #over: Promise<never>;
  #endWaits: (error: HarnessError) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#over = new Promise((_resolve, reject) => {
      this.#endWaits = reject;
    });
    this.#over.catch(() => undefined);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      this.#receive(chunk);
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      this.#end(new HarnessError('MACHINE_DIED', 'QEMU closed its control channel'));
    });
    if (socket.closed) this.#end(new HarnessError('MACHINE_DIED', 'QEMU closed its control channel'));
  }

  /** Waits for QEMU's greeting and leaves negotiation mode. */
  static async start(socket: Socket, budget: Budget): Promise<QmpClient> {
    const client = new QmpClient(socket);
    await client.execute('qmp_capabilities', {}, budget);
    return client;
  }

  /**
   * @returns What QEMU returns.
   * @throws {HarnessError} TOOL_FAILED with QEMU's own words when it refuses, or when what it says makes no sense.
   * @throws {HarnessError} MACHINE_DIED when QEMU has gone.
   * @throws {HarnessError} TIMEOUT; INTERRUPTED.
   */
  async execute(command: string, args: Readonly<Record<string, unknown>>, budget: Budget): Promise<unknown> {
    if (this.#closed !== undefined) throw this.#closed;
    budget.check(); // before anything is sent
    const id = this.#nextId++;
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, command });
    });
    reply.catch(() => undefined);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await budget.race(reply);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** @returns A function that ends the subscription. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The next event that fits. Subscribe before causing it: call this first, then the command.
   *
   * @throws {HarnessError} MACHINE_DIED when QEMU has gone before.
   */
  waitForEvent(matches: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    const seen = new Promise<QmpEvent>((resolve) => {
      const stop = this.onEvent((event) => {
        if (!matches(event)) return;
        stop();
        resolve(event);
      });
    });
    const result = Promise.race([seen, this.#over]);
    result.catch(() => undefined); // the command that was to cause it may fail before anybody waits
    return result;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    this.#buffer += chunk;
    for (let end = this.#buffer.indexOf('\n'); end >= 0; end = this.#buffer.indexOf('\n')) {
      const line = this.#buffer.slice(0, end).trim();
      this.#buffer = this.#buffer.slice(end + 1);
      if (line === '') continue;
      const reply = parseReply(line);
      if (reply === undefined) {
        // Which command it was meant for cannot be known: no answer can be trusted any more.
        this.#end(
          new HarnessError('TOOL_FAILED', 'QEMU sent something on its control channel that is not QMP', {
            details: line.slice(0, 500),
          }),
        );
        this.#socket.destroy();
        return;
      }
      this.#dispatch(reply);
    }
  }

  #dispatch(reply: QmpReply): void {
    if (reply.event !== undefined) {
      const event = { event: reply.event, data: reply.data ?? {} };
      for (const listener of [...this.#listeners]) listener(event);
      return;
    }
    if (reply.id === undefined) return; // the greeting
    const pending = this.#pending.get(reply.id);
    if (reply.error === undefined) pending?.resolve(reply.return);
    else {
      pending?.reject(
        new HarnessError('TOOL_FAILED', `QEMU refused ${pending.command}: ${reply.error.desc}`),
      );
    }
  }

  #end(error: HarnessError): void {
    this.#closed ??= error;
    for (const pending of this.#pending.values()) pending.reject(this.#closed);
    this.#pending.clear();
    this.#listeners.clear();
    this.#endWaits(this.#closed);
  }
}

function parseReply(line: string): QmpReply | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

import type { Duplex, Readable } from 'node:stream';

import { HarnessError } from '../core/index.js';

/** A running command as SSH shows it: its end is told by `exit` and `close`. */
export interface CommandChannel extends Duplex {
  readonly stderr: Readable;
  setWindow(rows: number, columns: number, height: number, width: number): unknown;
  close(): unknown;
}

/** A window, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** What a command that needs a terminal gets. */
export interface TerminalKind extends TerminalSize {
  /** As in `TERM`. */
  readonly type: string;
}

/** How a command in a machine ended. */
export interface SessionEnd {
  /** 255 when a signal killed it. */
  readonly exitCode: number;
  /** Without `SIG`; absent when it ended by itself. */
  readonly signal?: string;
}

const KILLED = 255;

/** A command in a machine that somebody talks to while it runs. */
export class RemoteSession {
  /** Its standard input and output; on a terminal keyboard and screen. */
  readonly line: Duplex;
  readonly stderr: Readable;
  readonly #channel: CommandChannel;
  readonly #ended: Promise<SessionEnd>;

  /**
   * Made in the very moment of the opening: a quick command may have ended a moment later.
   *
   * @param broken Rejects when the connection has ended; the channel does not always tell.
   */
  constructor(channel: CommandChannel, broken: Promise<never>) {
    this.#channel = channel;
    this.line = channel;
    this.stderr = channel.stderr;
    channel.on('error', () => undefined); // input that the command did not read; its exit code says how it went
    let ended: SessionEnd | undefined;
    channel.on('exit', (code: number | null, signal?: string) => {
      ended = code === null ? { exitCode: KILLED, signal: signal ?? 'unknown' } : { exitCode: code };
    });
    const closed = new Promise<SessionEnd>((resolve, reject) => {
      channel.once('close', () => {
        if (ended !== undefined) resolve(ended);
        else
          reject(
            new HarnessError(
              'MACHINE_UNREACHABLE',
              'The connection to the machine ended before its command did',
            ),
          );
      });
    });
    this.#ended = Promise.race([closed, broken]);
    this.#ended.catch(() => undefined);
  }

  /** The window has another size now. Of a command without a terminal nothing changes. */
  resize({ columns, rows }: TerminalSize): void {
    this.#channel.setWindow(rows, columns, 0, 0);
  }

  /**
   * Settles when it has ended and all that it said has been received.
   *
   * @throws {HarnessError} MACHINE_UNREACHABLE when the connection ended first.
   */
  get ended(): Promise<SessionEnd> {
    return this.#ended;
  }

  /** Lets go of it; what it runs gets a hangup when it has a terminal. */
  close(): void {
    this.#channel.close();
  }
}

import type { Socket } from 'node:net';

import type { Redactor } from '../core/index.js';
import { LogFile } from './log-file.js';
import { waitForClose } from './socket.js';
import { TerminalLines } from './terminal-lines.js';

/** Writes what a machine tells on a line of its own, its journal, into a file; line by line, without secrets. */
export class JournalRecorder {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  /** @param options.onLine Receives every line, without secrets. */
  constructor(
    socket: Socket,
    options: {
      readonly logFile: string;
      readonly redactor: Redactor;
      readonly onLine?: (line: string) => void;
    },
  ) {
    const log = new LogFile(options.logFile);
    const lines = new TerminalLines((text) => {
      const line = options.redactor.clean(text);
      log.write(`${line}\n`);
      options.onLine?.(line);
    });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      lines.write(chunk);
    });
    this.#closed = waitForClose(socket).then(() => {
      lines.end();
      return log.close();
    });
    this.#closed.catch(() => undefined);
  }

  /** Settles when the file is complete. The machine must have ended: what it said last is still read. */
  async close(): Promise<void> {
    this.#socket.end();
    await this.#closed;
  }
}

import { createWriteStream, type WriteStream } from 'node:fs';
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';

import { type Budget, monotonicMs, type Redactor } from '../core/index.js';

// CSI and OSC sequences, single-character escapes, and control characters other than tab and newline.
// eslint-disable-next-line no-control-regex
const CONTROL = /\u001b\[[0-9;?=]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_()][0-9A-B]?|[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** systemd's running light, redrawn twice a second while it waits: says nothing once, let alone a hundred times. */
const RUNNING_LIGHT = /^\[[ *]{6}\] /;

/** Text of a console without control sequences. */
export function cleanConsoleText(text: string): string {
  return text.replaceAll(CONTROL, '');
}

/** How much text a pattern may stretch over. */
const MATCH_WINDOW = 4096;

export interface ConsoleLine {
  /** Milliseconds since power-on. */
  readonly atMs: number;
  readonly text: string;
}

export interface ConsoleOptions {
  /** File that receives every line with its time. */
  readonly logFile: string;
  readonly redactor: Redactor;
  readonly onLine?: (line: ConsoleLine) => void;
}

/**
 * A machine's serial console: every line with its time in a file, and patterns matched while it runs, also on a line
 * that has not ended yet (a prompt).
 */
export class MachineConsole {
  readonly #socket: Socket;
  readonly #options: ConsoleOptions;
  readonly #log: WriteStream;
  readonly #startMs = monotonicMs();
  readonly #lines: ConsoleLine[] = [];
  readonly #waiters = new Set<() => void>();
  readonly #decoder = new StringDecoder('utf8');
  readonly #closed: Promise<void>;
  #text = '';
  #lineStart = 0;
  #heldBack = '';
  #lastByteMs = monotonicMs();

  constructor(socket: Socket, options: ConsoleOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: 'a' });
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#endLine();
        this.#log.end(resolve);
      });
    });
  }

  /** Position behind everything received so far; pass it to `waitFor` to look only at what comes later. */
  get position(): number {
    return this.#text.length;
  }

  /** Milliseconds since the last byte. */
  get silentMs(): number {
    return monotonicMs() - this.#lastByteMs;
  }

  /** Milliseconds since power-on. */
  get elapsedMs(): number {
    return monotonicMs() - this.#startMs;
  }

  get lines(): readonly ConsoleLine[] {
    return this.#lines;
  }

  get lastLine(): string {
    return this.#lines.at(-1)?.text ?? '';
  }

  /** The last lines, as shown below an error. */
  tail(count = 25): string {
    const pending = this.#text.slice(this.#lineStart).trim();
    return [...this.#lines.slice(-count).map(formatLine), ...(pending === '' ? [] : [`[      … ] ${pending}`])].join('\n');
  }

  /** The first match at or behind `from`, as soon as there is one. */
  async waitFor(pattern: RegExp, budget: Budget, from = 0): Promise<{ match: RegExpExecArray; end: number }> {
    let searched = from;
    let wake: (() => void) | undefined;
    const find = (): { match: RegExpExecArray; end: number } | undefined => {
      const start = Math.max(from, searched - MATCH_WINDOW);
      const match = pattern.exec(this.#text.slice(start));
      searched = this.#text.length;
      return match === null ? undefined : { match, end: start + match.index + match[0].length };
    };
    const found = new Promise<{ match: RegExpExecArray; end: number }>((resolve) => {
      wake = () => {
        const result = find();
        if (result !== undefined) resolve(result);
      };
      this.#waiters.add(wake);
      wake();
    });
    try {
      return await budget.race(found);
    } finally {
      if (wake !== undefined) this.#waiters.delete(wake);
    }
  }

  /** Types on the console. */
  type(text: string): void {
    this.#socket.write(text);
  }

  /** Settles when the log file is complete. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.#closed;
  }

  #receive(chunk: Buffer): void {
    this.#lastByteMs = monotonicMs();
    let raw = this.#heldBack + this.#decoder.write(chunk);
    // An escape sequence may be cut in two: keep its beginning for the next chunk.
    const escape = raw.lastIndexOf('\u001b');
    // eslint-disable-next-line no-control-regex
    const cut = escape >= 0 && raw.length - escape < 32 && !/^\u001b(?:\[[0-9;?=]*[ -/]*[@-~]|[^[\]])/.test(raw.slice(escape));
    this.#heldBack = cut ? raw.slice(escape) : '';
    if (cut) raw = raw.slice(0, escape);
    for (const part of cleanConsoleText(raw).split(/(\n)/)) {
      if (part === '\n') this.#endLine();
      else this.#text += part;
    }
    for (const wake of [...this.#waiters]) wake();
  }

  #endLine(): void {
    const text = this.#options.redactor.clean(this.#text.slice(this.#lineStart).trimEnd());
    this.#text += '\n';
    this.#lineStart = this.#text.length;
    if (text === '' || RUNNING_LIGHT.test(text)) return;
    const line = { atMs: this.elapsedMs, text };
    this.#lines.push(line);
    this.#log.write(`${formatLine(line)}\n`);
    this.#options.onLine?.(line);
  }
}

function formatLine(line: ConsoleLine): string {
  return `[${(line.atMs / 1000).toFixed(3).padStart(9)}] ${line.text}`;
}

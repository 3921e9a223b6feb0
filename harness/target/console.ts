import type { Duplex } from 'node:stream';

import { type Budget, HarnessError, monotonicMs, type Redactor } from '../core/index.js';
import { LogFile } from './log-file.js';
import { waitForClose } from './socket.js';
import { TerminalLines } from './terminal-lines.js';

/** systemd's running light, redrawn twice a second while it waits: says nothing once, let alone a hundred times. */
const RUNNING_LIGHT = /^\[[ *]{6}\] /;

/** How much text a pattern may stretch over, in characters. */
const MATCH_WINDOW = 4096;

/** Text that is searched again at every chunk is kept short: a machine that never stops talking must not slow us down. */
const RECENT_LIMIT = 8 * MATCH_WINDOW;

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

/** Where a pattern matched. */
export interface ConsoleMatch {
  readonly match: RegExpExecArray;
  /** Position behind the match. */
  readonly end: number;
}

/**
 * A machine's serial console: every line with its time in a file, and patterns matched while it runs, also on a line
 * that has not ended yet (a prompt).
 */
export class MachineConsole {
  readonly #line: Duplex;
  readonly #options: ConsoleOptions;
  readonly #log: LogFile;
  readonly #terminal: TerminalLines;
  readonly #startMs = monotonicMs();
  readonly #lines: ConsoleLine[] = [];
  readonly #waiters = new Set<() => void>();
  readonly #closed: Promise<void>;
  readonly #over: Promise<never>;
  /** All ended lines: the older ones in blocks, then the recent ones. */
  readonly #older: string[] = [];
  #olderLength = 0;
  #recent = '';
  #lastByteMs = monotonicMs();

  constructor(line: Duplex, options: ConsoleOptions) {
    this.#line = line;
    this.#options = options;
    this.#log = new LogFile(options.logFile);
    this.#terminal = new TerminalLines((text) => {
      this.#endLine(text);
    });
    line.on('data', (chunk: Buffer) => {
      this.#lastByteMs = monotonicMs();
      this.#terminal.write(chunk);
      this.#wakeAll();
    });
    const ended = waitForClose(line).then(() => {
      this.#terminal.end();
      this.#wakeAll();
    });
    this.#closed = ended.then(() => this.#log.close());
    this.#over = ended.then(() => {
      throw new HarnessError('MACHINE_DIED', 'The machine closed its console', { details: this.tail() });
    });
    for (const promise of [this.#closed, this.#over]) promise.catch(() => undefined);
  }

  /** Position behind everything received so far; pass it to `waitFor` to look only at what comes later. */
  get position(): number {
    return this.#olderLength + this.#recent.length + this.#terminal.unfinished.length;
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
    const unfinished = this.#options.redactor.clean(this.#terminal.unfinished).trim();
    return [
      ...this.#lines.slice(-count).map(formatLine),
      ...(unfinished === '' ? [] : [`[      … ] ${unfinished}`]),
    ].join('\n');
  }

  /**
   * The first match at or behind `from`, as soon as there is one.
   *
   * @param from A `position`; default 0, everything since power-on.
   * @throws {HarnessError} MACHINE_DIED when the machine ends before it says so; TIMEOUT; INTERRUPTED.
   */
  async waitFor(pattern: RegExp, budget: Budget, from = 0): Promise<ConsoleMatch> {
    // Global: started inside the text and not on a copy of its end, where `^` would match what begins no line.
    const search = new RegExp(pattern, `${pattern.flags.replace('g', '')}g`);
    let start = from;
    let wake: (() => void) | undefined;
    const found = new Promise<ConsoleMatch>((resolve) => {
      wake = () => {
        const result = this.#find(search, start);
        if (result !== undefined) resolve(result);
        start = Math.max(from, this.position - MATCH_WINDOW);
      };
      this.#waiters.add(wake);
      wake();
    });
    try {
      return await budget.race(Promise.race([found, this.#over]));
    } finally {
      if (wake !== undefined) this.#waiters.delete(wake);
    }
  }

  /** Rejects when the machine has closed it. */
  get over(): Promise<never> {
    return this.#over;
  }

  /**
   * Hands over every byte as it comes, besides all else that is done with it.
   *
   * @returns To be called when nobody listens any more.
   */
  listen(onBytes: (chunk: Buffer) => void): () => void {
    this.#line.on('data', onBytes);
    return () => this.#line.off('data', onBytes);
  }

  /** Types on the console. */
  type(text: string | Buffer): void {
    this.#line.write(text);
  }

  /**
   * Settles when the log file is complete. The machine must have ended: what it said last is still read.
   *
   * @throws {HarnessError} HOST_UNFIT when the file could not be written.
   */
  async close(): Promise<void> {
    this.#line.end();
    await this.#closed;
  }

  #wakeAll(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  #find(search: RegExp, from: number): ConsoleMatch | undefined {
    const isRecent = from >= this.#olderLength;
    const offset = isRecent ? this.#olderLength : 0;
    const text = (isRecent ? '' : this.#older.join('')) + this.#recent + this.#terminal.unfinished;
    search.lastIndex = from - offset;
    const match = search.exec(text);
    return match === null ? undefined : { match, end: offset + search.lastIndex };
  }

  #endLine(shown: string): void {
    this.#recent += `${shown}\n`;
    if (this.#recent.length > RECENT_LIMIT) {
      const older = this.#recent.slice(0, -MATCH_WINDOW);
      this.#older.push(older);
      this.#olderLength += older.length;
      this.#recent = this.#recent.slice(older.length);
    }
    const text = this.#options.redactor.clean(shown.trimEnd());
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

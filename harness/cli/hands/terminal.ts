import type { Readable } from 'node:stream';

import { interruptedError } from '../../core/index.js';
import type { MachineConsole, RemoteSession, SessionEnd, TerminalSize } from '../../target/index.js';

/** Ctrl-], as in telnet: no program in the machine needs it. */
export const LEAVE_KEY = 0x1d;
/** What a program that was left in the middle may have changed: pasting, colours, the cursor, the second screen. */
const RESTORE = '\u001b[?2004l\u001b[0m\u001b[?25h\u001b[?1049l\r\n';
const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };

/** The terminal of a person. */
export interface Terminal {
  readonly input: Readable & { setRawMode?(isRaw: boolean): unknown };
  readonly output: {
    write(chunk: Buffer | string): unknown;
    on(event: 'resize', listener: () => void): unknown;
    off(event: 'resize', listener: () => void): unknown;
    readonly columns?: number;
    readonly rows?: number;
  };
}

/** What a terminal is joined with. */
export interface FarEnd {
  write(chunk: Buffer): void;
  /** @returns To be called when nobody listens any more. */
  listen(onBytes: (chunk: Buffer) => void): () => void;
  resize?(size: TerminalSize): void;
  /** Settles at its end. Absent: it has none of its own. */
  readonly ended?: Promise<SessionEnd>;
}

/**
 * Joins a person's terminal with something in a machine, every key included, until that ends or the person leaves it with
 * Ctrl-]. The terminal is as before afterwards, however this ends.
 *
 * @returns How it ended; undefined when the person has left it.
 * @throws {HarnessError} INTERRUPTED when `signal` fires; as `far.ended`.
 */
export async function joinTerminal(
  far: FarEnd,
  { input, output }: Terminal,
  signal: AbortSignal,
): Promise<SessionEnd | undefined> {
  if (signal.aborted) throw interruptedError(signal);
  let leave: () => void = () => undefined;
  let interrupt: () => void = () => undefined;
  const left = new Promise<undefined>((resolve, reject) => {
    leave = () => {
      resolve(undefined);
    };
    interrupt = () => {
      reject(interruptedError(signal));
    };
  });
  const onData = (chunk: Buffer): void => {
    const at = chunk.indexOf(LEAVE_KEY);
    const typed = at < 0 ? chunk : chunk.subarray(0, at);
    if (typed.length > 0) far.write(typed);
    if (at >= 0) leave();
  };
  const onResize = (): void => far.resize?.(sizeOf({ input, output }));
  const unlisten = far.listen((chunk) => {
    output.write(chunk);
  });
  input.setRawMode?.(true);
  input.on('data', onData);
  // Whoever was joined before has paused it.
  input.resume();
  // The window is gone: nobody types any more.
  input.once('end', leave);
  input.on('error', leave);
  output.on('resize', onResize);
  signal.addEventListener('abort', interrupt, { once: true });
  let hasEnded = false;
  try {
    const end = await Promise.race([left, ...(far.ended === undefined ? [] : [far.ended])]);
    hasEnded = end !== undefined;
    return end;
  } finally {
    signal.removeEventListener('abort', interrupt);
    output.off('resize', onResize);
    input.off('end', leave);
    input.off('data', onData);
    input.setRawMode?.(false);
    input.off('error', leave);
    input.pause();
    unlisten();
    if (!hasEnded) output.write(RESTORE);
  }
}

/** How large the window is; of something that is none, 80 by 24. */
export function sizeOf({ output }: Terminal): TerminalSize {
  const { columns, rows } = output;
  return columns === undefined || rows === undefined || columns * rows === 0
    ? DEFAULT_SIZE
    : { columns, rows };
}

/** A command in a machine, as the other end of a terminal. */
export function farSession(session: RemoteSession): FarEnd {
  return {
    write: (chunk) => {
      session.line.write(chunk);
    },
    listen: (onBytes) => {
      session.line.on('data', onBytes);
      // On a terminal nothing comes this way; unread, it would hold up the end.
      session.stderr.on('data', onBytes);
      return () => {
        session.line.off('data', onBytes);
        session.stderr.off('data', onBytes);
      };
    },
    resize: (size) => {
      session.resize(size);
    },
    ended: session.ended,
  };
}

/** A serial console, as the other end of a terminal. */
export function farConsole(console: MachineConsole, ended: Promise<SessionEnd>): FarEnd {
  return {
    write: (chunk) => {
      console.type(chunk);
    },
    listen: (onBytes) => console.listen(onBytes),
    ended,
  };
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';

import { createTapReader, type TapCount } from './read-tap.js';

/** How long a test file may take to end after it was told to. */
const GRACE_MS = 20_000;
/** How long the output of an ended file may stay open: a process that it left behind may hold it for ever. */
const DRAIN_MS = 1000;
const OUTPUT_LIMIT_CHARACTERS = 1024 * 1024;

export interface TestFileResult extends TapCount {
  /** What the file wrote to standard error, and on standard output beside its TAP. */
  readonly output: string;
  readonly durationMs: number;
}

export interface TestFileOptions {
  readonly cwd: string;
  /** Milliseconds for the whole file. */
  readonly timeoutMs: number;
  /** Whether tap keeps the limit inside the file, where it can say what was waited for. */
  readonly tapTimeout: boolean;
  /** Ends the file early. */
  readonly signal: AbortSignal;
  /** Told every finished test, comment and other line as it comes. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs one compiled test file as a process of its own and reads its TAP: the same that tap's own runner does, in a
 * fifth of its time, without its time limit (which ends a file before it has said why) and without files left
 * behind.
 *
 * A file passes when it makes at least one test point, keeps its plan and ends by itself with exit code 0.
 */
export async function runTestFile(file: string, options: TestFileOptions): Promise<TestFileResult> {
  const startMs = performance.now();
  const tap = createTapReader(options.onLine);
  let output = '';
  const addOutput = (text: string): void => {
    output = (output + text).slice(-OUTPUT_LIMIT_CHARACTERS);
  };

  const child = startTestFile(file, options);
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    tap.write(text);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    addOutput(text);
    for (const line of text.trimEnd().split('\n')) options.onLine?.(line);
  });
  const reason = await waitForEnd(child, options);
  await drain(child);

  const result = tap.finish();
  const failures = [...result.failures];
  let { failed } = result;
  // Test points that failed have told already why the exit code is not 0.
  if (reason !== undefined && !(failed > 0 && reason.isExitCode)) failures.push({ name: reason.text });
  else if (result.passed + failed + result.skipped.length === 0)
    failures.push({ name: 'made no test point' });
  // What failed may have no test point of its own: a broken plan, a bail-out, an exit code.
  if (failures.length > 0 && failed === 0) failed = 1;
  return { ...result, failed, failures, output, durationMs: performance.now() - startMs };
}

function startTestFile(file: string, options: TestFileOptions): ChildProcess {
  const tapTimeoutS = options.tapTimeout ? options.timeoutMs / 1000 : 0;
  // The kernel ends the file when the driver dies, however that dies; and the file leads a process group of its
  // own, so that what it started can be ended with it.
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, '--enable-source-maps', file], {
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP_TIMEOUT: String(tapTimeoutS) },
  });
}

/** Waits for the process's end, and brings it about when it takes too long. Returns why it was no good end. */
async function waitForEnd(
  child: ChildProcess,
  options: TestFileOptions,
): Promise<{ text: string; isExitCode: boolean } | undefined> {
  let stopped: string | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (why: string): void => {
    if (stopped !== undefined) return;
    stopped = why;
    // As Ctrl-C: machines are shut down in order and what was seen is printed.
    killGroup(child, 'SIGINT');
    killTimer = setTimeout(() => {
      killGroup(child, 'SIGKILL');
    }, GRACE_MS);
  };
  const onAbort = (): void => {
    stop('interrupted');
  };
  // tap's own limit comes first: it prints what the file was waiting for.
  const limitMs = options.timeoutMs + (options.tapTimeout ? GRACE_MS / 2 : 0);
  const timer = setTimeout(() => {
    stop(`did not end within ${String(Math.round(options.timeoutMs / 1000))} s`);
  }, limitMs);
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) onAbort();
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    killGroup(child, 'SIGKILL');
    if (stopped !== undefined) return { text: stopped, isExitCode: false };
    if (code === 0) return undefined;
    if (signal !== null) return { text: `was ended by ${signal}`, isExitCode: false };
    return { text: `ended with exit code ${String(code)}`, isExitCode: true };
  } catch (error) {
    return { text: `could not be started: ${String(error)}`, isExitCode: false };
  } finally {
    clearTimeout(timer);
    clearTimeout(killTimer);
    options.signal.removeEventListener('abort', onAbort);
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nothing of it is left.
  }
}

async function drain(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, DRAIN_MS);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) await finished(stream).catch(() => undefined);
  }
  clearTimeout(timer);
}

import { closeSync, openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { execa, type Options } from 'execa';

import { type Budget, monotonicMs } from './budget.js';
import { toolEnvironment } from './env.js';
import { HarnessError } from './errors.js';
import { hasLivingMember } from './identity.js';

export interface RunProgramOptions {
  readonly cwd?: string;
  /** Added to the caller's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; absent: none. */
  readonly input?: string | Uint8Array;
  /** Time and abort; absent only for programs that end by themselves at once. */
  readonly budget?: Budget;
  /** Exit codes that are no error. Default [0]. */
  readonly okExitCodes?: readonly number[];
  /** Lines of output shown in the error. Default 15. */
  readonly tailLines?: number;
  /** Open files handed to the program as its descriptors 3, 4, … */
  readonly descriptors?: readonly number[];
  /** Let the program use the terminal (a password prompt of sudo, say). */
  readonly terminal?: boolean;
}

export interface ProgramResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** After this, what ignores the wish to end is killed. */
const KILL_AFTER_MS = 2000;

/**
 * Runs a program on the host to its end. There is no shell in between. With a budget it cannot outlive its time nor
 * us: it leads a process group of its own, which is ended as a whole, and the kernel ends it when this process dies.
 *
 * @throws {HarnessError} TOOL_FAILED when it cannot be started or ends with another exit code.
 * @throws {HarnessError} TIMEOUT or INTERRUPTED when the budget ends first; the program has ended by then.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  options.budget?.check();
  const isGroup = options.budget !== undefined && options.terminal !== true;
  const child = execa(isGroup ? 'setpriv' : file, isGroup ? [...dyingWithUs('TERM'), file, ...args] : args, {
    reject: false,
    extendEnv: false,
    env: toolEnvironment(options.env),
    detached: isGroup,
    forceKillAfterDelay: KILL_AFTER_MS,
    ...chooseStreams(options),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  const finished = Promise.resolve(child);
  let result: Awaited<typeof finished>;
  try {
    result = options.budget === undefined ? await finished : await options.budget.race(finished);
  } catch (error) {
    if (isGroup) await endGroup(child.pid, exited);
    else child.kill();
    // Something that left the group may still hold the pipes; nobody reads them any more.
    child.stdout?.destroy();
    child.stderr?.destroy();
    await finished;
    throw error;
  }
  const stdout = typeof result.stdout === 'string' ? result.stdout : '';
  const stderr = typeof result.stderr === 'string' ? result.stderr : '';
  if (result.exitCode === undefined || !(options.okExitCodes ?? [0]).includes(result.exitCode)) {
    const notStarted = NOT_STARTED.exec(stderr)?.[1] ?? result.originalMessage;
    const how =
      result.exitCode === undefined || NOT_STARTED.test(stderr)
        ? (result.signal ?? notStarted ?? 'could not be started')
        : `exit code ${String(result.exitCode)}`;
    throw new HarnessError('TOOL_FAILED', `${[file, ...args.slice(0, 4)].join(' ')} failed: ${how}`, {
      details: lastLines(`${stdout}\n${stderr}`, options.tailLines ?? 15),
      cause: result.cause,
    });
  }
  return { stdout, stderr, exitCode: result.exitCode };
}

/** Words of setpriv, in the language of `toolEnvironment`. */
const NOT_STARTED = /^setpriv: (failed to execute .*)/;

/** Arguments of setpriv, before a command: the kernel sends it the signal when this process dies, however it dies. */
function dyingWithUs(signal: 'TERM' | 'KILL'): string[] {
  return ['--pdeathsig', signal, '--'];
}

function chooseStreams(options: RunProgramOptions): Options {
  if (options.terminal === true) return { stdio: 'inherit' };
  // Any open descriptor works; execa's types only name the first few.
  const descriptors = (options.descriptors ?? []) as 3[];
  const stdio: Options = {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...descriptors],
  };
  return options.input === undefined ? stdio : { ...stdio, input: options.input };
}

/** Asks a process group to end, and makes it. Settles when nothing of it runs any more. */
async function endGroup(pid: number | undefined, exited: Promise<void>): Promise<void> {
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-pid, signal);
    } catch {
      // Nothing of it is left.
    }
  };
  send('SIGTERM');
  const timer = setTimeout(() => {
    send('SIGKILL');
  }, KILL_AFTER_MS);
  await exited;
  clearTimeout(timer);
  send('SIGKILL'); // what the leader has left behind
  // A signal is only a wish until the process next runs. One that sleeps in a driver ends when the driver lets it.
  const deadlineMs = monotonicMs() + KILL_AFTER_MS;
  while (hasLivingMember(pid) && monotonicMs() < deadlineMs) await delay(5);
}

/** A program that runs beside us until it ends or is stopped. */
export interface RunningProgram {
  readonly pid: number;
  /** Settles when the program has ended, never rejects. */
  readonly ended: Promise<ProgramEnd>;
  /** Its standard input, when it was asked for. */
  readonly input?: Writable;
  kill(signal: NodeJS.Signals): void;
}

export interface ProgramEnd {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/**
 * Starts a long-lived program that cannot outlive us: the kernel kills it when this process dies, however it
 * dies. The program gets a session of its own, so that a Ctrl-C at the terminal reaches only us. Its end is that of
 * the program alone: a grandchild may hold its output open for longer.
 *
 * @param args The program and its arguments; `setpriv` must be able to find it.
 * @param options.logFile Receives what it prints.
 * @param options.onOutput Receives what it prints on its standard output, which then does not go to the file.
 * @throws {HarnessError} TOOL_FAILED when it cannot be started.
 */
export function startProgram(
  args: readonly string[],
  options: {
    readonly logFile: string;
    readonly onOutput?: (text: string) => void;
    /** It has a standard input, which ends when we do. Default: none. */
    readonly takesInput?: boolean;
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): RunningProgram {
  const log = openSync(options.logFile, 'a');
  // Any open descriptor works; execa's types only name the first few.
  const descriptor = log as 3;
  try {
    const child = execa('setpriv', [...dyingWithUs('KILL'), ...args], {
      reject: false,
      detached: true,
      cleanup: false,
      buffer: false,
      extendEnv: false,
      env: toolEnvironment(options.env),
      stdin: options.takesInput === true ? 'pipe' : 'ignore',
      stdout: options.onOutput === undefined ? descriptor : 'pipe',
      stderr: descriptor,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const { onOutput } = options;
    // Whoever writes learns of the end from `ended`.
    child.stdin?.on('error', () => undefined);
    if (onOutput !== undefined) child.stdout?.setEncoding('utf8').on('data', onOutput);
    // With the program everybody has gone who had something to say to us.
    child.once('exit', () => {
      child.stdout?.destroy();
    });
    const pid = child.pid;
    if (pid === undefined) {
      throw new HarnessError('TOOL_FAILED', `Could not start setpriv for ${args[0] ?? ''}`, {
        hint: 'setpriv belongs to util-linux; `imperm doctor` shows what is missing.',
      });
    }
    return {
      pid,
      ended: Promise.resolve(child).then((result) => ({ exitCode: result.exitCode, signal: result.signal })),
      ...(child.stdin === null ? {} : { input: child.stdin }),
      kill: (signal) => {
        child.kill(signal);
      },
    };
  } finally {
    closeSync(log);
  }
}

/** The last non-empty lines of a text. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}

import { closeSync, openSync } from 'node:fs';

import { execa } from 'execa';

import type { Budget } from './budget.js';
import { toolEnvironment } from './env.js';
import { HarnessError } from './errors.js';

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
  /** Let the program use the terminal (a password prompt of sudo, say). */
  readonly terminal?: boolean;
}

export interface ProgramResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/**
 * Runs a program on the host to its end. There is no shell in between.
 *
 * @throws {HarnessError} TOOL_FAILED when it cannot be started or ends with another exit code; TIMEOUT; INTERRUPTED.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  options.budget?.check();
  const stop = new AbortController();
  const child = execa(file, args, {
    reject: false,
    extendEnv: false,
    env: toolEnvironment(options.env),
    cancelSignal: stop.signal,
    forceKillAfterDelay: 2000,
    ...(options.terminal === true
      ? { stdio: 'inherit' as const }
      : options.input === undefined
        ? { stdin: 'ignore' as const }
        : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const finished = Promise.resolve(child);
  let result: Awaited<typeof finished>;
  try {
    result = options.budget === undefined ? await finished : await options.budget.race(finished);
  } catch (error) {
    stop.abort();
    await finished;
    throw error;
  }
  const stdout = typeof result.stdout === 'string' ? result.stdout : '';
  const stderr = typeof result.stderr === 'string' ? result.stderr : '';
  if (result.exitCode === undefined || !(options.okExitCodes ?? [0]).includes(result.exitCode)) {
    const how =
      result.exitCode === undefined
        ? (result.signal ?? result.originalMessage ?? 'could not be started')
        : `exit code ${String(result.exitCode)}`;
    throw new HarnessError('TOOL_FAILED', `${file} ${args.slice(0, 4).join(' ')} failed: ${how}`, {
      details: lastLines(`${stdout}\n${stderr}`, options.tailLines ?? 15),
      cause: result.cause,
    });
  }
  return { stdout, stderr, exitCode: result.exitCode };
}

/** A program that runs beside us until it ends or is stopped. */
export interface RunningProgram {
  readonly pid: number;
  /** Settles when the program has ended, never rejects. */
  readonly ended: Promise<ProgramEnd>;
  kill(signal: NodeJS.Signals): void;
}

export interface ProgramEnd {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/**
 * Starts a long-lived program that cannot outlive us: the kernel kills it when this process dies, however it
 * dies. Output goes to a file, never to a pipe: a grandchild that holds a pipe would keep us waiting, and the
 * program gets a session of its own, so that a Ctrl-C at the terminal reaches only us.
 *
 * @param args The program and its arguments; `setpriv` must be able to find it.
 * @throws {HarnessError} TOOL_FAILED when it cannot be started.
 */
export function startProgram(
  args: readonly string[],
  options: { readonly logFile: string; readonly cwd?: string; readonly env?: Readonly<Record<string, string>> },
): RunningProgram {
  const log = openSync(options.logFile, 'a');
  // Any open descriptor works; execa's types only name the first few.
  const descriptor = log as 3;
  try {
    const child = execa('setpriv', ['--pdeathsig', 'KILL', '--', ...args], {
      reject: false,
      detached: true,
      cleanup: false,
      buffer: false,
      extendEnv: false,
      env: toolEnvironment(options.env),
      stdin: 'ignore',
      stdout: descriptor,
      stderr: descriptor,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
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

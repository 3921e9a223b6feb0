import { type FileHandle, open, rm, stat } from 'node:fs/promises';

import type { Budget } from './budget.js';
import { runProgram } from './process.js';

/** Exit code that we ask of flock when somebody else holds the lock; it uses none of this value itself. */
const HELD_BY_ANOTHER = 9;

export interface Lock {
  release(): Promise<void>;
}

export interface TakeLockOptions {
  readonly budget: Budget;
  /** Called once when another process holds the lock and we wait for it. */
  readonly onWait?: () => void;
}

/**
 * A lock between processes that the kernel keeps: it ends with its holder, however that ends, so there is no dead
 * owner to recognise and no moment at which two could take over from one.
 *
 * @param file Made when it is not there, removed at the release.
 * @throws {HarnessError} TOOL_FAILED when the file system knows no locks; TIMEOUT; INTERRUPTED.
 */
export async function takeLock(file: string, options: TakeLockOptions): Promise<Lock> {
  let { onWait } = options;
  for (;;) {
    const lock = await lockOnce(file, async (handle) => {
      if (await tryLock(handle, ['--nonblock'], options.budget)) return true;
      onWait?.();
      onWait = undefined;
      return tryLock(handle, [], options.budget);
    });
    if (lock !== undefined) return lock;
  }
}

/**
 * As `takeLock`, without waiting.
 *
 * @returns Undefined when another has the lock.
 */
export async function tryTakeLock(file: string, budget: Budget): Promise<Lock | undefined> {
  return lockOnce(file, (handle) => tryLock(handle, ['--nonblock'], budget));
}

/** @returns Undefined when `lock` did not get it, or when it was removed in between. */
async function lockOnce(
  file: string,
  lock: (handle: FileHandle) => Promise<boolean>,
): Promise<Lock | undefined> {
  const handle = await open(file, 'a', 0o600);
  try {
    if ((await lock(handle)) && (await isStill(file, handle))) {
      return {
        release: async () => {
          // Removed while it is still locked: who waits for it sees that the name is gone and begins anew.
          await rm(file, { force: true });
          await handle.close();
        },
      };
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

/** Node cannot lock. flock locks the file that we opened and handed to it, and the lock stays when flock has ended. */
async function tryLock(handle: FileHandle, args: readonly string[], budget: Budget): Promise<boolean> {
  const { exitCode } = await runProgram(
    'flock',
    [...args, '--conflict-exit-code', String(HELD_BY_ANOTHER), '3'],
    {
      budget,
      descriptors: [handle.fd],
      okExitCodes: [0, HELD_BY_ANOTHER],
    },
  );
  return exitCode === 0;
}

/** Whether the name still means the file that we opened. */
async function isStill(file: string, handle: FileHandle): Promise<boolean> {
  const named = await stat(file).catch(() => undefined);
  const opened = await handle.stat();
  return named?.ino === opened.ino && named.dev === opened.dev;
}

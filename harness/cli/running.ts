import { stat } from 'node:fs/promises';
import path from 'node:path';

import { Budget, type Lock, takeLock, tryTakeLock } from '../core/index.js';

/** In a run's folder, locked as long as the run lasts; the kernel lets go of it, however the run ends. */
const RUNNING_FILE = '.running';
const LOCK_MS = 10_000;

/** Tells others that a run is in progress. @param folder Of the run. */
export async function markRunning(folder: string, signal: AbortSignal): Promise<Lock> {
  return takeLock(path.join(folder, RUNNING_FILE), {
    budget: Budget.start("the run's folder to be marked", LOCK_MS, signal),
  });
}

/** Whether a run was ended from outside, before it could write its record. @param folder Of the run. */
export async function wasKilled(folder: string): Promise<boolean> {
  const file = path.join(folder, RUNNING_FILE);
  if ((await stat(file).catch(() => undefined)) === undefined) return false;
  const budget = Budget.start('whether a run is in progress', LOCK_MS, new AbortController().signal);
  const lock = await tryTakeLock(file, budget);
  await lock?.release();
  return lock !== undefined;
}

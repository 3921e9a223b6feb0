import os from 'node:os';

import { HarnessError } from '../core/index.js';
import type { Scenario } from '../scenario/index.js';

/** What a machine takes beside its own memory: QEMU itself, and the code that it has translated. */
const MACHINE_OVERHEAD_MIB = 512;

/** MiB that the machine of a scenario takes of the host. */
export function memoryOf({ machine }: Scenario): number {
  return machine.memoryMiB + MACHINE_OVERHEAD_MIB;
}

/**
 * Processors that the machine of a scenario has.
 *
 * @param ordinary Of a machine of which the scenario does not say how many.
 */
export function processorsOf({ machine }: Scenario, ordinary: number): number {
  return machine.cpus ?? ordinary;
}

/**
 * Processors of all machines together: as many as the ordinary machines have that would be run at once, so that a machine with
 * more of them counts for so many more. Whoever gives a number of machines with `--jobs` has counted already.
 *
 * @param text As given with `--jobs`.
 * @param ordinary Processors of an ordinary machine.
 * @param cpus As `readJobs`.
 */
export function processorBudget(text: string | undefined, ordinary: number, cpus?: number): number {
  return text === undefined ? readJobs(text, cpus) * ordinary : Infinity;
}

/**
 * Most machines at once.
 *
 * @param text As given with `--jobs`. Default: one more than there are processors.
 * @param cpus Processors of the host that has the machines. Default: of this one.
 * @throws {HarnessError} USAGE when it is no number from 1.
 */
export function readJobs(text: string | undefined, cpus = os.availableParallelism()): number {
  // A machine waits a good part of its time: for the delay after a wrong password, for its disk, for the harness.
  if (text === undefined) return cpus + 1;
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw new HarnessError('USAGE', `--jobs takes a whole number from 1, not "${text}"`);
  return Number(text);
}

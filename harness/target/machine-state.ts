import { type Budget, HarnessError } from '../core/index.js';
import type { QmpClient } from './qmp.js';

/** Bytes a second: as fast as the disk is. */
const MAX_BANDWIDTH = 100 * 2 ** 30;

/**
 * Writes the state of a running machine to a file and leaves the machine paused.
 *
 * @throws {HarnessError} TOOL_FAILED when QEMU cannot save it.
 */
export async function saveMachineState(qmp: QmpClient, file: string, budget: Budget): Promise<void> {
  await qmp.execute('stop', {}, budget);
  await prepare(qmp, budget);
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': MAX_BANDWIDTH }, budget);
  if (!(await migrate(qmp, { command: 'migrate', file, budget }))) {
    throw new HarnessError('TOOL_FAILED', `QEMU could not save the machine's state (${file})`);
  }
}

/**
 * Fills a machine that was started to wait for a state, and lets it run.
 *
 * @throws {HarnessError} TOOL_FAILED when the state is not one of this machine.
 */
export async function restoreMachineState(qmp: QmpClient, file: string, budget: Budget): Promise<void> {
  await prepare(qmp, budget);
  if (!(await migrate(qmp, { command: 'migrate-incoming', file, budget }))) {
    throw new HarnessError('TOOL_FAILED', `QEMU could not restore the machine's state (${file})`);
  }
  await qmp.execute('cont', {}, budget);
}

async function prepare(qmp: QmpClient, budget: Budget): Promise<void> {
  const capabilities = ['mapped-ram', 'events'].map((capability) => ({ capability, state: true }));
  await qmp.execute('migrate-set-capabilities', { capabilities }, budget);
}

interface Migration {
  readonly command: 'migrate' | 'migrate-incoming';
  readonly file: string;
  readonly budget: Budget;
}

/** @returns Whether QEMU could. */
async function migrate(qmp: QmpClient, { command, file, budget }: Migration): Promise<boolean> {
  const over = qmp.waitForEvent(
    ({ event, data }) =>
      event === 'MIGRATION' && (data['status'] === 'completed' || data['status'] === 'failed'),
  );
  await qmp.execute(command, { uri: `file:${file}` }, budget);
  const { data } = await budget.race(over);
  return data['status'] === 'completed';
}

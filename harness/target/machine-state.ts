import { type Budget, HarnessError, quote } from '../core/index.js';
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
  const isMapped = await prepare(qmp, budget);
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': MAX_BANDWIDTH }, budget);
  const uri = isMapped ? `file:${file}` : `exec:cat >${quote(file)}`;
  if (!(await migrate(qmp, { command: 'migrate', uri, budget }))) {
    throw new HarnessError('TOOL_FAILED', `QEMU could not save the machine's state (${file})`);
  }
}

/**
 * Fills a machine that was started to wait for a state, and lets it run.
 *
 * @throws {HarnessError} TOOL_FAILED when the state is not one of this machine.
 */
export async function restoreMachineState(qmp: QmpClient, file: string, budget: Budget): Promise<void> {
  const uri = (await prepare(qmp, budget)) ? `file:${file}` : `exec:cat ${quote(file)}`;
  if (!(await migrate(qmp, { command: 'migrate-incoming', uri, budget }))) {
    throw new HarnessError('TOOL_FAILED', `QEMU could not restore the machine's state (${file})`);
  }
  await qmp.execute('cont', {}, budget);
}

/**
 * @returns Whether pages have fixed places in the file, which is then read as fast as memory. QEMU before 9.0 only knows a stream,
 * and no files.
 */
async function prepare(qmp: QmpClient, budget: Budget): Promise<boolean> {
  const known = (await qmp.execute('query-migrate-capabilities', {}, budget)) as readonly {
    readonly capability: string;
  }[];
  const isMapped = known.some(({ capability }) => capability === 'mapped-ram');
  const capabilities = [...(isMapped ? ['mapped-ram'] : []), 'events'].map((capability) => ({
    capability,
    state: true,
  }));
  await qmp.execute('migrate-set-capabilities', { capabilities }, budget);
  return isMapped;
}

interface Migration {
  readonly command: 'migrate' | 'migrate-incoming';
  readonly uri: string;
  readonly budget: Budget;
}

/** @returns Whether QEMU could. */
async function migrate(qmp: QmpClient, { command, uri, budget }: Migration): Promise<boolean> {
  const over = qmp.waitForEvent(
    ({ event, data }) =>
      event === 'MIGRATION' && (data['status'] === 'completed' || data['status'] === 'failed'),
  );
  await qmp.execute(command, { uri }, budget);
  const { data } = await budget.race(over);
  return data['status'] === 'completed';
}

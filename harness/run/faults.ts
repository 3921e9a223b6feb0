import { collectHeaders, type InstallEvidence } from '../probe/index.js';
import { type DiskFault, type Fault, isPowerOnFault, type Scenario } from '../scenario/index.js';
import type { VariantContext } from './context.js';
import { diskFaults } from './disk-faults.js';
import { lookInInspector } from './inspect.js';
import { faultMachine } from './machine-faults.js';
import type { MachineParts } from './machine-parts.js';
import { makeBoundary } from './boundary.js';

/** A machine to which faults were done. */
export interface Faulted {
  readonly parts: MachineParts;
  /** Digests of the LUKS headers, where a fault was to write into one: what comes later is to leave it as it is now. */
  readonly headers?: InstallEvidence['headers'];
}

/**
 * Does faults to a machine that is off, in their order.
 *
 * @param options.isInstalled Whether there is a system on its disk.
 * @throws {HarnessError} STEP_FAILED when a fault cannot be done.
 */
export async function applyFaults(
  faults: readonly Fault[],
  parts: MachineParts,
  options: { readonly scenario: Scenario; readonly context: VariantContext; readonly isInstalled: boolean },
): Promise<Faulted> {
  const { scenario, context, isInstalled } = options;
  return context.phases.run('faults', async () => {
    let faulted = parts;
    let headers: InstallEvidence['headers'] | undefined;
    let pending: (Fault & DiskFault)[] = [];
    // One look into the installer for all that stand together.
    const flush = async (): Promise<void> => {
      const group = pending;
      pending = [];
      if (group.length === 0) return;
      await lookInInspector(faulted, context, {
        scenario,
        label: `the disk to be changed (${group.map(({ title }) => title).join('; ')})`,
        collect: (device) => diskFaults(scenario, group, { device, isInstalled, boundary: makeBoundary() }),
      });
      if (group.some(({ kind }) => kind === 'label'))
        headers = await lookInInspector(faulted, context, {
          scenario,
          label: 'the LUKS headers after the faults',
          collect: () => collectHeaders(scenario, { boundary: makeBoundary() }),
        });
    };
    for (const fault of faults) {
      if (!isPowerOnFault(fault)) {
        pending.push(fault);
        continue;
      }
      await flush();
      faulted = await faultMachine(fault, faulted, context);
    }
    await flush();
    for (const { title } of faults) context.emit({ type: 'note', level: 'info', text: `Fault: ${title}` });
    return { parts: faulted, ...(headers === undefined ? {} : { headers }) };
  });
}

import path from 'node:path';

import { type Collection, type DiskEvidence, type DiskTree, inspectDisk } from '../probe/index.js';
import type { HardwareHost, Scenario } from '../scenario/index.js';
import type { Machine, MachineShell } from '../target/index.js';
import { makeBoundary } from './boundary.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { attachDisk, givePassphrase, PASSPHRASE_FILE } from './install.js';
import { openInstaller } from './installer.js';
import type { MachineParts } from './machine-parts.js';
import { findRealDisks } from './real-disks.js';

/** Reads the powered-off disk in a copy of the installer: what the system itself cannot tell, or would tell wrongly. */
export function inspectPoweredOff(
  scenario: Scenario,
  parts: MachineParts,
  context: VariantContext & { readonly trees: readonly DiskTree[]; readonly journal: boolean },
): Promise<DiskEvidence> {
  return lookInInspector(parts, context, {
    scenario,
    label: 'the powered-off disk to be inspected',
    collect: (device) =>
      inspectDisk(scenario, {
        device,
        passphraseFile: PASSPHRASE_FILE,
        trees: context.trees,
        journal: context.journal,
        boundary: makeBoundary(),
      }),
  });
}

/**
 * Starts a copy of the installer with the machine's disks and gathers evidence there.
 *
 * @param options.label What is waited for.
 * @param options.collect What to gather; gets the name of the first disk, `/dev/vda`.
 */
export async function lookInInspector<T>(
  parts: MachineParts,
  context: VariantContext,
  options: {
    readonly scenario: Scenario;
    readonly label: string;
    readonly collect: (device: string) => Collection<T>;
  },
): Promise<T> {
  const { budget, timeScale, hardware } = context;
  const limitMs = LIMITS_MS.inspect + (hardware === undefined ? 0 : LIMITS_MS.realBoot);
  const part = budget.part(
    options.label,
    limitMs * timeScale,
    hardware === undefined ? {} : { hint: describeReturn(hardware.host) },
  );
  const { machine, shell, names } = await openWithDisks(parts, context, { budget: part, log: 'inspector' });
  await using running = machine;
  if (hardware !== undefined)
    names.push(...(await findRealDisks(options.scenario, hardware.host, { shell, budget: part })));
  await givePassphrase(shell, parts, part);
  const collection = options.collect(names[0] ?? '');
  const result = await running.until(shell.execute('bash -s', part, { input: collection.script }), part);
  // The end of a variant: its system is not started any more.
  await hardware?.restoreFirmware(shell, part);
  return collection.parse(result.stdout);
}

/**
 * Starts a copy of the installer with a machine's disks. The machine itself is off.
 *
 * @param options.log What its console and journal are called in the variant's folder.
 * @returns The names of the disks there, `/dev/vda`, in their order.
 */
export async function openWithDisks(
  parts: Pick<MachineParts, 'disks'>,
  context: Pick<VariantContext, 'host' | 'guest' | 'redactor' | 'folder' | 'emit' | 'variant'>,
  options: { readonly budget: VariantContext['budget']; readonly log: string },
): Promise<{ readonly machine: Machine; readonly shell: MachineShell; readonly names: string[] }> {
  const { host, guest, redactor, folder, emit, variant } = context;
  const { budget, log } = options;
  const { machine, shell } = await openInstaller({
    host,
    installer: guest.installer,
    budget,
    redactor,
    consoleFile: path.join(folder, `${log}-console.log`),
    journalFile: path.join(folder, `${log}-journal.log`),
    onConsoleLine: (line) => {
      emit({ type: 'console', variant, line: line.text });
    },
    onCleanupError: (what, error) => {
      emit({ type: 'note', level: 'warn', text: `${what}: ${String(error)}` });
    },
  });
  try {
    const names: string[] = [];
    // Here every disk has a controller of its own.
    for (const { namespace: _namespace, ...disk } of parts.disks)
      names.push(await attachDisk(machine, shell, disk, budget));
    return { machine, shell, names };
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

/** For whoever stands before a machine that has not come back. */
function describeReturn({ address, file }: HardwareHost): string {
  return `Reset ${address} by hand: it starts its installer. \`imperm hardware check ${file}\` tells when it answers. The disk is as the system left it; what it wrote last lies in the journals that the layout keeps (journalctl --directory=…/var/log/journal --boot).`;
}

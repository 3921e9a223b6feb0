import path from 'node:path';

import { type Collection, type DiskEvidence, type DiskTree, inspectDisk } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { makeBoundary } from './boundary.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { attachDisk, givePassphrase, PASSPHRASE_FILE } from './install.js';
import { openInstaller } from './installer.js';
import type { MachineParts } from './machine-parts.js';

/** Reads the powered-off disk in a copy of the installer: what the system itself cannot tell, or would tell wrongly. */
export function inspectPoweredOff(
  scenario: Scenario,
  parts: MachineParts,
  context: VariantContext & { readonly trees: readonly DiskTree[] },
): Promise<DiskEvidence> {
  return lookInInspector(parts, context, {
    label: 'the powered-off disk to be inspected',
    collect: (device) =>
      inspectDisk(scenario, {
        device,
        passphraseFile: PASSPHRASE_FILE,
        trees: context.trees,
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
  options: { readonly label: string; readonly collect: (device: string) => Collection<T> },
): Promise<T> {
  const { host, budget, timeScale } = context;
  const part = budget.part(options.label, LIMITS_MS.inspect * timeScale);
  const { machine, shell } = await openInstaller({
    host,
    installer: context.guest.installer,
    budget: part,
    redactor: context.redactor,
    consoleFile: path.join(context.folder, 'inspector-console.log'),
    journalFile: path.join(context.folder, 'inspector-journal.log'),
    onConsoleLine: (line) => {
      context.emit({ type: 'console', variant: context.variant, line: line.text });
    },
    onCleanupError: (what, error) => {
      context.emit({ type: 'note', level: 'warn', text: `${what}: ${String(error)}` });
    },
  });
  await using running = machine;
  const names: string[] = [];
  // Here every disk has a controller of its own.
  for (const { namespace: _namespace, ...disk } of parts.disks)
    names.push(await attachDisk(running, shell, disk, part));
  await givePassphrase(shell, parts, part);
  const collection = options.collect(names[0] ?? '');
  const result = await running.until(shell.execute('bash -s', part, { input: collection.script }), part);
  return collection.parse(result.stdout);
}

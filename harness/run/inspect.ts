import path from 'node:path';

import { type DiskEvidence, type DiskTree, inspectDisk } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { makeBoundary } from './boundary.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { attachDisk, givePassphrase, type MachineParts, PASSPHRASE_FILE } from './install.js';
import { openInstaller } from './installer.js';

/** Reads the powered-off disk in a copy of the installer: what the system itself cannot tell, or would tell wrongly. */
export async function inspectPoweredOff(
  scenario: Scenario,
  parts: MachineParts,
  context: VariantContext & { readonly trees: readonly DiskTree[] },
): Promise<DiskEvidence> {
  const { host, budget, timeScale } = context;
  const part = budget.part('the powered-off disk to be inspected', LIMITS_MS.inspect * timeScale);
  const { machine, shell } = await openInstaller({
    host,
    state: context.installer,
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
  const collection = inspectDisk(scenario, {
    device: names[0] ?? '',
    passphraseFile: PASSPHRASE_FILE,
    trees: context.trees,
    boundary: makeBoundary(),
  });
  const result = await running.until(shell.execute('bash -s', part, { input: collection.script }), part);
  return collection.parse(result.stdout);
}

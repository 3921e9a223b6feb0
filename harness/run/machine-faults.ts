import path from 'node:path';

import { HarnessError } from '../core/index.js';
import type { PowerOnFault } from '../scenario/index.js';
import type { MachineDisk } from '../target/index.js';
import type { VariantContext } from './context.js';
import type { MachineFaults } from './fault-state.js';
import type { MachineParts } from './machine-parts.js';

/** Changes the machine, which is off. */
export async function faultMachine(
  fault: PowerOnFault,
  parts: MachineParts,
  context: VariantContext,
): Promise<MachineParts> {
  const { faults } = parts;
  const change = (changed: Partial<MachineFaults>): MachineParts => ({
    ...parts,
    faults: { ...faults, ...changed },
  });
  switch (fault.kind) {
    case 'slow-disk': {
      const { bytesPerSecond, operationsPerSecond } = fault;
      const rate = {
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
        ...(operationsPerSecond === undefined ? {} : { operationsPerSecond }),
      };
      return change({ rates: new Map([...faults.rates, [fault.disk, rate]]) });
    }
    case 'detach-disk':
      return change({ absent: new Set([...faults.absent, fault.disk]) });
    case 'attach-disk':
      return change({ absent: new Set([...faults.absent].filter((name) => name !== fault.disk)) });
    case 'clone-disk':
      return change({ clones: [...faults.clones, await cloneDisk(fault.disk, parts, context)] });
    case 'clock': {
      const { shiftMs, at } = fault;
      return change({ clock: { shiftMs, ...(at === undefined ? {} : { at }) } });
    }
    case 'passphrase':
      return change({ typing: { afterMs: fault.afterMs, wrong: fault.wrong } });
  }
}

async function cloneDisk(name: string, parts: MachineParts, context: VariantContext): Promise<MachineDisk> {
  const disk = parts.disks.find((each) => each.name === name);
  if (disk === undefined) throw new HarnessError('INTERNAL', `Internal error: there is no disk ${name}`);
  const { bootIndex: _bootIndex, backingFile: _backingFile, namespace: _namespace, ...same } = disk;
  const clone = `clone${String(parts.faults.clones.length + 1)}`;
  const file = path.join(path.dirname(disk.file), `${clone}.qcow2`);
  await context.host.toolbox.run(
    'qemu-img',
    ['convert', '-q', '-f', disk.format, '-O', 'qcow2', disk.file, file],
    context.budget,
  );
  return { ...same, name: clone, file, format: 'qcow2' };
}

/** The disks that the machine has when it is powered on. */
export function disksAtPowerOn({
  disks,
  faults,
}: Pick<MachineParts, 'disks' | 'faults'>): readonly MachineDisk[] {
  return [...disks.filter(({ name }) => !faults.absent.has(name)), ...faults.clones].map((disk) => {
    const rate = faults.rates.get(disk.name);
    return rate === undefined ? disk : { ...disk, rate };
  });
}

/** What the clock shows at power-on, in milliseconds since 1970; undefined: the time. */
export function clockAtPowerOn({ clock }: MachineFaults, nowMs: number): number | undefined {
  if (clock === undefined) return undefined;
  return clock.at === undefined ? nowMs + clock.shiftMs : Date.parse(clock.at);
}

import type { Place } from '../core/index.js';
import type { FaultInput, FaultName } from './fault-schema.js';
import { parseDurationMs } from './quantity.js';
import { nameOfScript, type Script } from './script.js';

/** What is done to a disk while the machine is off. Subvolumes are paths from the top level. */
export type DiskFault =
  | { readonly kind: 'plant-subvolumes'; readonly subvolumes: readonly string[] }
  | {
      readonly kind:
        'delete-subvolume' | 'subvolume-to-directory' | 'directory-to-subvolume' | 'default-subvolume';
      readonly subvolume: string;
    }
  | { readonly kind: 'snapshot'; readonly of: string; readonly as: string; readonly readOnly: boolean }
  | {
      readonly kind: 'set-property';
      readonly subvolume: string;
      readonly name: string;
      readonly value: string;
    }
  | { readonly kind: 'fill'; readonly mountPoint: string }
  | { readonly kind: 'label'; readonly device: string; readonly label: string }
  | {
      readonly kind: 'overwrite';
      readonly device: string;
      readonly offset: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: 'run-on-disk'; readonly script: Script };

/** What is changed of the machine, from its next power-on. */
export type PowerOnFault =
  | {
      readonly kind: 'slow-disk';
      readonly disk: string;
      readonly bytesPerSecond?: number;
      readonly operationsPerSecond?: number;
    }
  | { readonly kind: 'detach-disk' | 'attach-disk' | 'clone-disk'; readonly disk: string }
  /** Absent: neither; the machine has the time. */
  | { readonly kind: 'clock'; readonly shiftMs: number; readonly at?: string }
  /** Of the next boot alone. */
  | { readonly kind: 'passphrase'; readonly afterMs: number; readonly wrong: number };

/** Something that is done to a machine from outside, where it stands among the steps. */
export type Fault = (DiskFault | PowerOnFault) & {
  /** As a part of a sentence. */
  readonly title: string;
  readonly place: Place;
};

const POWER_ON_FAULTS: readonly FaultName[] = [
  'slow-disk',
  'detach-disk',
  'attach-disk',
  'clone-disk',
  'clock',
  'passphrase',
];

const SUBVOLUME_FAULTS: readonly FaultName[] = [
  'plant-subvolumes',
  'delete-subvolume',
  'subvolume-to-directory',
  'directory-to-subvolume',
  'default-subvolume',
  'snapshot',
  'set-property',
];

/** Whether a fault changes the machine, and nothing on its disks. */
export function isPowerOnFault<F extends Fault>(fault: F): fault is F & PowerOnFault {
  return changesMachine(fault.kind);
}

/** The same of the name of a fault. */
export function changesMachine(name: FaultName): boolean {
  return POWER_ON_FAULTS.includes(name);
}

/** Whether a fault needs a btrfs. */
export function isSubvolumeFault(name: FaultName): boolean {
  return SUBVOLUME_FAULTS.includes(name);
}

/**
 * Reads one fault.
 *
 * @param input A map with one key.
 * @param context.firstDisk Name of the disk that is meant where none is named.
 * @param context.script The script that it runs; absent when it runs none.
 */
export function resolveFault(
  input: FaultInput,
  context: { readonly place: Place; readonly firstDisk: string; readonly script?: Script },
): Fault {
  const action = readAction(input, context);
  return { ...action, title: describeFault(action), place: context.place };
}

function readAction(
  input: FaultInput,
  { firstDisk, script }: { readonly firstDisk: string; readonly script?: Script },
): DiskFault | PowerOnFault {
  const planted = input['plant-subvolumes'];
  if (planted !== undefined) return { kind: 'plant-subvolumes', subvolumes: planted };
  for (const kind of [
    'delete-subvolume',
    'subvolume-to-directory',
    'directory-to-subvolume',
    'default-subvolume',
  ] as const) {
    const subvolume = input[kind];
    if (subvolume !== undefined) return { kind, subvolume };
  }
  if (input.snapshot !== undefined) return { kind: 'snapshot', ...input.snapshot };
  const property = input['set-property'];
  if (property !== undefined) return { kind: 'set-property', ...property };
  if (input.fill !== undefined) return { kind: 'fill', mountPoint: input.fill };
  if (input.label !== undefined) return { kind: 'label', ...input.label };
  if (input.overwrite !== undefined) {
    const { device, offset, size } = input.overwrite;
    return { kind: 'overwrite', device, offset, sizeBytes: parseBytes(size) };
  }
  const slow = input['slow-disk'];
  if (slow !== undefined) {
    const { disk = firstDisk, bytesPerSecond, operationsPerSecond } = slow;
    return {
      kind: 'slow-disk',
      disk,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond: parseBytes(bytesPerSecond) }),
      ...(operationsPerSecond === undefined ? {} : { operationsPerSecond }),
    };
  }
  for (const kind of ['detach-disk', 'attach-disk', 'clone-disk'] as const) {
    const disk = input[kind];
    if (disk !== undefined) return { kind, disk };
  }
  if (input.clock !== undefined) {
    const { behind = '0s', ahead = '0s', at } = input.clock;
    const shiftMs = parseDurationMs(ahead) - parseDurationMs(behind);
    return { kind: 'clock', shiftMs, ...(at === undefined ? {} : { at }) };
  }
  if (input.passphrase !== undefined) {
    const { after = '0s', wrong } = input.passphrase;
    return { kind: 'passphrase', afterMs: parseDurationMs(after), wrong };
  }
  if (script === undefined) throw new Error('a fault without a name was not refused');
  return { kind: 'run-on-disk', script };
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

function parseBytes(text: string): number {
  return Number.parseInt(text, 10) * (BYTES_PER_UNIT[text.slice(-3)] ?? Number.NaN);
}

function describeFault(fault: DiskFault | PowerOnFault): string {
  switch (fault.kind) {
    case 'plant-subvolumes':
      return `make ${fault.subvolumes.length === 1 ? 'the subvolume' : 'the subvolumes'} ${fault.subvolumes.join(', ')}`;
    case 'delete-subvolume':
      return `delete the subvolume ${fault.subvolume}`;
    case 'subvolume-to-directory':
      return `put a plain directory in the place of the subvolume ${fault.subvolume}`;
    case 'directory-to-subvolume':
      return `put a subvolume in the place of the directory ${fault.subvolume}`;
    case 'default-subvolume':
      return `make ${fault.subvolume} the default subvolume`;
    case 'snapshot':
      return `make the ${fault.readOnly ? 'read-only ' : ''}snapshot ${fault.as} of ${fault.of}`;
    case 'set-property':
      return `set the property ${fault.name} of the subvolume ${fault.subvolume} to ${fault.value}`;
    case 'fill':
      return `fill the file system of ${fault.mountPoint}`;
    case 'label':
      return `give ${fault.device} the label ${fault.label}`;
    case 'overwrite':
      return `overwrite ${String(fault.sizeBytes)} bytes of ${fault.device} from byte ${String(fault.offset)} on`;
    case 'run-on-disk':
      return `run ${nameOfScript(fault.script)} on the disk`;
    case 'slow-disk':
      return describeRate(fault);
    case 'detach-disk':
      return `take the disk ${fault.disk} out`;
    case 'attach-disk':
      return `put the disk ${fault.disk} in again`;
    case 'clone-disk':
      return `put a copy of the disk ${fault.disk} in, too`;
    case 'clock':
      return describeClock(fault);
    case 'passphrase':
      return describeTyping(fault);
  }
}

function describeRate({
  disk,
  bytesPerSecond,
  operationsPerSecond,
}: Extract<PowerOnFault, { kind: 'slow-disk' }>): string {
  const rates = [
    ...(bytesPerSecond === undefined ? [] : [`${String(bytesPerSecond / 1024)} KiB/s`]),
    ...(operationsPerSecond === undefined ? [] : [`${String(operationsPerSecond)} operations/s`]),
  ];
  return rates.length === 0
    ? `let the disk ${disk} be as fast as it was`
    : `slow the disk ${disk} down to ${rates.join(' and ')}`;
}

function describeClock({ shiftMs, at }: Extract<PowerOnFault, { kind: 'clock' }>): string {
  if (at !== undefined) return `set the clock to ${at}`;
  if (shiftMs === 0) return 'set the clock to the time';
  return `set the clock ${String(Math.abs(shiftMs) / 1000)} s ${shiftMs < 0 ? 'behind' : 'ahead of'} the time`;
}

function describeTyping({ afterMs, wrong }: Extract<PowerOnFault, { kind: 'passphrase' }>): string {
  const how = [
    ...(afterMs === 0 ? [] : [`only after ${String(afterMs / 1000)} s`]),
    ...(wrong === 0 ? [] : [`${String(wrong)} times wrongly first`]),
  ];
  return `type the passphrase ${how.length === 0 ? 'at once' : how.join(', ')}`;
}

import { z } from 'zod';
import { DURATION_PATTERN } from './quantity.js';
import { devicePath, fstabPath, line, script } from './schema-parts.js';

/** Small sizes and rates, too: `4KiB`, `8MiB`. */
const BYTES_PATTERN = /^[1-9][0-9]{0,8}(KiB|MiB|GiB)$/;

const subvolume = z
  .string()
  .regex(
    /^(?!\.{1,2}(\/|$))[^/\r\n]+(\/(?!\.{1,2}(\/|$))[^/\r\n]+)*$/,
    'must be the path of a subvolume from the top level, such as root/srv',
  );
const duration = z.string().regex(DURATION_PATTERN, 'must be a duration such as 90s, 15m or 1h30m');
const bytes = z.string().regex(BYTES_PATTERN, 'must be a size such as 4KiB or 8MiB (KiB, MiB or GiB)');
const diskName = z.string().regex(/^[a-z][a-z0-9-]{0,19}$/, 'must be the name of a disk below disks');

/**
 * Everything that can be done to a machine from outside, by the name of the fault. What works on the disk works while the
 * machine is off; what works on the machine lasts from its next power-on.
 */
export const FAULT_SHAPE = {
  'plant-subvolumes': z
    .array(subvolume)
    .min(1, 'must name at least one subvolume')
    .meta({ description: 'Makes subvolumes, each with a file in it; parents first.' }),
  'delete-subvolume': subvolume.meta({ description: 'Deletes a subvolume and all that are in it.' }),
  'subvolume-to-directory': subvolume.meta({
    description:
      'Puts a plain directory with the same content in the place of a subvolume, as a restore from a backup does.',
  }),
  'directory-to-subvolume': subvolume.meta({ description: 'The other way round.' }),
  snapshot: z
    .strictObject({
      of: subvolume.meta({ description: 'The subvolume.' }),
      as: subvolume.meta({ description: 'Path of the snapshot, from the top level.' }),
      readOnly: z.boolean().default(false).meta({ description: 'The snapshot cannot be written.' }),
    })
    .meta({ description: 'Makes a snapshot of a subvolume.' }),
  'set-property': z
    .strictObject({
      subvolume: subvolume.meta({ description: 'The subvolume.' }),
      name: z.enum(['ro', 'compression']).meta({ description: 'The property, as in "btrfs property".' }),
      value: line.meta({ description: 'Its new value.' }),
    })
    .meta({ description: 'Sets a property of a subvolume: ro to "true", say.' }),
  'default-subvolume': subvolume.meta({
    description: 'What is mounted when no subvolume is named; of a new file system the top level.',
  }),
  fill: fstabPath.meta({ description: 'Fills the file system of this mount point to its last byte.' }),
  label: z
    .strictObject({
      device: devicePath.meta({ description: 'The device with the file system, swap or header.' }),
      label: z
        .string()
        .regex(/^[A-Za-z0-9_.-]{1,11}$/, 'must be 1 to 11 letters, digits, "_", "." or "-"')
        .meta({ description: 'The label.' }),
    })
    .meta({
      description: 'Gives a file system, swap or a LUKS header a label: one that something else has, say.',
    }),
  overwrite: z
    .strictObject({
      device: devicePath.meta({ description: 'The device that is written.' }),
      offset: z.int().min(0, 'must not be negative').default(0).meta({ description: 'First byte.' }),
      size: bytes.meta({ description: 'How much.' }),
    })
    .meta({ description: 'Writes zeros over a part of a device, from an offset in bytes: a header, say.' }),
  'run-on-disk': script.meta({
    description:
      'Runs as root in another machine that has the disks: $DISK is the first, $TOP the top level of its btrfs, if there is one; LUKS devices are open.',
  }),
  'slow-disk': z
    .strictObject({
      disk: diskName.optional().meta({ description: 'Its name below disks. Default: the first.' }),
      bytesPerSecond: bytes
        .optional()
        .meta({ description: 'Most bytes in a second, read and written together.' }),
      operationsPerSecond: z
        .int()
        .min(1, 'must be at least 1')
        .optional()
        .meta({ description: 'Most requests in a second, reads and writes together.' }),
    })
    .meta({ description: 'Slows a disk down, by default the first; without a rate it is fast again.' }),
  'detach-disk': diskName.meta({ description: 'The machine starts without this disk.' }),
  'attach-disk': diskName.meta({ description: 'A disk that was detached is there again.' }),
  'clone-disk': diskName.meta({
    description: 'A copy of the disk as it is now is there, too, with all its labels and UUIDs.',
  }),
  clock: z
    .strictObject({
      behind: duration.optional().meta({ description: 'So much behind the time.' }),
      ahead: duration.optional().meta({ description: 'So much ahead of the time.' }),
      at: z.iso
        .date('must be a date such as 2000-01-01')
        .optional()
        .meta({ description: 'Midnight of this day, UTC.' }),
    })
    .meta({
      description:
        "Sets the machine's clock: behind or ahead of the time, or at a date; {} is the time again.",
    }),
  passphrase: z
    .strictObject({
      after: duration.optional().meta({ description: 'How long after the question it is typed.' }),
      wrong: z
        .int()
        .min(0, 'must not be negative')
        .max(5, 'must be at most 5')
        .default(0)
        .meta({ description: 'How often something else is typed first.' }),
    })
    .meta({
      description:
        'In the next boot the passphrase is typed only after this time, or wrongly so many times before it is right.',
    }),
};

/** One fault: a map with one key. */
export const fault = z.strictObject(
  Object.fromEntries(Object.entries(FAULT_SHAPE).map(([name, schema]) => [name, schema.optional()])) as {
    [K in keyof typeof FAULT_SHAPE]: z.ZodOptional<(typeof FAULT_SHAPE)[K]>;
  },
);

export type FaultInput = z.output<typeof fault>;
export type FaultName = keyof typeof FAULT_SHAPE;

import { z } from 'zod';

import { line } from './schema-parts.js';

const disk = z.strictObject({
  serial: line.meta({ description: 'Serial number, as `lsblk --output NAME,SERIAL` shows it.' }),
  model: line.meta({ description: 'Model, as `lsblk --output NAME,MODEL` shows it.' }),
  size: z.int().positive().meta({ description: 'Bytes, as `lsblk --bytes --output NAME,SIZE` shows them.' }),
  id: z
    .string()
    .regex(/^[^/\s]+$/, 'must be a name in /dev/disk/by-id')
    .optional()
    .meta({
      description: 'Name in /dev/disk/by-id: needed where the serial number is that of several disks.',
    }),
});

/** Started without a shell; a path with a slash is relative to the file. */
const command = z.array(line).min(1);

const ipv4 = String.raw`(\d{1,3}\.){3}\d{1,3}`;

/** A fixed address. */
export const networkSchema = z
  .strictObject({
    address: z
      .string()
      .regex(new RegExp(`^${ipv4}/\\d{1,2}$`), 'must be an address with the length of its net: 192.0.2.7/24')
      .meta({ description: 'Address and length of the net: 192.0.2.7/24.' }),
    gateway: z
      .string()
      .regex(new RegExp(`^${ipv4}$`), 'must be an address: 192.0.2.1')
      .exactOptional()
      .meta({ description: 'Needed when imperm runs in another net.' }),
  })
  .meta({ description: 'A fixed address. Absent: DHCP.' });

/** A machine that is reached only by SSH, as its owner describes it. */
export const hostSchema = z.strictObject({
  'imperm-host': z.literal(1).meta({ description: 'Version of this format.' }),
  ssh: z
    .strictObject({
      address: line.meta({ description: 'Name or IP address of the machine while an installer runs on it.' }),
      port: z.int().min(1).max(65_535).default(22),
      key: line.meta({
        description:
          'Private key that lets root in; relative to this file, or below ~. It has no passphrase.',
      }),
      hostKey: z
        .string()
        .regex(
          /^ssh-ed25519 [A-Za-z0-9+/]+=*( .*)?$/,
          'must be the host key that `ssh-keyscan -t ed25519` prints, without the address: ssh-ed25519 AAAA…',
        )
        .meta({ description: 'Public host key of the installer: no other machine is talked to.' }),
    })
    .meta({ description: 'How the installer is reached.' }),
  system: z
    .strictObject({
      address: line.optional().meta({ description: 'Name or IP address. Default: that of the installer.' }),
      port: z.int().min(1).max(65_535).default(2222),
      network: networkSchema.optional(),
      kernelParameters: z
        .array(z.string().regex(/^[^\s"]+$/, 'must be one kernel parameter'))
        .default([])
        .meta({ description: 'Added to the boot entry of the system under test, for this machine.' }),
    })
    .prefault({})
    .meta({ description: 'How the system under test is reached once it runs.' }),
  console: z
    .strictObject({
      command: command.meta({
        description:
          'Connects its standard input and output to the serial console: a serial-over-LAN client, or a program for a serial device. It stays for as long as the machine is under test.',
      }),
      device: z
        .string()
        .regex(/^ttyS\d(,\S+)?$/, 'must be a serial console as the kernel names it: ttyS0,115200n8')
        .default('ttyS0,115200n8')
        .meta({ description: 'What the kernel calls it.' }),
    })
    .optional()
    .meta({ description: 'The serial console: passphrases are typed on it, and what it shows is evidence.' }),
  power: z
    .strictObject({
      off: command.meta({
        description: 'Takes the power away, as a cable that is pulled does. Not a shutdown.',
      }),
      on: command.meta({ description: 'Gives it back; the machine starts by itself.' }),
    })
    .optional()
    .meta({
      description:
        'Its power switch. Without one nothing cuts its power, and a machine that hangs waits for a hand.',
    }),
  timeScale: z
    .number()
    .min(1)
    .max(100)
    .default(1)
    .meta({ description: 'Multiplies every time limit: for a slow machine.' }),
  disks: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,19}$/, 'must be the name of a disk in a scenario'), disk)
    .meta({
      description:
        'The only disks that may be written, by the name that scenarios give them. Serial number, model and size have to match.',
    }),
});

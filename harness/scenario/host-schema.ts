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
  disks: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,19}$/, 'must be the name of a disk in a scenario'), disk)
    .meta({
      description:
        'The only disks that may be written, by the name that scenarios give them. Serial number, model and size have to match.',
    }),
});

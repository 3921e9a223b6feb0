import { z } from 'zod';
import { DISK_BUSES, FIRMWARE_KINDS, LUKS_KINDS, SECTOR_SIZES, STAGE1_KINDS } from './axes.js';
import { image } from './image-schema.js';
import { DURATION_PATTERN, SIZE_PATTERN } from './quantity.js';
import { lint } from './lint-schema.js';
import { promises } from './promises-schema.js';
import { rollback } from './rollback-schema.js';
import { absolutePath, account, devicePath, fstabPath, line, nixFile, script } from './schema-parts.js';
import { SERVICES_SHAPE } from './services-schema.js';
import { step } from './step-schema.js';

const ETC_PATH = /^(?!\.{1,2}(\/|$))[^\s/]+(\/(?!\.{1,2}(\/|$))[^\s/]+)*$/;

/** What `extends` may look like; anything else is not followed. */
export const EXTENDS_PATTERN = /^(?!\/)[ -~\u00a0-\uffff]+\.ya?ml$/;

const fileSystem = z.strictObject({
  device: z
    .string()
    .regex(/^\S+$/, 'must be a device, without white space')
    .meta({ description: 'A path below /dev; the source of a bind mount; "none" for tmpfs.' }),
  fsType: z
    .string()
    .regex(/^[a-z0-9._-]+$/, 'must be a file system type, such as btrfs')
    .meta({ description: 'btrfs, ext4, vfat, tmpfs, or none for a bind mount.' }),
  options: z
    .array(z.string().regex(/^[^\s,]+$/, 'must be a single mount option; write several as several items'))
    .default([])
    .meta({ description: 'Mount options, one per item.' }),
  neededForBoot: z.boolean().default(false).meta({
    description: 'Mount it in stage 1. Always so for /, /nix, /var, /var/log, /var/lib, /etc, /usr.',
  }),
});

const swapDevice = z.strictObject({
  device: devicePath.meta({ description: 'The device that is swapped to.' }),
  randomEncryption: z.boolean().default(false).meta({
    description: 'swapDevices.*.randomEncryption.enable: a new key at every boot.',
  }),
});

const persistedDirectory = z.union([
  absolutePath,
  z.strictObject({
    directory: absolutePath.meta({ description: 'Its path in the running system.' }),
    user: account.optional().meta({ description: 'Its owner when it is made. Default: root.' }),
    group: account.optional().meta({ description: 'Its group when it is made. Default: root.' }),
    mode: z
      .string()
      .regex(/^[0-7]{3,4}$/, 'must be an octal mode, such as "0750"')
      .optional()
      .meta({ description: 'Its mode when it is made. Default: 0755.' }),
  }),
]);

const persistedFile = z.union([
  absolutePath,
  z.strictObject({
    file: absolutePath.meta({ description: 'Its path in the running system.' }),
    method: z.enum(['auto', 'symlink']).default('auto').meta({
      description: 'auto: a bind mount where the file is there already, else a link; symlink: always a link.',
    }),
  }),
]);

const persistence = z.strictObject({
  hideMounts: z
    .boolean()
    .default(false)
    .meta({ description: 'Its bind mounts are not shown by file managers.' }),
  directories: z
    .array(persistedDirectory)
    .default([])
    .meta({ description: 'Directories that are bound from the store.' }),
  files: z
    .array(persistedFile)
    .default([])
    .meta({ description: 'Files that are bound or linked from the store.' }),
});

const system = z.strictObject({
  hostName: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a host name')
    .default('imperm')
    .meta({ description: 'networking.hostName' }),
  stage1: z
    .enum(STAGE1_KINDS)
    .default('systemd')
    .meta({ description: 'Kind of stage 1, where the matrix does not say it.' }),
  luks: z
    .record(
      z.string().regex(/^[A-Za-z0-9_.+-]+$/, 'must be a name below /dev/mapper'),
      z.strictObject({
        device: devicePath.meta({ description: 'The encrypted device.' }),
        allowDiscards: z
          .boolean()
          .default(false)
          .meta({ description: 'What is freed is freed on the disk, too.' }),
      }),
    )
    .default({})
    .meta({ description: 'boot.initrd.luks.devices. The passphrase is made up for every run.' }),
  fileSystems: z.record(fstabPath, fileSystem).meta({ description: 'fileSystems, by mount point.' }),
  swapDevices: z.array(swapDevice).default([]).meta({ description: 'swapDevices' }),
  tmpfiles: z.array(line).default([]).meta({ description: 'systemd.tmpfiles.rules' }),
  resumeDevice: devicePath.optional().meta({
    description: 'boot.resumeDevice. systemd stage 1 also finds by itself where a system hibernated to.',
  }),
  rollback: rollback
    .nullable()
    .default(null)
    .meta({ description: 'boot.initrd.systemd.services.<name>, a oneshot without default dependencies.' }),
  persistence: z
    .record(absolutePath, persistence)
    .default({})
    .meta({ description: 'environment.persistence, by the root of the persistent store.' }),
  users: z
    .record(
      account,
      z.strictObject({
        isNormalUser: z
          .boolean()
          .default(false)
          .meta({ description: 'A person, with a home directory below /home.' }),
        uid: z.int().min(0, 'must not be negative').max(65533, 'must be below 65534').optional().meta({
          description: 'Number of the account. Default: the first free one, from 1000 on for a normal user.',
        }),
        hashedPasswordFile: absolutePath.optional().meta({
          description:
            'File that holds the hash of the password. It is read when the system is activated, in stage 1 already.',
        }),
      }),
    )
    .default({})
    .meta({ description: 'users.users' }),
  openssh: z
    .strictObject({
      hostKeys: z
        .array(
          z.strictObject({
            path: absolutePath.meta({ description: 'Where the key lies, and is made when it is missing.' }),
            type: z.enum(['ed25519', 'rsa']).meta({ description: 'Kind of key.' }),
            bits: z
              .int()
              .min(2048, 'must be at least 2048')
              .max(8192, 'must be at most 8192')
              .optional()
              .meta({ description: 'Length of an RSA key. Default: what ssh-keygen chooses.' }),
          }),
        )
        .min(1, 'must name at least one key, or the server cannot start')
        .meta({ description: "The server's keys; ssh-host-keys-stable is promised of them." }),
    })
    .default({ hostKeys: [{ path: '/etc/ssh/ssh_host_ed25519_key', type: 'ed25519' }] })
    .meta({ description: 'services.openssh' }),
  etc: z
    .record(
      z
        .string()
        .regex(ETC_PATH, 'must be a path below /etc, without a slash in front, ".", ".." or white space'),
      z.strictObject({ source: fstabPath.meta({ description: 'What the link leads to.' }) }),
    )
    .default({})
    .meta({ description: 'environment.etc, by the path below /etc: links by way of /etc/static.' }),
  ...SERVICES_SHAPE,
  nixModules: z.array(nixFile).default([]).meta({
    description:
      'NixOS modules for what this format has no word for, in the words of who wrote them: files beside this one, each complete in itself. Only the guest nixos can evaluate them.',
  }),
});

const disk = z.strictObject({
  size: z
    .string()
    .regex(SIZE_PATTERN, 'must be a size such as 12GiB (MiB, GiB or TiB)')
    .meta({ description: 'How large it is; it takes only the room that is written.' }),
  namespace: z.int().min(2, 'must be at least 2').max(32, 'must be at most 32').optional().meta({
    description:
      'On nvme: the disk is this namespace of the first disk, 10 for nvme0n10; those between are tiny and empty.',
  }),
  untouched: z.boolean().default(false).meta({
    description:
      'It holds partitions and data of somebody else, and must be the same to the last byte at the end.',
  }),
});

function axis<T extends z.ZodType>(value: T): z.ZodOptional<z.ZodArray<T>> {
  return z.array(value).min(1, 'must name at least one value').optional();
}

const expect = z.strictObject({
  verdict: z
    .literal('known-bug')
    .meta({ description: 'The layout is known to be wrong. A run in which it is not is red.' }),
  reason: line.meta({ description: 'What is wrong with the layout, in one line.' }),
  symptom: line.optional().meta({ description: 'What the one who reported it saw.' }),
  broken: z
    .array(line)
    .min(1, 'must name at least one promise')
    .meta({ description: 'Ids of exactly the promises that are broken; boots is one, too.' }),
  sometimes: z
    .array(line)
    .default([])
    .meta({ description: 'Ids of promises that break in some runs only: what comes of a race.' }),
});

/** A whole scenario, as written, without a scenario that it extends. Names are those of NixOS where one exists. */
export const scenarioSchema = z.strictObject({
  imperm: z.literal(1).meta({ description: 'Version of this format.' }),
  title: line.meta({ description: 'The layout in one line.' }),
  extends: z.string().regex(EXTENDS_PATTERN, 'must be the relative path of a .yaml file').optional().meta({
    description:
      'A scenario that this one differs from. Maps merge, lists and scalars replace, null removes.',
  }),
  source: z
    .array(z.string().regex(/^https?:\/\/\S+$/, 'must be a URL'))
    .default([])
    .meta({ description: 'Where the recipe comes from.' }),
  guests: z
    .array(z.enum(['debian', 'nixos']))
    .min(1, 'must name at least one guest')
    .default(['debian', 'nixos'])
    .meta({ description: 'Operating systems that the scenario is meant for.' }),
  matrix: z
    .strictObject({
      stage1: axis(z.enum(STAGE1_KINDS)).meta({ description: 'Kinds of stage 1.' }),
      disk: axis(z.enum(DISK_BUSES)).meta({ description: 'How the disks are attached. Default: virtio.' }),
      sectorSize: axis(z.literal([...SECTOR_SIZES])).meta({
        description: 'Bytes in a sector of the disks. Default: 512.',
      }),
      luks: axis(z.enum(LUKS_KINDS)).meta({
        description:
          'How stage 1 unlocks what is encrypted; none: nothing is encrypted. Default: passphrase.',
      }),
      firmware: axis(z.enum(FIRMWARE_KINDS)).meta({
        description:
          'secure-boot: boot loader and kernel are signed with own keys, and nothing else is started. Default: uefi.',
      }),
    })
    .default({})
    .meta({ description: 'Every combination is a variant of its own.' }),
  machine: z
    .strictObject({
      memory: z
        .string()
        .regex(SIZE_PATTERN, 'must be a size such as 2GiB (MiB, GiB or TiB)')
        .default('2GiB')
        .meta({ description: 'Memory of the machine; of a tmpfs root it is the disk, too.' }),
      cpus: z.int().min(1, 'must be at least 1').max(64, 'must be at most 64').optional().meta({
        description: 'Processors. Default: 2 with KVM, 1 when emulated.',
      }),
    })
    .default({ memory: '2GiB' })
    .meta({ description: 'What the machine has.' }),
  disks: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,19}$/, 'must be a short name in lower case'), disk)
    .default({ main: { size: '12GiB', untouched: false } })
    .meta({ description: 'The first is the one to install on.' }),
  install: z
    .union([...script.options, z.array(script).min(1, 'must name at least one script')])
    .optional()
    .meta({
      description:
        'Script that fills the disk; it runs inside the installer. Several run as one. This, or an image.',
    }),
  image: image.optional().meta({
    description:
      'An image instead of an installer: made on the host, as large as it has to be, and grown by the first boot.',
  }),
  system: system.meta({
    description: 'The layout: what of its NixOS configuration decides about persistence.',
  }),
  promises: promises
    .prefault({})
    .meta({ description: 'What is promised besides that which follows from the layout.' }),
  steps: z.array(step).default(['boot', 'reboot', 'power-cut', 'power-off']).meta({
    description:
      'boot first, power-off last; reboot, power-cut, hibernate and scripts to run between; power-cut-at before boot and power-cut; faults before whatever powers the machine on, before install, and at the end.',
  }),
  expect: expect.optional().meta({
    description:
      'A layout with a known fault: it has to fail, and exactly so. Absent: every promise is kept.',
  }),
  lint,
  timeout: z
    .string()
    .regex(DURATION_PATTERN, 'must be a duration such as 90s, 15m or 1h30m')
    .default('10m')
    .meta({ description: 'Budget of a whole variant; scaled up on slow machines.' }),
});

export type ScenarioInput = z.output<typeof scenarioSchema>;
export type SystemInput = ScenarioInput['system'];
export type PromisesInput = ScenarioInput['promises'];
export type ScriptInput = z.output<typeof script>;

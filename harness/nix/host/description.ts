import { z } from 'zod';

const text = z.string();
const texts = z.array(text);

/** `boot.initrd.systemd.services.<name>`, or commands in a hook of scripted stage 1. */
const rollback = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('service'),
    name: text,
    description: text,
    after: texts,
    before: texts,
    requires: texts,
    wantedBy: texts,
    requiredBy: texts,
    remainAfterExit: z.boolean(),
    script: text,
    /** Else `script` is the path of a program. */
    hasText: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('hook'),
    hook: z.enum([
      'preDeviceCommands',
      'preLVMCommands',
      'postDeviceCommands',
      'postResumeCommands',
      'postMountCommands',
    ]),
    order: z.enum(['before', 'default', 'after']),
    script: text,
  }),
]);

const how = z.enum(['bindmount', 'symlink']);

const store = z.strictObject({
  by: z.enum(['impermanence', 'preservation']),
  root: text,
  hideMounts: z.boolean(),
  /** Something of it is needed in stage 1. */
  inStageOne: z.boolean(),
  directories: z.array(z.strictObject({ path: text, user: text, group: text, mode: text, how })),
  files: z.array(z.strictObject({ path: text, user: text, how })),
});

const disk = z.strictObject({
  /** Of the virtual disk. */
  name: text,
  /** `disko.devices.disk.<name>` */
  declaredAs: text,
  /** In the real machine. */
  device: text,
  /** `2G` */
  imageSize: text,
  /** Of partitions and logical volumes: `512M`, `100%`, `-8G`. */
  sizes: texts,
  hasEsp: z.boolean(),
});

/** What nix/lib/describe-host.nix gives. A word that it does not know is an error: the two belong together. */
export const hostDescription = z.strictObject({
  imperm: z.literal(1),
  platform: text,
  release: text,
  hostName: text,
  stage1: z.enum(['systemd', 'scripted']),
  luks: z.array(
    z.strictObject({
      name: text,
      device: text,
      allowDiscards: z.boolean(),
      unlock: z.enum(['passphrase', 'key-file', 'tpm2', 'fido2', 'yubikey', 'gpg-card']),
      keyFile: text.nullable(),
    }),
  ),
  fileSystems: z.array(
    z.strictObject({
      mountPoint: text,
      device: text,
      fsType: text,
      options: texts,
      neededForBoot: z.boolean(),
    }),
  ),
  swapDevices: z.array(z.strictObject({ device: text, randomEncryption: z.boolean() })),
  resumeDevice: text,
  persistence: z.array(store),
  rollbacks: z.array(rollback),
  users: z.array(
    z.strictObject({
      name: text,
      isNormalUser: z.boolean(),
      uid: z.int().nullable(),
      hashedPasswordFile: text.nullable(),
    }),
  ),
  hostKeys: z.array(z.strictObject({ path: text, type: text, bits: z.int().nullable() })),
  etc: z.array(z.strictObject({ path: text, source: text })),
  tmpfiles: texts,
  disks: z.array(disk),
  /** Every LUKS device that disko makes. */
  diskoLuks: z.array(
    z.strictObject({
      name: text,
      /** Where disko's script reads the passphrase. */
      files: texts,
      /** The script asks for it. */
      asks: z.boolean(),
      additionalKeyFiles: texts,
    }),
  ),
  /** What `boot.initrd.secrets` reads when the boot loader is installed. */
  initrdSecrets: z.array(z.strictObject({ path: text, source: text })),
  /** Full sentences: what imperm cannot test of it. */
  warnings: texts,
});

/** A host of somebody's own flake. */
export type HostDescription = z.output<typeof hostDescription>;

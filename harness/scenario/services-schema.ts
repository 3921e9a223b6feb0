import { z } from 'zod';

const enable = z.boolean().default(false).meta({ description: 'Whether it runs.' });
const absolute = z.string().regex(/^\/\S*$/, 'must be an absolute path without white space');

/** The services of a system; each is off when nothing is said, and costs nothing then. */
export const SERVICES_SHAPE = {
  networkmanager: z.strictObject({ enable }).prefault({}).meta({ description: 'networking.networkmanager' }),
  docker: z
    .strictObject({
      enable,
      storageDriver: z
        .enum(['btrfs', 'overlay2'])
        .optional()
        .meta({ description: 'How layers are kept. Default: what Docker chooses for the file system.' }),
      settings: z
        .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
        .default({})
        .meta({ description: 'virtualisation.docker.daemon.settings' }),
    })
    .prefault({})
    .meta({ description: 'virtualisation.docker' }),
  incus: z
    .strictObject({ enable })
    .prefault({})
    .meta({ description: 'virtualisation.incus, which follows LXD.' }),
  autoScrub: z
    .strictObject({
      enable,
      interval: z
        .string()
        .regex(/^[A-Za-z0-9*,./:~ -]+$/, 'must be a calendar expression of systemd, such as weekly')
        .default('monthly')
        .meta({ description: 'When, as a calendar expression of systemd.' }),
      fileSystems: z.array(absolute).optional().meta({
        description: 'Mount points. Default: all of btrfs, whether or not they are one file system.',
      }),
    })
    .prefault({})
    .meta({ description: 'services.btrfs.autoScrub' }),
  coredump: z.strictObject({ enable }).prefault({}).meta({ description: 'systemd.coredump' }),
  sudo: z
    .strictObject({
      enable,
      extraConfig: z.string().default('').meta({ description: 'Lines for /etc/sudoers.' }),
    })
    .prefault({})
    .meta({ description: 'security.sudo' }),
};

/** What a scenario says about services, defaults filled in. */
export type Services = {
  readonly [Name in keyof typeof SERVICES_SHAPE]: z.output<(typeof SERVICES_SHAPE)[Name]>;
};

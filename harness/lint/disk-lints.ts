import { findHolder, isAtOrBelow, type FileSystem, type SystemModel } from '../scenario/index.js';
import type { Hit, Lint, LintSubject } from './lint.js';
import { readShell } from './shell.js';

const BY_LABEL = '/dev/disk/by-label/';

/** Bits of a mode that take every right from everybody but the owner. */
const OF_OTHERS = 0o007;

/** What a mask of FAT says for folders or files; the last one given counts. */
function maskOf(options: readonly string[], kind: 'fmask' | 'dmask'): number {
  const own = options.filter((option) => option.startsWith('umask=') || option.startsWith(`${kind}=`)).at(-1);
  // The kernel takes the umask of whoever mounts, which is 0022.
  return own === undefined ? 0o022 : Number.parseInt(own.slice(own.indexOf('=') + 1), 8);
}

/** File systems that have to be mounted before a path is what it is to be, in stage 1. */
function findLateMounts(path: string, system: SystemModel): readonly FileSystem[] {
  return system.fileSystems.filter(
    ({ mountPoint, neededForBoot }) => !neededForBoot && isAtOrBelow(path, mountPoint),
  );
}

function mayBeMountedLate(
  path: string,
  place: Hit['place'],
  options: { system: SystemModel; what: string },
): readonly Hit[] {
  return findLateMounts(path, options.system).map(({ mountPoint }) => ({
    place,
    message: `${options.what} lies on ${mountPoint}, which is mounted only after stage 1`,
    advice: `Add "neededForBoot: true" to fileSystems."${mountPoint}".`,
  }));
}

function isBind({ device, fsType }: FileSystem): boolean {
  return device.startsWith('/') && !device.startsWith('/dev/') && fsType !== 'tmpfs';
}

/** What is called by a label, and what it is. */
function namedByLabel(system: SystemModel): readonly { label: string; what: string; place: Hit['place'] }[] {
  const all = [
    ...system.luks.map(({ device, place }) => ({ device, what: 'LUKS', place })),
    ...system.swapDevices.map(({ device, place }) => ({ device, what: 'swap', place })),
    ...system.fileSystems.map(({ device, fsType, place }) => ({ device, what: fsType, place })),
  ];
  return all
    .filter(({ device }) => device.startsWith(BY_LABEL))
    .map(({ device, ...rest }) => ({ ...rest, label: device.slice(BY_LABEL.length) }));
}

/** Options that give a label, by program. */
const LABEL_OPTIONS: Readonly<Record<string, RegExp>> = {
  'mkfs.btrfs': /^(-L|--label)$/,
  'mkfs.ext4': /^-L$/,
  'mkfs.ext3': /^-L$/,
  'mkfs.ext2': /^-L$/,
  'mkfs.vfat': /^-n$/,
  'mkfs.fat': /^-n$/,
  mkswap: /^(-L|--label)$/,
  cryptsetup: /^--label$/,
};

/** The labels that an install script gives, each as often as it is given. */
function labelsGiven(install: Parameters<typeof readShell>[0] | undefined): readonly string[] {
  const shell = install === undefined ? undefined : readShell(install);
  return (shell?.commands ?? []).flatMap(({ name, args }) => {
    if (name === 'btrfs' && args[0] === 'filesystem' && args[1] === 'label') return args.slice(3, 4);
    const option = LABEL_OPTIONS[name];
    if (option === undefined) return [];
    return args.flatMap((word, index) => {
      const [key = '', value] = word.split('=');
      return option.test(key) ? [value ?? args[index + 1] ?? ''] : [];
    });
  });
}

/** Lints about disks and what is mounted of them. */
export const DISK_LINTS: readonly Lint[] = [
  {
    name: 'mount-late',
    reason:
      'NixOS activates the system at the end of stage 1: it makes users, links and binds what persists. What lies on a file system that is mounted later is not there yet: accounts are locked, and what persists is put on the root, which is wiped.',
    advice: 'Mount it in stage 1 (neededForBoot).',
    shownBy: ['bugs/needed-for-boot-missing', 'bugs/password-file-late'],
    find: ({ system }: LintSubject): readonly Hit[] => [
      ...system.persistence.flatMap(({ root, place }) =>
        mayBeMountedLate(root, place, { system, what: `the persistent store ${root}` }),
      ),
      ...system.users.flatMap(({ name, hashedPasswordFile, place }) =>
        hashedPasswordFile === undefined
          ? []
          : mayBeMountedLate(hashedPasswordFile, place, {
              system,
              what: `the password of ${name} (${hashedPasswordFile})`,
            }),
      ),
      ...system.fileSystems.flatMap((each) =>
        each.neededForBoot && isBind(each)
          ? mayBeMountedLate(each.device, each.place, {
              system,
              what: `${each.device}, which stage 1 binds to ${each.mountPoint},`,
            })
          : [],
      ),
    ],
  },
  {
    name: 'label-ambiguous',
    reason:
      'Of two things with one label, /dev/disk/by-label leads to the one that was seen last, which changes from boot to boot.',
    advice:
      'Give each a label of its own, or name partitions by their own names (by-partlabel, by-partuuid) and what is unlocked by /dev/mapper.',
    shownBy: ['bugs/duplicate-label'],
    find: ({ system, scenario }: LintSubject): readonly Hit[] => {
      const named = namedByLabel(system);
      const given = labelsGiven(scenario.install);
      const told = new Set<string>();
      return named.flatMap(({ label, what, place }): Hit[] => {
        if (told.has(label)) return [];
        told.add(label);
        const other = named.find((each) => each.label === label && each.what !== what);
        if (other !== undefined)
          return [
            {
              place: other.place,
              message: `both ${what} and ${other.what} are looked for by the label "${label}"`,
            },
          ];
        const count = given.filter((each) => each === label).length;
        if (count < 2) return [];
        return [
          {
            place,
            message: `the install script gives the label "${label}" ${String(count)} times, and this is looked for by it`,
          },
        ];
      });
    },
  },
  {
    name: 'esp-world-readable',
    reason:
      'FAT has no owners: without a mask every user may read the kernels, the initrds with the secrets in them, and the random seed of the boot loader, which bootctl calls a security hole.',
    advice: 'Add the option "umask=0077".',
    shownBy: ['broken/damaged', 'bugs/esp-world-readable'],
    find: ({ system }: LintSubject): readonly Hit[] =>
      system.fileSystems
        .filter(({ fsType }) => fsType === 'vfat')
        .filter(({ options }) =>
          (['fmask', 'dmask'] as const).some((kind) => (maskOf(options, kind) & OF_OTHERS) !== OF_OTHERS),
        )
        .map(({ mountPoint, place }) => ({ place, message: `everybody may read what is at ${mountPoint}` })),
  },
  {
    name: 'unlock-times-out',
    reason:
      'systemd waits 90 seconds for a device that it knows only by UUID or label. The passphrase prompt waits, too, but when it is answered later the boot has failed already (nixpkgs#250003).',
    advice: 'Name it /dev/mapper/<name> in fileSystems, or add the option x-systemd.device-timeout=infinity.',
    shownBy: ['bugs/late-passphrase'],
    find: ({ system }: LintSubject): readonly Hit[] => {
      const asks = system.luks.filter(({ unlock }) => unlock === 'passphrase');
      if (system.stage1 !== 'systemd' || asks.length === 0) return [];
      const used = [...system.fileSystems, ...system.swapDevices].map(({ device }) => device);
      // Nobody names what is unlocked, or the rollback of the root waits for it: so it is what has a UUID or a label.
      const waitsFor = system.rollback?.after ?? [];
      const hidden = asks.filter(
        ({ name, unit }) => !used.includes(`/dev/mapper/${name}`) || waitsFor.includes(unit),
      );
      if (hidden.length === 0) return [];
      return system.fileSystems
        .filter(({ device, fsType, neededForBoot, options }) => {
          const isNamed = /^\/dev\/disk\/by-(uuid|label)\//.test(device);
          return (
            isNamed &&
            neededForBoot &&
            fsType !== 'vfat' &&
            !options.some((option) => option.startsWith('x-systemd.device-timeout='))
          );
        })
        .slice(0, 1)
        .map(({ mountPoint, device, place }) => ({
          place,
          message: `${mountPoint} is ${device}, which is in ${hidden.map(({ name }) => name).join(' or ')} and appears only when that is unlocked`,
        }));
    },
  },
  {
    name: 'swap-in-the-clear',
    reason:
      'What programs hold in memory, keys and passwords included, is written to swap, and to hibernate writes all of it. Beside an encrypted root it lies there for everybody who takes the disk.',
    advice: 'Use "randomEncryption: true", or put swap into LUKS where the machine is to hibernate.',
    shownBy: ['bugs/swap-in-the-clear'],
    find: ({ system }: LintSubject): readonly Hit[] => {
      if (system.luks.length === 0) return [];
      return system.swapDevices
        .filter(({ device, randomEncryption }) => !randomEncryption && !isEncrypted(device, system))
        .map(({ device, place }) => ({ place, message: `${device} is swap in the clear, beside LUKS` }));
    },
  },
  {
    name: 'image-owner',
    reason:
      'Whoever has the number of the one who built the image owns the system: sshd and systemd-tmpfiles refuse to work with such files.',
    advice: 'Build the image in a user namespace, or as root: everything in it belongs to 0:0.',
    shownBy: ['btrfs-image-as-published', 'bugs/image-owner'],
    find: ({ system: { image } }: LintSubject): readonly Hit[] =>
      image === undefined || (image.owner.uid === 0 && image.owner.gid === 0)
        ? []
        : [
            {
              place: image.place,
              message: `everything in the image belongs to ${String(image.owner.uid)}:${String(image.owner.gid)}`,
            },
          ],
  },
];

/** In LUKS, or a file on a file system that is; by another name nobody can tell. */
function isEncrypted(device: string, system: SystemModel): boolean {
  if (device.startsWith('/dev/mapper/')) return true;
  if (device.startsWith('/dev/')) return false;
  return (
    findHolder(
      device,
      system.fileSystems.map(({ mountPoint }) => mountPoint),
    ) !== undefined
  );
}

import { isAtOrBelow, type SystemModel } from '../scenario/index.js';
import type { Hit, Lint, LintSubject } from './lint.js';

const MACHINE_ID = '/etc/machine-id';

/** Whether a path outlasts a boot although the root does not. */
function isKept(path: string, system: SystemModel): boolean {
  return (
    system.persistence.some(
      ({ files, directories }) =>
        files.some((file) => file.path === path) ||
        directories.some((directory) => isAtOrBelow(path, directory.path)),
    ) ||
    system.links.some((link) => isAtOrBelow(path, link.path)) ||
    system.fileSystems.some(
      ({ mountPoint, fsType }) => mountPoint !== '/' && fsType !== 'tmpfs' && isAtOrBelow(path, mountPoint),
    )
  );
}

/**
 * Files that programs replace by a new one of the same name. Not among them: /etc/adjtime, which hwclock writes into and only
 * "timedatectl set-local-rtc" replaces, and NetworkManager's secret_key, which is written once.
 */
const REPLACED: readonly { readonly pattern: RegExp; readonly by: string }[] = [
  {
    pattern: /^\/var\/lib\/NetworkManager\/(timestamps|seen-bssids|NetworkManager\.state)$/,
    by: 'NetworkManager',
  },
  { pattern: /^\/etc\/NetworkManager\/system-connections\/[^/]+$/, by: 'NetworkManager' },
  { pattern: /^\/etc\/(passwd|shadow|group|gshadow|subuid|subgid)-?$/, by: 'NixOS and passwd' },
  { pattern: /^\/etc\/(hostname|machine-info)$/, by: 'systemd-hostnamed' },
  { pattern: /^\/etc\/(locale\.conf|vconsole\.conf)$/, by: 'systemd-localed' },
  { pattern: /^\/etc\/localtime$/, by: 'systemd-timedated' },
  { pattern: /^\/etc\/resolv\.conf$/, by: 'resolvconf and NetworkManager' },
];

function replacedBy(path: string): string | undefined {
  return REPLACED.find(({ pattern }) => pattern.test(path))?.by;
}

/** Lints about what a system has to know again after a boot. */
export const IDENTITY_LINTS: readonly Lint[] = [
  {
    name: 'machine-id-forgotten',
    reason:
      'systemd makes a new machine id at every boot, and takes each for the first one: journals of earlier boots are filed under another name and no longer shown, and DHCP leases change.',
    advice: 'Persist /etc/machine-id as a file.',
    shownBy: ['bugs/machine-id-not-kept'],
    find: ({ system, isWiped }: LintSubject): readonly Hit[] => {
      const inNix = system.nixModules.some(({ text }) => text.includes('machine-id'));
      if (!isWiped || inNix || isKept(MACHINE_ID, system)) return [];
      const place = system.persistence[0]?.place ?? system.fileSystems[0]?.place;
      return place === undefined ? [] : [{ place, message: `nothing keeps ${MACHINE_ID}` }];
    },
  },
  {
    name: 'machine-id-link',
    reason:
      'A rule of tmpfiles makes the link when systemd has read the machine id already, so that it is another one at every boot; with a link of environment.etc and dbus-broker a system did not boot (nixpkgs#516874).',
    advice:
      'Persist it as a file (bind mount) in environment.persistence, with "uninitialized" or an id in the store.',
    shownBy: ['bugs/machine-id-tmpfiles'],
    find: ({ system }: LintSubject): readonly Hit[] => [
      ...system.links
        .filter(({ path }) => path === MACHINE_ID)
        .map(({ source, place }) => ({ place, message: `${MACHINE_ID} is a link to ${source}` })),
      ...system.nixModules
        .filter(({ text }) => /environment\.etc\."?machine-id"?/.test(text))
        .map(({ file, place }) => ({
          place,
          message: `${file} makes ${MACHINE_ID} a link by environment.etc`,
        })),
    ],
  },
  {
    name: 'ids-forgotten',
    reason:
      'NixOS hands out numbers to users without a uid, and to services, and notes them in /var/lib/nixos. On a wiped root they are handed out anew, in another order after the next change of the configuration, and files belong to somebody else.',
    advice: 'Persist /var/lib/nixos, or give the user a uid.',
    shownBy: [],
    saidBy:
      'impermanence itself warns of it at evaluation; the guest made of Debian packages hands out numbers in its own way',
    find: ({ system, isWiped }: LintSubject): readonly Hit[] => {
      if (!isWiped || isKept('/var/lib/nixos', system)) return [];
      return system.users
        .filter(({ isNormalUser, uid }) => isNormalUser && uid === undefined)
        .map(({ name, place }) => ({ place, message: `${name} has no uid, and /var/lib/nixos is not kept` }));
    },
  },
  {
    name: 'file-replaced',
    reason:
      'A program that writes safely makes a new file and renames it. A link is replaced by the new file, which lies on the root and is gone with it; over a bind mount the renaming fails (EBUSY), and nothing is written.',
    advice: 'Persist the directory that the file lies in.',
    shownBy: ['networkmanager-as-published'],
    find: ({ system }: LintSubject): readonly Hit[] => {
      const kept = [
        ...system.persistence.flatMap(({ files }) => files.map(({ path, place }) => ({ path, place }))),
        ...system.links.map(({ path, place }) => ({ path, place })),
      ];
      return kept.flatMap(({ path, place }): Hit[] => {
        const by = replacedBy(path);
        return by === undefined
          ? []
          : [{ place, message: `${path} is kept as a single file, and ${by} replaces it` }];
      });
    },
  },
];

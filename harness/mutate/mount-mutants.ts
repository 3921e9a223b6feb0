import type { FileSystem } from '../scenario/index.js';
import { findRoot, isAlwaysNeededForBoot, isAtOrBelow } from '../scenario/index.js';
import { misspell } from './misspell.js';
import type { Mutant, Original } from './mutant.js';

/** Options of one mount; every other option of btrfs is one of the whole file system. */
const OF_ONE_MOUNT =
  /^(?:subvol=|subvolid=|ro$|rw$|noatime$|relatime$|nodiratime$|nodev$|nosuid$|noexec$|x-|X-)/;

/** Mutants of `fileSystems`. */
export function mutateMounts(original: Original): readonly Mutant[] {
  const { fileSystems } = original.scenario.system;
  return [
    ...fileSystems.flatMap((mount) => [
      ...dropMount(mount),
      ...dropFlag(mount, original),
      ...changeDevice(mount, original),
      ...changeSubvolume(mount, original),
      ...mount.options.flatMap((option, index) => changeOption(mount, { option, index }, original)),
    ]),
    ...replaceTmpfsRoot(original),
    ...swapMounts(original),
  ];
}

function pathOf({ mountPoint }: FileSystem): readonly string[] {
  return ['system', 'fileSystems', mountPoint];
}

function whatOf({ mountPoint }: FileSystem): string {
  return `fileSystems/${mountPoint}`;
}

function dropMount(mount: FileSystem): readonly Mutant[] {
  return [
    {
      id: `${whatOf(mount)}/drop`,
      title: `nothing is mounted at ${mount.mountPoint}`,
      missing: `${mount.mountPoint} is a mount`,
      place: mount.place,
      edits: [{ at: pathOf(mount), remove: true }],
    },
  ];
}

function dropFlag(mount: FileSystem, { source, scenario }: Original): readonly Mutant[] {
  if (!mount.explicitNeededForBoot) return [];
  const at = [...pathOf(mount), 'neededForBoot'];
  const { persistence } = scenario.system;
  // impermanence asks for the flag itself where it keeps something, or keeps it from.
  const isAsked = persistence.some(
    ({ root, directories, files }) =>
      isAtOrBelow(root, mount.mountPoint) ||
      [...directories, ...files].some(({ path }) => isAtOrBelow(path, mount.mountPoint)),
  );
  return [
    {
      id: `${whatOf(mount)}/neededForBoot/drop`,
      title: `${mount.mountPoint} is not marked as neededForBoot`,
      missing: `${mount.mountPoint} is mounted in stage 1`,
      place: source.placeAt(at),
      edits: [{ at, remove: true }],
      ...(isAlwaysNeededForBoot(mount.mountPoint) && !isAsked
        ? {
            equivalent: `NixOS always mounts ${mount.mountPoint} in stage 1, and no module asks for the flag`,
          }
        : {}),
    },
  ];
}

function changeDevice(mount: FileSystem, { source }: Original): readonly Mutant[] {
  const at = [...pathOf(mount), 'device'];
  const device = source.valueAt(at);
  if (typeof device !== 'string' || !device.startsWith('/')) return [];
  const wrong = misspell(device);
  return [
    {
      id: `${whatOf(mount)}/device/misspell`,
      title: `${mount.mountPoint} is mounted from ${wrong}, not ${device}`,
      missing: `${mount.mountPoint} is mounted from ${device}`,
      place: source.placeAt(at),
      edits: [{ at, set: wrong }],
    },
  ];
}

function changeSubvolume(mount: FileSystem, { source, scenario }: Original): readonly Mutant[] {
  const { fileSystems } = scenario.system;
  const index = mount.options.findIndex((option) => option.startsWith('subvol='));
  const others = fileSystems.filter(
    ({ device, subvolume }) =>
      device === mount.device && subvolume !== undefined && subvolume !== mount.subvolume,
  );
  const next = fileSystems.indexOf(mount);
  const other = others.find((each) => fileSystems.indexOf(each) > next) ?? others[0];
  if (index < 0 || other?.subvolume === undefined) return [];
  const at = [...pathOf(mount), 'options', index];
  return [
    {
      id: `${whatOf(mount)}/subvol/${other.subvolume}`,
      title: `${mount.mountPoint} is mounted from the subvolume ${other.subvolume}, not ${mount.subvolume ?? ''}`,
      missing: `${mount.mountPoint} is mounted from the subvolume ${mount.subvolume ?? ''}`,
      place: source.placeAt(at),
      edits: [{ at, set: `subvol=${other.subvolume}` }],
    },
  ];
}

function changeOption(
  mount: FileSystem,
  { option, index }: { readonly option: string; readonly index: number },
  { source, scenario }: Original,
): readonly Mutant[] {
  if (option.startsWith('subvol=')) return [];
  const at = [...pathOf(mount), 'options', index];
  const place = source.placeAt(at);
  const what = `${whatOf(mount)}/options:${option}`;
  const missing = `${mount.mountPoint} is mounted with ${option}`;
  const why = whyWithout(mount, option, scenario.system.fileSystems);
  const drop: Mutant = {
    id: `${what}/drop`,
    title: `${mount.mountPoint} is mounted without ${option}`,
    missing,
    place,
    edits: [{ at, remove: true }],
    ...(why === undefined ? {} : { equivalent: why }),
  };
  const other = OTHER_VALUES[option.split('=')[0] ?? ''];
  if (other === undefined || mount.fsType !== 'tmpfs' || option === other) return [drop];
  return [
    drop,
    {
      id: `${what}/${other}`,
      title: `${mount.mountPoint} is mounted with ${other}, not ${option}`,
      missing,
      place,
      edits: [{ at, set: other }],
    },
  ];
}

/** Other values of the options of a tmpfs. */
const OTHER_VALUES: Readonly<Record<string, string>> = { size: 'size=90%', mode: 'mode=777' };

/** Why a mount is the same without an option. */
function whyWithout(
  mount: FileSystem,
  option: string,
  fileSystems: readonly FileSystem[],
): string | undefined {
  if (option === 'defaults') return 'defaults are what is taken when nothing is said';
  const root = findRoot(fileSystems);
  const isShared =
    mount !== root &&
    mount.fsType === 'btrfs' &&
    root?.fsType === 'btrfs' &&
    root.device === mount.device &&
    root.options.includes(option) &&
    !OF_ONE_MOUNT.test(option);
  // btrfs(5): most options are those of the file system, and only those of the first mount take effect.
  return isShared ? `an option of the whole btrfs, set by the mount of /, which is the first` : undefined;
}

/** A root that is kept although it was to be in memory. */
function replaceTmpfsRoot({ scenario }: Original): readonly Mutant[] {
  const { fileSystems } = scenario.system;
  const root = findRoot(fileSystems);
  const kept = fileSystems.find(({ mountPoint, device }) => mountPoint === '/nix' && device.startsWith('/'));
  if (root?.fsType !== 'tmpfs' || kept === undefined) return [];
  return [
    {
      id: 'fileSystems///kept',
      title: `/ is ${kept.device}, as /nix is, and no tmpfs`,
      missing: '/ is a tmpfs',
      place: root.place,
      edits: [
        {
          at: pathOf(root),
          set: { device: kept.device, fsType: kept.fsType, options: kept.options },
        },
      ],
    },
  ];
}

/** Neighbours with each other's devices and options. */
function swapMounts({ source, scenario }: Original): readonly Mutant[] {
  const mounts = scenario.system.fileSystems.filter(({ subvolume }) => subvolume !== undefined);
  return mounts.slice(1).map((second, index): Mutant => {
    const first = mounts[index] ?? second;
    const valueOf = (mount: FileSystem, key: string): unknown =>
      source.valueAt([...pathOf(mount), key]) ?? [];
    const give = (mount: FileSystem, from: FileSystem): Mutant['edits'] => [
      { at: [...pathOf(mount), 'device'], set: valueOf(from, 'device') },
      { at: [...pathOf(mount), 'options'], set: valueOf(from, 'options') },
    ];
    return {
      id: `fileSystems/${first.mountPoint}/swap:${second.mountPoint}`,
      title: `${first.mountPoint} and ${second.mountPoint} have each other's file system`,
      missing: `${first.mountPoint} and ${second.mountPoint} are mounted from where the layout says`,
      place: first.place,
      edits: [...give(first, second), ...give(second, first)],
    };
  });
}

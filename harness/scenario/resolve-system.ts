import type { Place } from '../core/index.js';
import type { Path } from './located.js';
import type { AxisValues } from './axes.js';
import type { FileSystem, Persistence, Rollback, SwapDevice, SystemModel, UnitList, User } from './model.js';
import type { Script } from './script.js';
import { compareMountPoints, isAlwaysNeededForBoot } from './mount-tree.js';
import type { SystemInput } from './schema.js';
import { resolveLinks } from './resolve-links.js';
import { resolveMade } from './resolve-made.js';
import { cryptsetupUnit, escapeUnitPath } from './unit-name.js';

const MAPPER = '/dev/mapper/';

/** Gives the place of what stands at a path of the scenario. */
export type PlaceFinder = (path: Path) => Place;

/** The rollback's script for each kind of stage 1. */
export interface RollbackScripts {
  readonly service: Script;
  readonly hook: Script;
}

/**
 * Makes the model of a system that has passed all checks.
 *
 * @param input `system` as written.
 * @param options.placeAt Where things are written.
 * @param options.rollback The scripts of the rollback; needed when there is a rollback.
 * @param options.nixModules What the files of `nixModules` hold.
 * @param options.axes The point of the matrix.
 */
export function resolveSystem(
  written: SystemInput,
  options: {
    readonly placeAt: PlaceFinder;
    readonly rollback: RollbackScripts | undefined;
    readonly nixModules: readonly Script[];
    readonly axes: Pick<AxisValues, 'stage1' | 'luks' | 'firmware'>;
  },
): SystemModel {
  const { axes } = options;
  const input = axes.luks === 'none' ? withoutLuks(written) : written;
  const unlock = axes.luks === 'none' ? 'passphrase' : axes.luks;
  const placeAt = (...path: Path): Place => options.placeAt(['system', ...path]);
  const rollback = resolveRollback(input, options.rollback, placeAt);
  return {
    hostName: input.hostName,
    stage1: axes.stage1,
    ...(axes.firmware === 'secure-boot'
      ? { secureBoot: { place: options.placeAt(['matrix', 'firmware']) } }
      : {}),
    luks: Object.entries(input.luks).map(([name, luks]) => ({
      name,
      ...luks,
      unlock,
      unit: cryptsetupUnit(name),
      place: placeAt('luks', name),
    })),
    fileSystems: Object.entries(input.fileSystems)
      .map(([mountPoint, fileSystem]) =>
        resolveFileSystem(mountPoint, fileSystem, placeAt('fileSystems', mountPoint)),
      )
      .sort((a, b) => compareMountPoints(a.mountPoint, b.mountPoint)),
    swapDevices: input.swapDevices.map((swap, index) => resolveSwap(swap, placeAt('swapDevices', index))),
    tmpfiles: input.tmpfiles,
    ...(input.resumeDevice === undefined ? {} : { resumeDevice: input.resumeDevice }),
    ...(rollback === undefined ? {} : { rollback }),
    persistence: Object.entries(input.persistence).map(([root, each]) =>
      resolvePersistence(root, each, placeAt),
    ),
    users: Object.entries(input.users).map(([name, user]) => resolveUser(name, user, placeAt('users', name))),
    openssh: {
      hostKeys: input.openssh.hostKeys.map(({ path, type, bits }, index) => ({
        path,
        type,
        ...(bits === undefined ? {} : { bits }),
        place: placeAt('openssh', 'hostKeys', index),
      })),
    },
    links: resolveLinks(input, placeAt),
    made: resolveMade(input, placeAt),
    services: {
      networkmanager: input.networkmanager,
      docker: input.docker,
      incus: input.incus,
      autoScrub: input.autoScrub,
      coredump: input.coredump,
      sudo: input.sudo,
    },
    nixModules: options.nixModules,
  };
}

function resolveFileSystem(
  mountPoint: string,
  input: SystemInput['fileSystems'][string],
  place: Place,
): FileSystem {
  const subvolume = input.options
    .find((option) => option.startsWith('subvol='))
    ?.slice('subvol='.length)
    .replace(/^\/+/, '');
  return {
    mountPoint,
    device: input.device,
    fsType: input.fsType,
    options: input.options,
    neededForBoot: input.neededForBoot || isAlwaysNeededForBoot(mountPoint),
    explicitNeededForBoot: input.neededForBoot,
    ...(subvolume === undefined ? {} : { subvolume }),
    place,
  };
}

function resolveRollback(
  input: SystemInput,
  scripts: RollbackScripts | undefined,
  placeAt: (...path: Path) => Place,
): Rollback | undefined {
  if (input.rollback === null || scripts === undefined) return undefined;
  const { scripted, blankSnapshot, ...rollback } = input.rollback;
  const { hook, order } = scripted;
  const placesOf = (list: UnitList): readonly Place[] =>
    rollback[list].map((_, index) => placeAt('rollback', list, index));
  return {
    ...rollback,
    ...(blankSnapshot === undefined ? {} : { blankSnapshot }),
    unit: `${input.rollback.name}.service`,
    script: scripts.service,
    scripted: { hook, order, script: scripts.hook, place: placeAt('rollback', 'scripted') },
    unitPlaces: {
      after: placesOf('after'),
      before: placesOf('before'),
      requires: placesOf('requires'),
      wantedBy: placesOf('wantedBy'),
      requiredBy: placesOf('requiredBy'),
    },
    place: placeAt('rollback'),
  };
}

/** NixOS names the decrypted form after the device: its unit name without backslashes. */
function resolveSwap(input: SystemInput['swapDevices'][number], place: Place): SwapDevice {
  const swapsOn = input.randomEncryption
    ? `${MAPPER}${escapeUnitPath(input.device).replaceAll('\\', '')}`
    : input.device;
  return { ...input, swapsOn, place };
}

/** What lay in a LUKS device lies on the device itself. */
function withoutLuks(input: SystemInput): SystemInput {
  const bare = (device: string): string => input.luks[device.slice(MAPPER.length)]?.device ?? device;
  const bareOption = (option: string): string =>
    option.startsWith('device=') ? `device=${bare(option.slice('device='.length))}` : option;
  return {
    ...input,
    luks: {},
    fileSystems: Object.fromEntries(
      Object.entries(input.fileSystems).map(([mountPoint, each]) => [
        mountPoint,
        { ...each, device: bare(each.device), options: each.options.map(bareOption) },
      ]),
    ),
    swapDevices: input.swapDevices.map((each) => ({ ...each, device: bare(each.device) })),
  };
}

function resolvePersistence(
  root: string,
  input: SystemInput['persistence'][string],
  placeAt: (...path: Path) => Place,
): Persistence {
  return {
    root,
    hideMounts: input.hideMounts,
    directories: input.directories.map((each, index) => {
      const given = typeof each === 'string' ? { directory: each } : each;
      return {
        path: given.directory,
        source: joinSource(root, given.directory),
        user: given.user ?? 'root',
        group: given.group ?? 'root',
        mode: (given.mode ?? '0755').padStart(4, '0'),
        inStageOne: isAlwaysNeededForBoot(given.directory),
        place: placeAt('persistence', root, 'directories', index),
      };
    }),
    files: input.files.map((each, index) => {
      const given = typeof each === 'string' ? { file: each, method: 'auto' as const } : each;
      return {
        path: given.file,
        source: joinSource(root, given.file),
        method: given.method,
        place: placeAt('persistence', root, 'files', index),
      };
    }),
    place: placeAt('persistence', root),
  };
}

function joinSource(root: string, path: string): string {
  return root === '/' ? path : `${root}${path}`;
}

function resolveUser(name: string, input: SystemInput['users'][string], place: Place): User {
  return {
    name,
    isNormalUser: input.isNormalUser,
    ...(input.uid === undefined ? {} : { uid: input.uid }),
    ...(input.hashedPasswordFile === undefined ? {} : { hashedPasswordFile: input.hashedPasswordFile }),
    place,
  };
}

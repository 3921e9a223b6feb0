import type { Place } from '../core/index.js';
import type { Path } from './located.js';
import type { FileSystem, Persistence, Rollback, Script, SystemModel, User } from './model.js';
import { compareMountPoints, isAlwaysNeededForBoot } from './mount-tree.js';
import type { SystemInput } from './schema.js';
import { cryptsetupUnit } from './unit-name.js';

/** Gives the place of what stands at a path of the scenario. */
export type PlaceFinder = (path: Path) => Place;

/**
 * Makes the model of a system that has passed all checks.
 *
 * @param input `system` as written.
 * @param options.placeAt Where things are written.
 * @param options.rollbackScript The script of the rollback; needed when there is a rollback.
 */
export function resolveSystem(
  input: SystemInput,
  options: { readonly placeAt: PlaceFinder; readonly rollbackScript: Script | undefined },
): SystemModel {
  const placeAt = (...path: Path): Place => options.placeAt(['system', ...path]);
  const rollback = resolveRollback(input, options.rollbackScript, placeAt('rollback'));
  return {
    hostName: input.hostName,
    stage1: input.stage1,
    luks: Object.entries(input.luks).map(([name, luks]) => ({
      name,
      ...luks,
      unit: cryptsetupUnit(name),
      place: placeAt('luks', name),
    })),
    fileSystems: Object.entries(input.fileSystems)
      .map(([mountPoint, fileSystem]) =>
        resolveFileSystem(mountPoint, fileSystem, placeAt('fileSystems', mountPoint)),
      )
      .sort((a, b) => compareMountPoints(a.mountPoint, b.mountPoint)),
    swapDevices: input.swapDevices.map((swap, index) => ({ ...swap, place: placeAt('swapDevices', index) })),
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

function resolveRollback(input: SystemInput, script: Script | undefined, place: Place): Rollback | undefined {
  if (input.rollback === null || script === undefined) return undefined;
  return { ...input.rollback, unit: `${input.rollback.name}.service`, script, place };
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

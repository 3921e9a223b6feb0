import type { Place } from '../core/index.js';
import type { DeclaredLink, FileSystem, SystemModel } from './model.js';
import { findHolder } from './mount-tree.js';
import type { KeptPromise } from './promise.js';

/** A path which the scenario itself promises to be kept. */
export interface ExplicitPath {
  readonly path: string;
  /** What it is when nothing else of the scenario tells. */
  readonly of: 'directory' | 'file';
  readonly place: Place;
}

/** Owner, group and mode of a persisted directory, as far as the scenario states them. */
export interface StatedOwnership {
  readonly user?: string;
  readonly group?: string;
  readonly mode?: string;
}

/** Mounts whose files are not the layout's to keep: the root, what the loader and what the package manager write. */
const NOT_VOLUMES = new Set(['/', '/nix/store', '/boot', '/efi', '/boot/efi']);
/** File systems that are empty or complete from the start. */
const UNWRITTEN_TYPES = new Set(['tmpfs', 'ramfs', 'overlay', 'squashfs', 'erofs', 'iso9660']);

/**
 * Makes the promises about what survives a boot: every file system of its own, everything persisted, and what the
 * scenario names.
 *
 * @param system What is declared.
 * @param explicit What the scenario names; the place of one that follows from the system, too, is the one here.
 * @param stated Owner, group and mode of persisted directories, by path, where the scenario states them.
 * @returns Volumes, then persisted directories and files, then what is only named.
 */
export function deriveKept(
  system: SystemModel,
  explicit: readonly ExplicitPath[],
  stated: ReadonlyMap<string, StatedOwnership>,
): readonly KeptPromise[] {
  const volumes = system.fileSystems.filter(isVolume);
  const volumePaths = volumes.map((each) => each.mountPoint);
  const mountPoints = system.fileSystems.map((each) => each.mountPoint);
  const binds = system.fileSystems.filter(
    (each) => isBind(each) && volumePaths.includes(findHolder(each.device, mountPoints) ?? ''),
  );
  const derived = [
    ...volumes.map(({ mountPoint, place }) => promiseKept(mountPoint, { of: 'volume', place })),
    ...binds.map(({ mountPoint, device, place }) =>
      promiseKept(mountPoint, { of: 'directory', source: device, place }),
    ),
    ...system.persistence.flatMap(({ directories, files }) => [
      ...directories.map(({ path, source, place }) =>
        promiseKept(path, { of: 'directory', source, place, ...stated.get(path) }),
      ),
      ...files.map(({ path, source, method, place }) =>
        promiseKept(path, {
          of: 'file',
          source,
          place,
          // preservation makes a link of this one, and systemd goes through it.
          ...(method === 'auto' && path !== '/etc/machine-id' ? { bound: true } : {}),
        }),
      ),
    ]),
  ];
  const promises = new Map(derived.map((each) => [each.path, each]));
  for (const { path, of, place } of explicit) {
    const known = promises.get(path);
    promises.set(
      path,
      known === undefined
        ? promiseNamed(path, { of, place, derived, links: system.links })
        : { ...known, place },
    );
  }
  return [...promises.values()];
}

/**
 * Finds the promise by which a path is kept.
 *
 * @returns The most specific one; undefined when the path, or the file system that it is on, is not kept.
 */
export function findKept(
  system: SystemModel,
  kept: readonly KeptPromise[],
  path: string,
): KeptPromise | undefined {
  const mountPoints = system.fileSystems.map((each) => each.mountPoint);
  const holder = findHolder(path, [...kept.map((each) => each.path), ...mountPoints]);
  const promise = kept.find((each) => each.path === holder);
  return promise?.of === 'file' && promise.path !== path ? undefined : promise;
}

/** A named path that is a link has its source there; one below a persisted directory has it below that directory's. */
function promiseNamed(
  path: string,
  options: {
    of: 'directory' | 'file';
    place: Place;
    derived: readonly KeptPromise[];
    links: readonly DeclaredLink[];
  },
): KeptPromise {
  const { of, place, derived } = options;
  const link = options.links.find((each) => each.path === path);
  if (link !== undefined) return promiseKept(path, { of, place, source: link.source, link: link.target });
  const holder = findHolder(
    path,
    derived.filter((each) => each.of !== 'file').map((each) => each.path),
  );
  const source = derived.find((each) => each.path === holder)?.source;
  return promiseKept(path, {
    of,
    place,
    ...(source === undefined || holder === undefined ? {} : { source: source + path.slice(holder.length) }),
  });
}

function promiseKept(path: string, rest: Omit<KeptPromise, 'kind' | 'id' | 'title' | 'path'>): KeptPromise {
  const what = rest.of === 'file' ? 'its content' : 'its files';
  return { kind: 'kept', id: `kept:${path}`, title: `${path} keeps ${what}`, path, ...rest };
}

function isVolume(fileSystem: FileSystem): boolean {
  return (
    !NOT_VOLUMES.has(fileSystem.mountPoint) &&
    !UNWRITTEN_TYPES.has(fileSystem.fsType) &&
    !fileSystem.options.includes('ro') &&
    !isBind(fileSystem)
  );
}

function isBind({ fsType, options }: FileSystem): boolean {
  return fsType === 'none' || options.includes('bind') || options.includes('rbind');
}

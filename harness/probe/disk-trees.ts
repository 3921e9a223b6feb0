import type { Scenario } from '../scenario/index.js';
import type { BootEvidence } from './evidence.js';
import { findStores } from './find-orphans.js';
import { mountedElsewhere, withoutOfRoot } from './root-tree.js';

/** A folder of the powered-off disk whose whole content is wanted. */
export interface DiskTree {
  /** `root`, or the path of a store. */
  readonly name: string;
  /** As the scenario names it. */
  readonly device: string;
  /** From the top level of the file system, without a slash in front. */
  readonly folder: string;
  /** Folders in it whose content is left out, relative to it. */
  readonly without: readonly string[];
  readonly digests: boolean;
}

/** Name of the root among the trees. */
export const ROOT_TREE = 'root';

/**
 * What leaks are looked for in on the powered-off disk: the root, unless it is in memory, and every store.
 *
 * @param evidence Of the last boot: only the system knows which subvolumes were mounted.
 */
export function planDiskTrees(
  scenario: Scenario,
  { mounts, subvolumes }: Pick<BootEvidence, 'mounts' | 'subvolumes'>,
): DiskTree[] {
  const { fileSystems } = scenario.system;
  const deviceOf = (mountPoint: string): string | undefined =>
    fileSystems.find((each) => each.mountPoint === mountPoint && each.device.startsWith('/dev/'))?.device;
  const folderOf = (mountPoint: string): string =>
    (mounts.findLast((mount) => mount.mountPoint === mountPoint)?.root ?? '').replace(/^\/+/, '');
  const root = deviceOf('/');
  const stores = findStores(scenario).flatMap(({ path, mountPoint }): DiskTree[] => {
    const device = deviceOf(mountPoint);
    if (device === undefined) return [];
    const inVolume = path.slice(mountPoint === '/' ? 1 : mountPoint.length + 1);
    const without = mountedElsewhere(mountPoint, mounts, subvolumes).flatMap((folder) =>
      inVolume === ''
        ? [folder]
        : folder.startsWith(`${inVolume}/`)
          ? [folder.slice(inVolume.length + 1)]
          : [],
    );
    const folder = [folderOf(mountPoint), inVolume].filter((part) => part !== '').join('/');
    return [{ name: path, device, folder, without, digests: false }];
  });
  if (root === undefined) return stores;
  const without = withoutOfRoot(mounts, subvolumes);
  return [{ name: ROOT_TREE, device: root, folder: folderOf('/'), without, digests: true }, ...stores];
}

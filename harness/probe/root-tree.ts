import { quote } from '../core/index.js';
import { isAtOrBelow } from '../scenario/index.js';
import type { Collection } from './collect.js';
import type { Mount, Subvolume } from './evidence.js';
import { parseSections, renderSections, type Section } from './sections.js';
import { listTree, parseTree, type Tree } from './tree.js';

/**
 * Folders of a root file system whose content is no state of it: kernel and runtime file systems lie over them, the
 * store is made by Nix, and NixOS treats /tmp as a place that may be emptied at any time.
 */
const NOT_STATE = ['dev', 'nix/store', 'proc', 'run', 'sys', 'tmp'];

/**
 * Lists the root file system of a running system, without what is mounted over it: the root is mounted a second time,
 * where only this command sees it. So the list is of the same shape as one of the powered-off disk.
 *
 * @param mounts And `subvolumes`: as the system shows them; a subvolume that is mounted at a place of its own is no
 * part of the root, even when it lies inside the root's subvolume.
 * @param options.boundary Made up for this script.
 */
export function collectRoot(
  { mounts, subvolumes }: { readonly mounts: readonly Mount[]; readonly subvolumes: readonly Subvolume[] },
  options: { readonly boundary: string },
): Collection<Tree> {
  const scratch = '/run/imperm-tree';
  const without = withoutOfRoot(mounts, subvolumes);
  const list = `mount --bind / ${scratch}/root && cd ${scratch}/root && ${listTree({ without, digests: true, scratch })}`;
  const sections: Section[] = [
    {
      name: 'root-tree',
      command: `mkdir -p ${scratch}/root && unshare --mount --propagation private bash -c ${quote(list)} 2>&1`,
    },
  ];
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => {
      const result = parseSections(output, sections, options.boundary).get('root-tree');
      return result === undefined ? { problem: 'the list is missing' } : parseTree(result);
    },
  };
}

/** Folders of the root that are left out when it is listed, relative to it. */
export function withoutOfRoot(mounts: readonly Mount[], subvolumes: readonly Subvolume[]): string[] {
  return [...NOT_STATE, ...mountedElsewhere('/', mounts, subvolumes)];
}

/** Subvolumes inside the one at a mount point which are mounted at places of their own, relative to it. */
export function mountedElsewhere(
  mountPoint: string,
  mounts: readonly Mount[],
  subvolumes: readonly Subvolume[],
): string[] {
  const top = mounts.findLast((mount) => mount.mountPoint === mountPoint);
  if (top?.fsType !== 'btrfs') return [];
  return mounts
    .filter(
      (mount) =>
        mount.source === top.source &&
        mount.root !== top.root &&
        isAtOrBelow(mount.root, top.root) &&
        subvolumes.some(({ path }) => `/${path}` === mount.root),
    )
    .map((mount) => mount.root.slice(top.root === '/' ? 1 : top.root.length + 1));
}

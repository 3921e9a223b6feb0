import type { FileFacts, Listing } from './listing.js';
import type { LeakContent, LeakKind } from './leak.js';
import { isShared } from './known-state.js';

/** Names of things in a directory that are shown for all of them. */
const SAMPLE = 3;

/** Inode of the top of every btrfs subvolume. */
const SUBVOLUME_INODE = '256';

/** A path that is told, and what it stands for. */
export interface Collapsed {
  readonly facts: FileFacts;
  readonly kind: LeakKind;
  readonly changes: readonly string[];
  readonly content?: LeakContent;
}

/** @returns Without a slash at the end; of a path right below the root, the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}

/** All directories above a path, the closest first. */
function ancestorsOf(path: string): string[] {
  const found: string[] = [];
  for (let at = path; at !== '/';) {
    at = parentOf(at);
    found.push(at);
  }
  return found;
}

export function kindOf(facts: FileFacts, parent: FileFacts | undefined): LeakKind {
  switch (facts.type) {
    case 'f':
      return 'file';
    case 'l':
      return 'link';
    case 's':
      return 'socket';
    case 'p':
      return 'pipe';
    case 'd': {
      const [device, inode] = facts.inode.split(':');
      const isTop = inode === SUBVOLUME_INODE && device !== (parent?.inode.split(':')[0] ?? device);
      return isTop ? 'subvolume' : 'directory';
    }
    default:
      return 'device';
  }
}

/**
 * Tells a directory once instead of all that is in it, where it is new, or where all that is in it is told.
 *
 * @param found Changes by path.
 * @param listing All that there is, what is left alone included; without canaries.
 * @param options.onlyNew Never stand for what is in a directory that is not told itself. Default: false.
 */
export function collapse(
  found: ReadonlyMap<string, readonly string[]>,
  listing: Listing,
  { onlyNew = false }: { readonly onlyNew?: boolean } = {},
): Collapsed[] {
  const tally = new Map<string, { found: number; stable: number }>();
  for (const [path, facts] of listing) {
    const isFound = found.has(path);
    if (facts.type === 'd' && !isFound) continue; // A directory that is as ever holds nothing by itself.
    for (const above of ancestorsOf(path)) {
      const sums = tally.get(above) ?? { found: 0, stable: 0 };
      sums[isFound ? 'found' : 'stable'] += 1;
      tally.set(above, sums);
    }
  }
  const isWhole = (path: string): boolean => {
    if (listing.get(path)?.type !== 'd') return false;
    if (found.get(path)?.includes(NEW) === true) return true;
    const sums = tally.get(path);
    return (
      !onlyNew &&
      !isShared(path) &&
      !found.has(path) &&
      sums !== undefined &&
      sums.stable === 0 &&
      sums.found > 1
    );
  };
  const wholes = new Set([...listing.keys()].filter(isWhole));
  const tops = [...wholes].filter((path) => !ancestorsOf(path).some((above) => wholes.has(above)));
  const contents = new Map(tops.map((path) => [path, [] as FileFacts[]]));
  const singles: string[] = [];
  for (const [path, facts] of listing) {
    const top = ancestorsOf(path).find((above) => contents.has(above));
    if (!found.has(path)) continue;
    if (top !== undefined) contents.get(top)?.push(facts);
    else if (!contents.has(path)) singles.push(path);
  }
  return [...tops, ...singles].sort(comparePaths).flatMap((path) => {
    const facts = listing.get(path);
    if (facts === undefined) return [];
    const inside = contents.get(path);
    return [
      {
        facts,
        kind: kindOf(facts, listing.get(parentOf(path))),
        changes: found.get(path) ?? [ALL_INSIDE],
        ...(inside === undefined || inside.length === 0 ? {} : { content: sumUp(path, inside, listing) }),
      },
    ];
  });
}

/** The change of what was not there before. */
export const NEW = 'new';
/** The change of a directory that is as ever, while all that is in it is told. */
export const ALL_INSIDE = 'all that is in it';

function sumUp(top: string, inside: readonly FileFacts[], listing: Listing): LeakContent {
  const kinds = inside.map((facts) => kindOf(facts, listing.get(parentOf(facts.path))));
  const count = (...wanted: readonly LeakKind[]): number =>
    kinds.filter((kind) => wanted.includes(kind)).length;
  const names = inside.filter(({ type }) => type !== 'd').map(({ path }) => path.slice(top.length + 1));
  return {
    files: count('file'),
    directories: count('directory'),
    links: count('link'),
    subvolumes: count('subvolume'),
    others: count('socket', 'pipe', 'device'),
    sizeBytes: inside.reduce((sum, { type, sizeBytes }) => sum + (type === 'f' ? sizeBytes : 0), 0),
    sample: names.sort(comparePaths).slice(0, SAMPLE),
  };
}

/** The same on every machine, whatever its language. */
export function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

import { CANARY_NAME } from './canary.js';
import { NEW, parentOf } from './collapse.js';
import type { FileFacts, Listing } from './listing.js';
import type { OwnerEvidence } from './owners.js';

/** Differences in words, by path. */
type Changes = ReadonlyMap<string, readonly string[]>;

export interface RootsComparison {
  readonly lost: Changes;
  readonly remade: Changes;
  /** The end of the boot, without what the harness itself has put there. */
  readonly end: Listing;
}

/** Services with a /tmp of their own leave these behind, with a new name at every start. */
const PRIVATE_TMP = /^\/var\/tmp\/systemd-private-[^/]+(?:\/|$)/;

/**
 * What a boot has that no other boot makes.
 *
 * @param options.own The root at the start of the same boot.
 * @param options.others The root at the start of other boots; what one of these made is made again by the next.
 */
export function compareRoots(
  seen: Listing,
  options: { readonly own: Listing; readonly others: readonly Listing[]; readonly names?: OwnerEvidence },
): RootsComparison {
  const { own, others, names } = options;
  const end = withoutCanaries(seen, [own, ...others]);
  const lost = new Map<string, readonly string[]>();
  const remade = new Map<string, readonly string[]>();
  for (const [path, facts] of end) {
    if (others.some((listing) => isSame(listing.get(path), facts))) continue;
    const first = own.get(path);
    const other = others.map((listing) => listing.get(path)).findLast((each) => each !== undefined);
    if (!isSame(first, facts)) {
      const before = first ?? other;
      lost.set(path, before === undefined ? [NEW] : describeChanges(before, facts, names));
    } else if (other !== undefined) {
      remade.set(path, describeChanges(other, facts, names));
    } else if (others.length > 0) {
      // Made when this boot began, and by no other boot.
      lost.set(path, [NEW]);
    }
  }
  return { lost, remade, end };
}

/** @param known Directories in one of these are not the harness's, although only canaries lie in them. */
export function withoutCanaries(listing: Listing, known: readonly Listing[] = []): Listing {
  const paths = [...listing.keys()];
  const kept = new Map([...listing].filter(([path]) => !isCanary(path) && !PRIVATE_TMP.test(path)));
  const planted = paths.filter((path) => isCanary(path) && !isCanary(parentOf(path)));
  const filled = new Set([...kept.keys()].map(parentOf));
  for (const canary of planted) {
    const folder = parentOf(canary);
    if (folder !== '/' && !filled.has(folder) && !known.some((each) => each.has(folder))) kept.delete(folder);
  }
  return kept;
}

/** Whether the harness planted it. */
export function isCanary(path: string): boolean {
  return path.includes(`/${CANARY_NAME}`);
}

/** Time is not compared: what every boot makes has another one every time. */
function isSame(before: FileFacts | undefined, after: FileFacts): boolean {
  return before !== undefined && describeChanges(before, after, undefined).length === 0;
}

function describeChanges(before: FileFacts, after: FileFacts, names: OwnerEvidence | undefined): string[] {
  const change = (what: string, one: string, other: string): string[] =>
    one === other ? [] : [`${what} ${one} → ${other}`];
  const ownerOf = ({ uid, gid }: FileFacts): string => {
    const { user, group } = nameOwner({ uid, gid }, names);
    return `${user}:${group}`;
  };
  if (before.type !== after.type) return change('kind', nameType(before), nameType(after));
  return [
    ...(after.type === 'l'
      ? change('target', before.target, after.target)
      : change('mode', modeOf(before), modeOf(after))),
    ...(before.uid === after.uid && before.gid === after.gid
      ? []
      : change('owner', ownerOf(before), ownerOf(after))),
    ...(after.type === 'f' && !hasSameContent(before, after) ? ['content'] : []),
  ];
}

function hasSameContent(before: FileFacts, after: FileFacts): boolean {
  if (before.sizeBytes !== after.sizeBytes) return false;
  if (before.digest !== undefined && after.digest !== undefined) return before.digest === after.digest;
  return before.mtime === after.mtime;
}

const TYPES: Readonly<Record<string, string>> = {
  f: 'file',
  d: 'directory',
  l: 'link',
  s: 'socket',
  p: 'pipe',
};

function nameType({ type }: FileFacts): string {
  return TYPES[type] ?? 'device';
}

/** Four octal digits. */
export function modeOf({ mode }: Pick<FileFacts, 'mode'>): string {
  return mode.padStart(4, '0');
}

/** Names where the system has them, else numbers. */
export function nameOwner(
  { uid, gid }: Pick<FileFacts, 'uid' | 'gid'>,
  names: OwnerEvidence | undefined,
): { readonly user: string; readonly group: string } {
  const fallback = (id: number): string => (id === 0 ? 'root' : String(id));
  return {
    user: names?.users.get(uid) ?? fallback(uid),
    group: names?.groups.get(gid) ?? fallback(gid),
  };
}

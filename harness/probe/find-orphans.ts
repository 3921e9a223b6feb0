import { isAtOrBelow, parseTmpfilesRule, type Scenario } from '../scenario/index.js';
import { withoutCanaries } from './compare-roots.js';
import type { Listing } from './listing.js';

/** Directories with a meaning of their own: a volume mounted there is no store for things of other places. */
const OWN_USE =
  /^\/(?:$|(?:bin|boot|dev|efi|etc|home|lib|lib64|media|mnt|nix|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)(?:\/|$))/;

/** A place where kept things lie only because something declares them. */
export interface Store {
  /** A volume's mount point; on a volume with other uses a persistence root, or what lies beside the store in /nix. */
  readonly path: string;
  /** The volume that holds it. */
  readonly mountPoint: string;
}

/** Every source that the scenario declares: what it keeps, reads, binds or mounts. A directory covers what is in it. */
function declaredSources({ system }: Scenario): { readonly files: string[]; readonly directories: string[] } {
  const { persistence, users, openssh, fileSystems, swapDevices, tmpfiles } = system;
  return {
    files: [
      ...persistence.flatMap(({ files }) => files.map(({ source }) => source)),
      ...users.flatMap(({ hashedPasswordFile }) =>
        hashedPasswordFile === undefined ? [] : [hashedPasswordFile],
      ),
      ...openssh.hostKeys.flatMap(({ path }) => [path, `${path}.pub`]),
      ...swapDevices.map(({ device }) => device),
      ...fileSystems.map(({ mountPoint }) => mountPoint),
    ],
    directories: [
      ...persistence.flatMap(({ directories }) => directories.map(({ source }) => source)),
      ...fileSystems.map(({ device }) => device),
      ...tmpfiles.flatMap(pathsOfRule),
    ].filter((path) => path.startsWith('/') && !path.startsWith('/dev/')),
  };
}

/** Of a line of tmpfiles.d the path that it makes, and the one that a link points at or a copy comes from. */
function pathsOfRule(line: string): string[] {
  const { path, argument } = parseTmpfilesRule(line) ?? {};
  return [path, argument].filter((each) => each !== undefined);
}

/** Places where nothing should lie that is not declared. A volume counts when it is used as a store and as nothing else. */
export function findStores(scenario: Scenario): Store[] {
  const { fileSystems, persistence } = scenario.system;
  const volumes = fileSystems.filter(({ device }) => device.startsWith('/dev/'));
  const holderOf = (path: string): string | undefined =>
    volumes
      .map(({ mountPoint }) => mountPoint)
      .filter((mountPoint) => isAtOrBelow(path, mountPoint))
      .sort((a, b) => b.length - a.length)[0];
  const { files, directories } = declaredSources(scenario);
  const sources = [
    ...files.filter((path) => !volumes.some(({ mountPoint }) => mountPoint === path)),
    ...directories,
  ];
  const stores = [...persistence.map(({ root }) => root), ...sources].flatMap((path): Store[] => {
    const mountPoint = holderOf(path);
    if (mountPoint === undefined) return [];
    if (!OWN_USE.test(mountPoint)) return [{ path: mountPoint, mountPoint }];
    const below = /^\/nix\/(?!store(?:\/|$)|var(?:\/|$))[^/]+/.exec(path)?.[0];
    if (mountPoint === '/nix' && below !== undefined) return [{ path: below, mountPoint }];
    return persistence.some(({ root }) => root === path) && path !== '/' ? [{ path, mountPoint }] : [];
  });
  return [...new Map(stores.map((store) => [store.path, store])).values()];
}

/**
 * What lies in a store although nothing declares it.
 *
 * @param listing Paths begin at the store.
 * @returns Everything in the store, by its path in the system, and which of it nobody declares.
 */
export function findOrphans(
  scenario: Scenario,
  store: string,
  listing: Listing,
): { readonly all: Listing; readonly orphans: ReadonlySet<string> } {
  const { files, directories } = declaredSources(scenario);
  const roots = scenario.system.persistence.map(({ root }) => root);
  const declared = [...files, ...directories, ...roots];
  const below = store === '/' ? '' : store;
  const isDeclared = (path: string): boolean =>
    path === store ||
    files.includes(path) ||
    directories.some((directory) => isAtOrBelow(path, directory)) ||
    declared.some((each) => isAtOrBelow(each, path));
  const all = new Map(
    [...withoutCanaries(listing)]
      .filter(([path]) => !/^\/lost\+found(?:\/|$)/.test(path))
      .map(([path, facts]) => {
        const full = path === '/' ? store : `${below}${path}`;
        return [full, { ...facts, path: full }] as const;
      }),
  );
  return { all, orphans: new Set([...all.keys()].filter((path) => !isDeclared(path))) };
}

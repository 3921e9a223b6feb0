import { findHolder } from '../../scenario/index.js';
import type { HostDescription } from './description.js';
import type { PersistedFile } from './render-files.js';

type Store = HostDescription['persistence'][number];
type Directory = Store['directories'][number];

/** What persists, in the words of a scenario. */
export interface Persisted {
  readonly persistence: Record<string, { hideMounts?: boolean; directories?: unknown[]; files?: unknown[] }>;
  /** What is kept in a way that `persistence` has no word for. */
  readonly kept: { directory: string }[];
  /** Links that a module makes. */
  readonly tmpfiles: string[];
  /** Files of `persistence`. */
  readonly files: PersistedFile[];
  readonly warnings: string[];
}

/** No `.`, `..`, doubled or trailing slash, no control character: what a scenario takes for a path. */
const PATH = /^(\/(?!\.{1,2}(\/|$))[ -.0-~\u00a0-\uffff]+)+$/;

/**
 * Says what persists in the words of a scenario.
 *
 * @param mountPoints Where the scenario has file systems, and whether they are there in stage 1.
 */
export function renderPersistence(
  stores: HostDescription['persistence'],
  mountPoints: ReadonlyMap<string, { readonly inStageOne: boolean }>,
): Persisted {
  const found: Persisted = { persistence: {}, kept: [], tmpfiles: [], files: [], warnings: [] };
  const owners = new Map<string, string>();
  const takes = (given: string, root: string): string | undefined => {
    const path = given.replaceAll(/\/+/g, '/').replace(/(?<=.)\/$/, '');
    const owner = owners.get(path);
    if (!PATH.test(path)) {
      found.warnings.push(`${given} is persisted in ${root}, and imperm cannot read it as a path.`);
      return undefined;
    }
    if (mountPoints.has(path)) {
      found.warnings.push(
        `${path} is persisted in ${root} and is a file system of its own, too; only the file system is looked at.`,
      );
      return undefined;
    }
    if (owner === undefined) {
      owners.set(path, root);
      return path;
    }
    // The older impermanence lists what is a user's twice.
    if (owner !== root)
      found.warnings.push(`${path} is persisted in ${owner} and in ${root}; only the first is looked at.`);
    return undefined;
  };
  for (const store of stores) {
    const { root, files, directories, hideMounts } = store;
    const holder = findHolder(root, [...mountPoints.keys()]);
    const isLate = !store.inStageOne && holder !== undefined && mountPoints.get(holder)?.inStageOne === false;
    if (isLate)
      found.warnings.push(
        `${root} is mounted after stage 1: its directories are looked at, but not whether they are bound from there; its files are not looked at.`,
      );
    const into = found.persistence[root] ?? (hideMounts ? { hideMounts } : {});
    for (const directory of directories) {
      const path = takes(directory.path, root);
      if (path === undefined) continue;
      if (isLate || directory.how === 'symlink') found.kept.push({ directory: path });
      else (into.directories ??= []).push(renderDirectory({ ...directory, path }, found.warnings));
      if (directory.how === 'symlink') found.tmpfiles.push(`L ${path} - - - - ${root}${path}`);
    }
    for (const { path: given, user, how } of files) {
      const path = isLate ? undefined : takes(given, root);
      if (path === undefined) continue;
      (into.files ??= []).push(how === 'symlink' ? { file: path, method: 'symlink' } : path);
      found.files.push({ path, source: `${root}${path}`, user });
    }
    if (into.directories !== undefined || into.files !== undefined) found.persistence[root] = into;
  }
  return found;
}

/** Who says nothing gets 0755 of root, and a service that changes that is not wrong: then nothing is promised of it. */
function renderDirectory({ path, user, group, mode }: Directory, warnings: string[]): unknown {
  const octal = toOctal(mode);
  if (octal === undefined) warnings.push(`The mode "${mode}" of ${path} is not looked at.`);
  const stated = {
    ...(user === 'root' ? {} : { user }),
    ...(group === 'root' ? {} : { group }),
    ...(octal === undefined || octal === '0755' ? {} : { mode: octal }),
  };
  return Object.keys(stated).length === 0 ? path : { directory: path, ...stated };
}

const BITS: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 };

/** @param mode As chmod(1) takes it: octal, or every class once, as in `u=rwx,g=rx,o=`. */
function toOctal(mode: string): string | undefined {
  if (/^[0-7]{3,4}$/.test(mode)) return mode.padStart(4, '0');
  const classes = new Map<string, number>();
  for (const part of mode.split(',')) {
    const [, who, bits] = /^([ugoa]+)=([rwx]*)$/.exec(part) ?? [];
    if (who === undefined || bits === undefined) return undefined;
    const value = [...new Set(bits)].reduce((sum, bit) => sum + (BITS[bit] ?? 0), 0);
    for (const each of who.includes('a') ? 'ugo' : who) classes.set(each, value);
  }
  const digits = ['u', 'g', 'o'].map((each) => classes.get(each));
  return digits.includes(undefined) ? undefined : `0${digits.join('')}`;
}

import { isAtOrBelow } from '../scenario/index.js';
import type { Collection } from './collect.js';
import { isShared, KNOWN_STATE, type KnownState } from './known-state.js';
import { parseSections, renderSections, type Section } from './sections.js';

/** Whose a path is. */
export interface Owner {
  readonly name: string;
  /** The path that tells. */
  readonly path: string;
  /** "StateDirectory=", "tmpfiles.d", "package", "well known" */
  readonly because: string;
  /** The state of a unit is one directory, which is kept as a whole. */
  readonly isStateDirectory: boolean;
  readonly known?: KnownState;
}

/** What a system says about who owns which path, and the names of its accounts. */
export interface OwnerEvidence {
  readonly owners: readonly Owner[];
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

/** Where the directories of a unit lie. */
const UNIT_DIRECTORIES: Readonly<Record<string, string>> = {
  StateDirectory: '/var/lib',
  CacheDirectory: '/var/cache',
  LogsDirectory: '/var/log',
  ConfigurationDirectory: '/etc',
};

const UNIT_FOLDERS =
  '/etc/systemd/system /run/systemd/system /run/systemd/generator /usr/lib/systemd/system /lib/systemd/system';
const TMPFILES_FOLDERS = '/etc/tmpfiles.d /run/tmpfiles.d /usr/lib/tmpfiles.d';

/** Units, tmpfiles.d, package lists and accounts of the running system. */
export function collectOwners(options: { readonly boundary: string }): Collection<OwnerEvidence> {
  const directories = Object.keys(UNIT_DIRECTORIES).join('|');
  const sections: Section[] = [
    // -R: on NixOS all of these are links into the store.
    { name: 'units', command: `grep -RsHE '^(${directories})=' ${UNIT_FOLDERS}; true` },
    { name: 'tmpfiles', command: `grep -RsHE '^[A-Za-z]' ${TMPFILES_FOLDERS}; true` },
    // Only where the guest's images have it; a NixOS has no list of who owns a path outside the store.
    { name: 'packages', command: 'cat /usr/lib/imperm/packages 2>/dev/null; true' },
    { name: 'users', command: 'cat /etc/passwd' },
    { name: 'groups', command: 'cat /etc/group' },
  ];
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => {
      const results = parseSections(output, sections, options.boundary);
      const lines = (name: string): string[] =>
        (results.get(name)?.output.toString('utf8') ?? '').split('\n').filter((line) => line !== '');
      return {
        owners: [
          ...lines('units').flatMap(parseUnitLine),
          ...lines('tmpfiles').flatMap(parseTmpfilesLine),
          ...lines('packages').flatMap(parsePackageLine),
        ],
        users: parseAccounts(lines('users')),
        groups: parseAccounts(lines('groups')),
      };
    },
  };
}

/** @param line `/etc/systemd/system/foo.service:StateDirectory=foo foo/bar:link` */
function parseUnitLine(line: string): Owner[] {
  const [, name, key = '', value = ''] =
    /^[^:]*?\/([^/:]+\.(?:service|socket|mount))(?:\.d\/[^:]*)?:(\w+)=(.*)$/.exec(line) ?? [];
  const base = UNIT_DIRECTORIES[key];
  if (name === undefined || base === undefined) return [];
  return value
    .split(/\s+/)
    .map((word) => word.split(':')[0] ?? '')
    .filter((word) => word !== '' && !word.includes('%'))
    .flatMap((word) =>
      // With DynamicUser= the directory lies in private/.
      [`${base}/${word}`, ...(base === '/etc' ? [] : [`${base}/private/${word}`])].map((path) => ({
        name,
        path,
        because: `${key}=`,
        isStateDirectory: true,
      })),
    );
}

/** @param line `/usr/lib/tmpfiles.d/foo.conf:d /var/lib/foo 0755 - - -` */
function parseTmpfilesLine(line: string): Owner[] {
  const [, name, path = ''] = /^[^:]*\/([^/:]+)\.conf:[A-Za-z][^\s]*\s+"?(\/[^\s"*?[%]+)/.exec(line) ?? [];
  if (name === undefined) return [];
  return [{ name, path: path.replace(/(?<=.)\/+$/, ''), because: 'tmpfiles.d', isStateDirectory: false }];
}

/** @param line Path and package, a tab between. */
function parsePackageLine(line: string): Owner[] {
  const [path = '', name = ''] = line.split('\t');
  return name === '' ? [] : [{ name, path, because: 'package', isStateDirectory: false }];
}

/** @param lines Of passwd or group: name, password, number. */
function parseAccounts(lines: readonly string[]): Map<number, string> {
  return new Map(
    lines.map((line) => {
      const [name = '', , number] = line.split(':');
      return [Number(number), name] as const;
    }),
  );
}

/**
 * Whose a path is: the closest of what a unit declares, what is well known, what tmpfiles.d names and what a package
 * holds; of several at one path in this order.
 */
export function findOwner(path: string, owners: readonly Owner[]): Owner | undefined {
  let best: Owner | undefined;
  for (const owner of [...owners.filter((each) => each.isStateDirectory), ...WELL_KNOWN, ...owners]) {
    if (owner.known === undefined && isShared(owner.path)) continue;
    if (!isAtOrBelow(path, owner.path)) continue;
    if (best === undefined || owner.path.length > best.path.length) best = owner;
  }
  return best;
}

const WELL_KNOWN: readonly Owner[] = KNOWN_STATE.map((known) => ({
  name: known.owner,
  path: known.path,
  because: 'well known',
  isStateDirectory: false,
  known,
}));

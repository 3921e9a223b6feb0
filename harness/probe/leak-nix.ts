import { isAtOrBelow, type Scenario } from '../scenario/index.js';
import { ALL_INSIDE, comparePaths, NEW, parentOf } from './collapse.js';
import { modeOf, nameOwner } from './compare-roots.js';
import { findStores } from './find-orphans.js';
import { isShared } from './known-state.js';
import type { Leak } from './leak.js';
import type { Listing } from './listing.js';
import { findOwner, type Owner, type OwnerEvidence } from './owners.js';

/** Where things are kept when the layout has no place yet. */
const DEFAULT_ROOT = '/persist';

interface Declaration {
  readonly as: 'directory' | 'file' | 'rule' | 'nothing';
  /** What is declared; of a rule the line of tmpfiles.d. */
  readonly text: string;
  readonly comments: readonly string[];
  readonly owner?: Owner;
}

export interface NixOptions {
  readonly scenario: Scenario;
  /** The root at the end, for owners and modes. */
  readonly end: Listing;
  readonly owners: OwnerEvidence | undefined;
}

/**
 * Declarations that keep what leaked, to be pasted into a NixOS configuration.
 *
 * @returns Empty when nothing leaked.
 */
export function renderNix(leaks: readonly Leak[], options: NixOptions): string {
  if (leaks.length === 0) return '';
  const declarations = mergeDeclarations(leaks.map((leak) => declare(leak, options)));
  const of = (kind: Declaration['as']): Declaration[] =>
    declarations.filter(({ as }) => as === kind).sort((a, b) => comparePaths(a.text, b.text));
  const { scenario } = options;
  const root = scenario.system.persistence[0]?.root ?? findStores(scenario)[0]?.path ?? DEFAULT_ROOT;
  const lists = [
    ...renderList('directories', of('directory'), (each) => renderDirectory(each, options)),
    ...renderList('files', of('file'), ({ text }) => nixString(text)),
  ];
  const rules = of('rule');
  return [
    ...(lists.length === 0 ? [] : [`environment.persistence.${nixString(root)} = {`, ...lists, '};']),
    ...(rules.length === 0
      ? []
      : ['systemd.tmpfiles.rules = [', ...renderEntries(rules, ({ text }) => nixString(text)), '];']),
    ...of('nothing').flatMap(({ text, comments }) => [
      `# Not to be declared: ${oneLine(text)}`,
      ...comments.map((line) => `#   ${oneLine(line)}`),
    ]),
    '',
  ].join('\n');
}

function renderList(
  name: string,
  declarations: readonly Declaration[],
  render: (declaration: Declaration) => string,
): string[] {
  if (declarations.length === 0) return [];
  const caution =
    name === 'files'
      ? [
          '    # A file is kept by a bind mount: a program that saves it by renaming a new file over it fails, or its',
          '    # change is lost (https://github.com/nix-community/impermanence/issues/175).',
        ]
      : [];
  return [
    `  ${name} = [`,
    ...caution,
    ...renderEntries(declarations, render).map((line) => `  ${line}`),
    '  ];',
  ];
}

function renderEntries(
  declarations: readonly Declaration[],
  render: (declaration: Declaration) => string,
): string[] {
  return declarations.flatMap((each) => [
    ...each.comments.map((line) => `  # ${oneLine(line)}`),
    `  ${render(each)}`,
  ]);
}

/** Owner and mode as they are in the system, where they are not what the module gives by itself. */
function renderDirectory({ text, owner }: Declaration, { end, owners }: NixOptions): string {
  const facts = end.get(text);
  const { user, group } = facts === undefined ? { user: 'root', group: 'root' } : nameOwner(facts, owners);
  const known = owner?.known?.path === text ? owner.known.mode : undefined;
  const mode = facts?.type === 'd' ? modeOf(facts) : (known ?? '0755');
  const options = [
    ...(user === 'root' ? [] : [`user = ${nixString(user)};`]),
    ...(group === 'root' ? [] : [`group = ${nixString(group)};`]),
    ...(mode === '0755' ? [] : [`mode = ${nixString(mode)};`]),
  ];
  const path = nixString(text);
  return options.length === 0 ? path : `{ directory = ${path}; ${options.join(' ')} }`;
}

/** What keeps one leak: the directory of its unit, a well known one, itself, or its own directory. */
function declare(leak: Leak, { owners, end }: NixOptions): Declaration {
  const { path, kind, changes } = leak;
  const owner = findOwner(path, owners?.owners ?? []);
  const told = `${leak.owner}${owner?.known === undefined ? '' : ` (${owner.known.what})`}: ${oneLine(path)}, ${changes.join(', ')}`;
  const make = (as: Declaration['as'], text: string, ...more: readonly string[]): Declaration => ({
    as,
    text,
    comments: [told, ...more],
    ...(owner === undefined ? {} : { owner }),
  });
  if (owner?.known?.keep === 'never') return make('nothing', path, owner.known.instead ?? '');
  if (kind === 'socket' || kind === 'pipe' || kind === 'device')
    return make('nothing', path, `a ${kind} is made by the program that uses it`);
  const whole = owner === undefined ? undefined : directoryOf(owner, path);
  if (whole !== undefined) return make('directory', whole);
  const isContainer = kind === 'directory' || kind === 'subvolume';
  const isMetadata = !changes.some((change) => /^(?:new|content|all that|kind|target)/.test(change));
  if (isMetadata && (isContainer || owner?.known?.keep !== 'file')) return declareMode(leak, make);
  if (isContainer && (changes.includes(NEW) || changes.includes(ALL_INSIDE))) return make('directory', path);
  if (kind === 'link') return declareLink(leak, make);
  const parent = parentOf(path);
  if (owner?.known === undefined && isOwnDirectory(parent) && end.has(parent))
    return make('directory', parent);
  return make('file', path);
}

/** The directory by which a known owner's state is kept. */
function directoryOf({ known, path: of, isStateDirectory }: Owner, path: string): string | undefined {
  if (known?.keep === 'directory') return of;
  if (known?.keep === 'each') {
    const name = path.slice(of.length + 1).split('/')[0] ?? '';
    return name === '' ? undefined : `${of}/${name}`;
  }
  return isStateDirectory && !isAtOrBelow(of, '/etc') ? of : undefined;
}

/** Directories of /etc come from the store, so that only single files in them are kept. */
function isOwnDirectory(path: string): boolean {
  return !isShared(path) && !isAtOrBelow(path, '/etc');
}

type Make = (as: Declaration['as'], text: string, ...more: readonly string[]) => Declaration;

/** A path that tmpfiles.d takes as it is. */
const PLAIN_PATH = /^[A-Za-z0-9/._@:+,=-]+$/;

function declareMode({ path, mode, user, group }: Leak, make: Make): Declaration {
  if (!PLAIN_PATH.test(path))
    return make('nothing', path, `set its owner and mode: ${user}:${group} ${mode}`);
  return make('rule', `z ${path} ${mode} ${user} ${group} - -`);
}

function declareLink({ path, target = '' }: Leak, make: Make): Declaration {
  if (!PLAIN_PATH.test(path) || !PLAIN_PATH.test(target))
    return make('nothing', path, `a link to ${target}: make it by environment.etc or systemd.tmpfiles.rules`);
  return make('rule', `L+ ${path} - - - - ${target}`);
}

/** Each declaration once, and none of what lies in a directory that is declared, too. */
function mergeDeclarations(all: readonly Declaration[]): Declaration[] {
  const merged = new Map<string, Declaration>();
  for (const each of all) {
    const key = `${each.as} ${each.text}`;
    const known = merged.get(key);
    merged.set(
      key,
      known === undefined ? each : { ...known, comments: [...known.comments, ...each.comments] },
    );
  }
  const directories = [...merged.values()].filter(({ as }) => as === 'directory').map(({ text }) => text);
  return [...merged.values()].filter(
    ({ as, text }) =>
      (as !== 'directory' && as !== 'file') ||
      !directories.some((directory) => directory !== text && isAtOrBelow(text, directory)),
  );
}

/** A string of the Nix language that is exactly this text. */
export function nixString(text: string): string {
  const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  const escaped = text
    .replaceAll(/["\\]|\$(?=\{)/g, String.raw`\$&`)
    .replaceAll(/[\n\r\t]/g, (character) => named[character] ?? character);
  return `"${escaped}"`;
}

/** Safe in a comment, which ends with its line. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f]/g, (character) =>
    character === '\n' ? '\\n' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

import { quote } from '../core/index.js';
import { FIELDS, type Listing, readDigests, readFields, splitNul } from './listing.js';
import type { SectionResult } from './sections.js';

/** Everything below one folder, or why it is not known. */
export type Tree =
  | { readonly entries: Listing; readonly problem?: never }
  | { readonly problem: string; readonly entries?: never };

/** Larger files are compared by size and time of change alone: reading them would take longer than all the rest. */
const DIGEST_LIMIT_KIB = 16_384;

/** Ends the lists in the output; no path that `find .` prints is called so. */
const END = '@@';

export interface ListTreeOptions {
  /** Folders whose content is left out, relative to the tree, without a slash in front. */
  readonly without: readonly string[];
  /** Whether the content of regular files is read, too. */
  readonly digests: boolean;
  /** An existing folder outside of the tree for what the command has to remember. */
  readonly scratch: string;
}

/**
 * A command that lists everything below the current folder: empty files, folders, links and nested subvolumes, which
 * have device numbers of their own. Its output is for `parseTree`.
 */
export function listTree({ without, digests, scratch }: ListTreeOptions): string {
  const prune = without.map((folder) => `-path ${quote(`./${escapePattern(folder)}/*`)}`).join(' -o ');
  const files = quote(`${scratch}/files`);
  const errors = quote(`${scratch}/errors`);
  const size = `-size -${String(DIGEST_LIMIT_KIB + 1)}k`;
  return [
    `{ find . -ignore_readdir_race ${prune === '' ? '' : `\\( ${prune} \\) -prune -o `}-printf '${FIELDS}'`,
    digests ? ` -type f ${size} -fprint0 ${files}` : '',
    ` 2>${errors}; code=$?; printf '${END}\\0'; `,
    digests ? `xargs -0 -r -a ${files} sha256sum -z 2>/dev/null; ` : '',
    `printf '${END}\\0'; cat ${errors}; printf '\\0'; [ $code -eq 0 ]; }`,
  ].join('');
}

/** @param result What a section with `listTree` printed; what ended with a failure is not a list of everything. */
export function parseTree({ exitCode, output }: SectionResult): Tree {
  const parts = splitNul(output);
  const first = parts.indexOf(END);
  const second = parts.indexOf(END, first + 1);
  const said = (
    second < 0 ? output.toString('utf8').replaceAll('\0', ' ') : (parts[second + 1] ?? '')
  ).trim();
  if (exitCode !== 0 || second < 0 || said !== '')
    return {
      problem: said === '' ? `the list ended with exit code ${String(exitCode)}` : said.slice(0, 1000),
    };
  const listed = readFields(parts.slice(0, first), readDigests(parts.slice(first + 1, second)));
  const entries = [...listed.values()].map((facts) => {
    const path = facts.path === '.' ? '/' : facts.path.slice(1);
    return [path, { ...facts, path }] as const;
  });
  return { entries: new Map(entries) };
}

/** A path as a pattern of `find -path` that matches only itself. */
function escapePattern(path: string): string {
  return path.replaceAll(/[*?[\]\\]/g, String.raw`\$&`);
}

import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import { HarnessError } from '../core/index.js';

/** What lies below a directory that is told as one thing. */
export interface LeakContentRecord {
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly subvolumes: number;
  /** Sockets, pipes, devices. */
  readonly others: number;
  readonly sizeBytes: number;
  /** Names of some of it, relative to the directory. */
  readonly sample: readonly string[];
}

/** A path, or a directory with all that is in it. */
export interface LeakRecord {
  readonly path: string;
  /** `file`, `directory`, `subvolume`, `link` … */
  readonly kind: string;
  /** In words, one for each difference: `new`, `mode 0755 → 0700`, `content`. */
  readonly changes: readonly string[];
  /** Four octal digits. */
  readonly mode: string;
  readonly user: string;
  readonly group: string;
  readonly sizeBytes?: number;
  readonly target?: string;
  readonly content?: LeakContentRecord;
  /** Package or unit; `unknown` where nothing tells. */
  readonly owner: string;
  /** How it is known: `StateDirectory=`, `well known` … */
  readonly because?: string;
}

/** `leaks.json` in the folder of a variant. A list is absent when it could not be looked at. */
export interface LeaksFile {
  readonly version: 1;
  /** Where the end of the last boot was seen: on the powered-off disk, or in the running system. */
  readonly view: 'disk' | 'running';
  /** There at the end of the last boot, and the next boot does not make it so. */
  readonly lost?: readonly LeakRecord[];
  /** Made anew with another content by every boot. */
  readonly remade?: readonly LeakRecord[];
  /** Kept, although nothing declares it. */
  readonly orphans?: readonly LeakRecord[];
  /** Where orphans were looked for. */
  readonly stores: readonly string[];
  /** What could not be looked at and why, as sentences. */
  readonly missing: readonly string[];
  /** Declarations that would keep what is lost and remade. Empty when there is nothing to declare. */
  readonly nix: string;
}

/** The same in a record: paths, and where all of it is. Information, never a verdict. */
export interface LeaksRecord {
  readonly lost?: readonly string[];
  readonly remade?: readonly string[];
  readonly orphans?: readonly string[];
  readonly stores: readonly string[];
  readonly missing: readonly string[];
  /** Relative to the variant's folder. */
  readonly file: string;
}

export const LEAKS_FILE = 'leaks.json';

const count = z.int().nonnegative();
const texts = z.array(z.string());

const leak = z.object({
  path: z.string(),
  kind: z.string(),
  changes: texts,
  mode: z.string(),
  user: z.string(),
  group: z.string(),
  sizeBytes: count.exactOptional(),
  target: z.string().exactOptional(),
  content: z
    .object({
      files: count,
      directories: count,
      links: count,
      subvolumes: count,
      others: count,
      sizeBytes: count,
      sample: texts,
    })
    .exactOptional(),
  owner: z.string(),
  because: z.string().exactOptional(),
});

const leaksFileSchema: z.ZodType<LeaksFile> = z.object({
  version: z.literal(1),
  view: z.enum(['disk', 'running']),
  lost: z.array(leak).exactOptional(),
  remade: z.array(leak).exactOptional(),
  orphans: z.array(leak).exactOptional(),
  stores: texts,
  missing: texts,
  nix: z.string(),
});

export const leaksRecordSchema: z.ZodType<LeaksRecord> = z.object({
  lost: texts.exactOptional(),
  remade: texts.exactOptional(),
  orphans: texts.exactOptional(),
  stores: texts,
  missing: texts,
  file: z.string(),
});

/** What a record keeps of the leaks of a variant. */
export function summarizeLeaks({ lost, remade, orphans, stores, missing }: LeaksFile): LeaksRecord {
  const paths = (key: string, leaks: readonly LeakRecord[] | undefined): Record<string, string[]> =>
    leaks === undefined ? {} : { [key]: leaks.map(({ path }) => path) };
  return {
    ...paths('lost', lost),
    ...paths('remade', remade),
    ...paths('orphans', orphans),
    stores,
    missing,
    file: LEAKS_FILE,
  };
}

/**
 * Reads and validates the leaks of a variant.
 *
 * @throws {HarnessError} USAGE when the file cannot be read or is something else.
 */
export async function readLeaks(file: string): Promise<LeaksFile> {
  try {
    return leaksFileSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (thrown) {
    throw new HarnessError('USAGE', `Could not read the leaks ${file}`, {
      hint: 'Run the scenario again.',
      details: thrown instanceof Error ? thrown.message : String(thrown),
      cause: thrown,
    });
  }
}

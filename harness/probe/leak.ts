import type { Tree } from './tree.js';
import type { OwnerEvidence } from './owners.js';

/** What leaks are judged from. */
export interface LeakEvidence {
  /** The root at the start of each boot, before anything was planted, by the number of the boot. */
  readonly fresh: ReadonlyMap<number, Tree>;
  /** The last boot. */
  readonly lastBoot: number;
  /** The root at the end of it: on the powered-off disk, or where there is none (a tmpfs) while the system still ran. */
  readonly end: { readonly view: 'disk' | 'running'; readonly tree: Tree };
  /** Persistent stores on the powered-off disk, by mount point or persistence root. */
  readonly stores: ReadonlyMap<string, Tree>;
  /** Absent when the system was not asked. */
  readonly owners?: OwnerEvidence;
}

/** What lies below a directory that is told as one thing. */
export interface LeakContent {
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

export type LeakKind = 'file' | 'directory' | 'subvolume' | 'link' | 'socket' | 'pipe' | 'device';

/** A path, or a directory with all that is in it. */
export interface Leak {
  readonly path: string;
  readonly kind: LeakKind;
  /** In words, one for each difference: `new`, `mode 0755 → 0700`, `content`. */
  readonly changes: readonly string[];
  /** Four octal digits. */
  readonly mode: string;
  readonly user: string;
  readonly group: string;
  /** Of a file. */
  readonly sizeBytes?: number;
  /** Of a link. */
  readonly target?: string;
  /** Of a directory that is told with all that is in it. */
  readonly content?: LeakContent;
  /** Package or unit; `unknown` where nothing tells. */
  readonly owner: string;
  /** How it is known: `StateDirectory=`, `well known` … */
  readonly because?: string;
}

/** What the next boot would lose, and what nobody asked to be kept. A list is absent when it could not be looked at. */
export interface Leaks {
  readonly version: 1;
  /** Where the end of the last boot was seen. */
  readonly view: 'disk' | 'running';
  /** There at the end of the last boot, and no boot makes it so. */
  readonly lost?: readonly Leak[];
  /** Made anew with another content by every boot. */
  readonly remade?: readonly Leak[];
  /** Kept, although nothing declares it. */
  readonly orphans?: readonly Leak[];
  /** Where orphans were looked for. */
  readonly stores: readonly string[];
  /** What could not be looked at and why, as sentences. */
  readonly missing: readonly string[];
  /** Declarations that would keep what is lost and remade. Empty when there is nothing to declare. */
  readonly nix: string;
}

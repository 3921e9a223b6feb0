import type { DiskRate, MachineDisk } from '../target/index.js';

/** How the passphrase is typed. */
export interface Typing {
  /** How long the one who types lets stage 1 wait. */
  readonly afterMs: number;
  /** How often it is wrong before it is right. */
  readonly wrong: number;
}

/** What the machine is like at its next power-on, besides its parts. */
export interface MachineFaults {
  /** Names of disks that are not there. */
  readonly absent: ReadonlySet<string>;
  /** Disks that are there, too. */
  readonly clones: readonly MachineDisk[];
  /** By the name of the disk. */
  readonly rates: ReadonlyMap<string, DiskRate>;
  /** Absent: it has the time. */
  readonly clock?: { readonly shiftMs: number; readonly at?: string };
  /** In the next boot alone. */
  readonly typing: Typing;
}

export const AT_ONCE: Typing = { afterMs: 0, wrong: 0 };

export const NO_FAULTS: MachineFaults = {
  absent: new Set(),
  clones: [],
  rates: new Map(),
  typing: AT_ONCE,
};

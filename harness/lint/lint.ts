import type { Place } from '../core/index.js';
import type { Rollback, Scenario, SystemModel } from '../scenario/index.js';
import type { RollbackScript } from './rollback-script.js';

/** What the lints look at. */
export interface LintSubject {
  readonly scenario: Scenario;
  readonly system: SystemModel;
  /** Absent when nothing is rolled back. */
  readonly rollback?: Rollback;
  /** What the variant's kind of stage 1 runs. Absent also when the script is not understood. */
  readonly script?: RollbackScript;
  /** The root is empty at every boot: a tmpfs, or rolled back. */
  readonly isWiped: boolean;
}

/** One thing that a lint has found. */
export interface Hit {
  readonly place: Place;
  /** What is wrong, in one sentence. */
  readonly message: string;
  /** What to do about this one, where the lint's own advice is not enough. */
  readonly advice?: string;
}

/** A fault that can be told without a machine. */
export interface Lint {
  /** a-z and "-"; people write it into scenarios. */
  readonly name: string;
  /** Why it matters: what a NixOS user would see, and when. */
  readonly reason: string;
  /** What to do about it. */
  readonly advice: string;
  /**
   * Scenarios below scenarios/ in which a machine shows that the lint is right: it fires there, and promises are broken.
   */
  readonly shownBy: readonly string[];
  /** Where no machine here can show it: who says so. */
  readonly saidBy?: string;
  readonly find: (subject: LintSubject) => readonly Hit[];
}

import type { Mutant } from './mutant.js';

/** Puts something into the place of a part of a script. */
interface TextChange {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Makes a mutant of a script in which one place is another. */
export type MutantMaker = (change: {
  /** 1 is the first. */
  readonly line: number;
  readonly operator: string;
  readonly title: string;
  readonly missing: string;
  readonly change: TextChange;
  readonly equivalent?: string | undefined;
}) => Mutant;

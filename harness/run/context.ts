import type { Budget, Redactor } from '../core/index.js';
import type { RunEvent } from '../record/index.js';
import type { MachineHost, RealMachine } from '../target/index.js';
import type { Guest } from './guest.js';
import type { Hands } from './hands.js';
import type { PhaseClock } from './phase-clock.js';

/** What all variants of a run share. */
export interface RunContext {
  readonly host: MachineHost;
  /** Present: there is one real machine, and one variant at a time. */
  readonly hardware?: RealMachine;
  /** Made ready before the first variant. */
  readonly guest: Guest;
  readonly signal: AbortSignal;
  /** Multiplies every limit. */
  readonly timeScale: number;
  readonly emit: (event: RunEvent) => void;
  /**
   * Only whether a promise is broken is wanted: a variant ends with the first that is, and nobody looks for leaks or takes
   * pictures. Default: everything is told.
   */
  readonly brief?: boolean;
  /** What a person wants of the machines. Default: nothing. */
  readonly hands?: Hands;
}

/** What the parts of one variant share. */
export interface VariantContext extends RunContext {
  readonly variant: string;
  /** Absolute folder for evidence. */
  readonly folder: string;
  readonly redactor: Redactor;
  readonly budget: Budget;
  readonly phases: PhaseClock;
}

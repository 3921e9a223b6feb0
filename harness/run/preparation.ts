import type { Budget } from '../core/index.js';
import type { RunEvent } from '../record/index.js';
import type { MachineHost, RealMachine } from '../target/index.js';
import type { PhaseClock } from './phase-clock.js';

/** What the parts of the set-up share. */
export interface PreparationContext {
  readonly host: MachineHost;
  readonly hardware?: RealMachine;
  readonly phases: PhaseClock;
  readonly budget: Budget;
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
  /** Tells a person what takes so long. */
  readonly note: (text: string) => void;
  /** Told when another process makes the same thing. */
  readonly onWait: () => void;
}

import type { Budget, Redactor } from '../core/index.js';
import type { GuestImages } from '../guest/index.js';
import type { PhaseRecord, RunEvent } from '../record/index.js';
import type { SystemModel } from '../scenario/index.js';
import type { QemuHost } from '../target/index.js';
import type { InstallerState } from './installer.js';

/** What all variants of a run share. */
export interface RunContext {
  readonly host: QemuHost;
  /** The images for a system; made ready before the first variant. */
  imagesFor(system: SystemModel): GuestImages;
  readonly installer: InstallerState;
  readonly signal: AbortSignal;
  /** Multiplies every limit. */
  readonly timeScale: number;
  readonly emit: (event: RunEvent) => void;
}

/** What the parts of one variant share. */
export interface VariantContext extends RunContext {
  readonly images: GuestImages;
  readonly variant: string;
  /** Absolute folder for evidence. */
  readonly folder: string;
  readonly redactor: Redactor;
  readonly budget: Budget;
  readonly phases: PhaseClock;
}

/** Tells the run how long its phases took. */
export class PhaseClock {
  readonly #emit: (event: RunEvent) => void;
  readonly #variant: string | undefined;
  readonly #now: () => number;
  readonly #startMs: number;

  constructor(emit: (event: RunEvent) => void, now: () => number, variant?: string) {
    this.#emit = emit;
    this.#now = now;
    this.#startMs = now();
    this.#variant = variant;
  }

  /** Runs a phase; its end is told even when it fails. */
  async run<T>(name: string, work: () => Promise<T>, boot?: number): Promise<T> {
    const which = { ...(this.#variant === undefined ? {} : { variant: this.#variant }) };
    const number = boot === undefined ? {} : { boot };
    const startMs = this.#now() - this.#startMs;
    this.#emit({ type: 'phase-start', ...which, name, ...number });
    try {
      return await work();
    } finally {
      const phase: PhaseRecord = {
        name,
        ...number,
        startMs,
        durationMs: this.#now() - this.#startMs - startMs,
      };
      this.#emit({ type: 'phase-end', ...which, phase });
    }
  }
}

import type { PhaseRecord, RunEvent } from '../record/index.js';

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

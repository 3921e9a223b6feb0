import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { HarnessError } from './errors.js';

/** A setTimeout of more than this fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Milliseconds on a clock that never jumps. */
export function monotonicMs(): number {
  return performance.now();
}

/** Milliseconds since 1970 on a clock that never jumps: what it was at our start, and what has gone by since. */
export function wallClockMs(): number {
  return performance.timeOrigin + monotonicMs();
}

export interface BudgetOptions {
  /** Added to the message when the time is over: what was seen last (a console tail, a state). */
  readonly lastSeen?: () => string;
  readonly hint?: string;
}

/** How often a wait looks whether a clock that stands goes on. */
const STOPPED_LOOK_MS = 250;

/** The clock of a budget and of all its parts: it can be stopped, and time does not pass for them then. */
class BudgetClock {
  #stoppedForMs = 0;
  #stoppedAtMs: number | undefined;

  get isStopped(): boolean {
    return this.#stoppedAtMs !== undefined;
  }

  nowMs(): number {
    return (this.#stoppedAtMs ?? monotonicMs()) - this.#stoppedForMs;
  }

  async stopWhile<T>(work: () => Promise<T>): Promise<T> {
    if (this.isStopped) return work();
    const startMs = monotonicMs();
    this.#stoppedAtMs = startMs;
    try {
      return await work();
    } finally {
      this.#stoppedAtMs = undefined;
      this.#stoppedForMs += monotonicMs() - startMs;
    }
  }
}

/**
 * How long something may take, and whether it is still wanted: an absolute deadline and an abort signal.
 * Every function that waits takes one and hands a part of it down; none has a default of its own.
 */
export class Budget {
  readonly #deadlineMs: number;
  readonly #startMs: number;
  readonly #label: string;
  readonly #options: BudgetOptions;
  readonly #clock: BudgetClock;
  readonly signal: AbortSignal;

  private constructor(
    label: string,
    limitMs: number,
    options: BudgetOptions & { readonly signal: AbortSignal; readonly clock: BudgetClock },
  ) {
    const { clock, signal, ...shown } = options;
    this.#label = label;
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#deadlineMs = this.#startMs + limitMs;
    this.signal = signal;
    this.#options = shown;
    // One signal ends a whole run: any number of waits listen to it, and Node warns from the eleventh on.
    setMaxListeners(0, signal);
  }

  /**
   * @param label What the time is for, as the object of "waiting for …".
   * @param limitMs Milliseconds from now.
   */
  static start(label: string, limitMs: number, signal: AbortSignal, options: BudgetOptions = {}): Budget {
    return new Budget(label, limitMs, { ...options, signal, clock: new BudgetClock() });
  }

  get label(): string {
    return this.#label;
  }

  /** Milliseconds left, never below 0. */
  get remainingMs(): number {
    return Math.max(0, this.#deadlineMs - this.#clock.nowMs());
  }

  get elapsedMs(): number {
    return this.#clock.nowMs() - this.#startMs;
  }

  /** Whether no time passes for it right now. */
  get isStopped(): boolean {
    return this.#clock.isStopped;
  }

  /**
   * Does something that takes as long as it takes: while a person looks at a machine, no time passes for this budget, for
   * what it is a part of, and for all parts of that.
   */
  stopWhile<T>(work: () => Promise<T>): Promise<T> {
    return this.#clock.stopWhile(work);
  }

  /** A part of this budget: at most `limitMs`, never more than is left. */
  part(label: string, limitMs: number, options: BudgetOptions = this.#options): Budget {
    return new Budget(label, Math.min(limitMs, this.remainingMs), {
      ...options,
      signal: this.signal,
      clock: this.#clock,
    });
  }

  /** The error to throw when the time is over. */
  timeoutError(cause?: unknown): HarnessError {
    const limitMs = this.#deadlineMs - this.#startMs;
    const limitS = (limitMs / 1000).toFixed(limitMs < 10_000 ? 1 : 0);
    const lastSeen = this.#options.lastSeen?.();
    return new HarnessError('TIMEOUT', `Gave up after ${limitS} s waiting for ${this.#label}`, {
      ...(this.#options.hint === undefined ? {} : { hint: this.#options.hint }),
      ...(lastSeen === undefined || lastSeen === '' ? {} : { details: lastSeen }),
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** @throws {HarnessError} INTERRUPTED when aborted, TIMEOUT when over. */
  check(): void {
    if (this.signal.aborted) throw interruptedError(this.signal);
    if (this.remainingMs <= 0) throw this.timeoutError();
  }

  /**
   * The result of `promise`, unless the time ends or the run is aborted first. The promise itself is not
   * stopped: give it this budget's signal where it can be.
   *
   * @throws {HarnessError} INTERRUPTED or TIMEOUT.
   */
  async race<T>(promise: Promise<T>): Promise<T> {
    // Whoever loses the race may still fail later; without a handler that would end the whole process.
    promise.catch(() => undefined);
    this.check();
    const stop = new AbortController();
    const onAbort = (): void => {
      stop.abort();
    };
    this.signal.addEventListener('abort', onAbort, { once: true });
    const limit = (async (): Promise<never> => {
      for (;;) {
        try {
          const leastMs = this.#clock.isStopped ? STOPPED_LOOK_MS : 1;
          await delay(Math.min(Math.max(this.remainingMs, leastMs), LONGEST_TIMER_MS), undefined, {
            signal: stop.signal,
          });
        } catch (cause) {
          if (this.signal.aborted) throw interruptedError(this.signal);
          throw cause;
        }
        if (this.remainingMs <= 0) throw this.timeoutError();
      }
    })();
    try {
      return await Promise.race([promise, limit]);
    } finally {
      stop.abort();
      this.signal.removeEventListener('abort', onAbort);
      limit.catch(() => undefined);
    }
  }

  /**
   * Looks again and again until `look` gives something. Only for states that announce nothing by themselves. A look
   * that hangs is given up with the time.
   *
   * @param everyMs Milliseconds between two looks.
   * @throws {HarnessError} INTERRUPTED or TIMEOUT.
   * @throws What `look` throws.
   */
  async poll<T>(look: () => Promise<T | undefined> | T | undefined, everyMs: number): Promise<T> {
    for (;;) {
      this.check(); // before the look: nothing is begun that nobody waits for
      const result = await this.race(Promise.resolve(look()));
      if (result !== undefined) return result;
      await delay(Math.min(everyMs, this.remainingMs + 1), undefined, { signal: this.signal }).catch(
        () => undefined,
      );
    }
  }
}

export function interruptedError(signal: AbortSignal): HarnessError {
  if (signal.reason instanceof HarnessError) return signal.reason;
  return new HarnessError('INTERRUPTED', 'Interrupted', { cause: signal.reason });
}

import { HarnessError } from './errors.js';

/**
 * What was begun and must be ended, in reverse order. Acquire, then push the release at once.
 * A failing release never stops the others and never replaces an earlier error: failures are handed to `onError`.
 */
export class Cleanup implements AsyncDisposable {
  readonly #releases: { readonly what: string; readonly release: () => Promise<void> | void }[] = [];
  readonly #onError: (what: string, error: unknown) => void;
  #running: Promise<void> = Promise.resolve();

  constructor(onError: (what: string, error: unknown) => void) {
    this.#onError = onError;
  }

  /** @param what Named in a failure: "stopping the machine". */
  push(what: string, release: () => Promise<void> | void): void {
    this.#releases.push({ what, release });
  }

  /**
   * Releases everything pushed so far, newest first. May be called again later; of two calls at once, as when a signal
   * arrives during the end of a run, the second one waits for the first: the order holds.
   */
  release(): Promise<void> {
    this.#running = this.#running.then(() => this.#releaseAll());
    return this.#running;
  }

  async #releaseAll(): Promise<void> {
    for (let entry = this.#releases.pop(); entry !== undefined; entry = this.#releases.pop()) {
      try {
        await entry.release();
      } catch (error) {
        this.#onError(entry.what, error);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** An error text for a failed release: one line. */
export function describeFailure(error: unknown): string {
  if (error instanceof HarnessError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

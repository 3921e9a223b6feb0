import { HarnessError } from './errors.js';

/**
 * What was begun and must be ended, in reverse order. Acquire, then push the release at once.
 * A failing release never stops the others and never replaces an earlier error: failures are handed to `onError`.
 */
export class Cleanup implements AsyncDisposable {
  readonly #releases: { readonly what: string; readonly release: () => Promise<void> | void }[] = [];
  readonly #onError: (what: string, error: unknown) => void;

  constructor(onError: (what: string, error: unknown) => void) {
    this.#onError = onError;
  }

  /** @param what Named in a failure: "stopping the machine". */
  push(what: string, release: () => Promise<void> | void): void {
    this.#releases.push({ what, release });
  }

  /** Releases everything pushed so far, newest first. May be called again later. */
  async release(): Promise<void> {
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

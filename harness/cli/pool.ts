/** What may run at the same time. */
export interface PoolLimits {
  /** Most pieces of work at once, at least 1. */
  readonly jobs: number;
  /** Memory for all of them together. */
  readonly memoryMiB: number;
}

/**
 * Works through a list, several pieces at the same time. Pieces begin in the order of the list; one that does not fit
 * into the memory that is left waits, and what is behind it waits with it, so that a large one gets its turn. A piece
 * that needs more than there is runs alone.
 *
 * @param pieces What to do.
 * @param limits.jobs Most pieces at once.
 * @param options.memoryMiB What a piece needs.
 * @param options.signal When it fires, nothing more is begun.
 * @param options.work Must not throw.
 */
export async function runPool<T>(
  pieces: readonly T[],
  limits: PoolLimits,
  options: {
    readonly memoryMiB: (piece: T) => number;
    readonly signal: AbortSignal;
    readonly work: (piece: T) => Promise<void>;
  },
): Promise<void> {
  const running = new Set<Promise<void>>();
  let freeMiB = limits.memoryMiB;
  for (const piece of pieces) {
    const neededMiB = options.memoryMiB(piece);
    while (running.size >= limits.jobs || (running.size > 0 && neededMiB > freeMiB))
      await Promise.race(running);
    if (options.signal.aborted) break;
    freeMiB -= neededMiB;
    const work = options.work(piece).finally(() => {
      freeMiB += neededMiB;
      running.delete(work);
    });
    running.add(work);
  }
  await Promise.all(running);
}

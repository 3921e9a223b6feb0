/** What may run at the same time. */
export interface PoolLimits {
  /** Most pieces of work at once, at least 1. */
  readonly jobs: number;
  /** Memory for all of them together. */
  readonly memoryMiB: number;
  /** Processors of all their machines together; more than the host has, since machines wait a good part of their time. */
  readonly processors: number;
}

/**
 * Works through a list, several pieces at the same time. Pieces begin in the order of the list; one that does not fit
 * into the memory or the processors that are left waits, and what is behind it waits with it, so that a large one gets its
 * turn. A piece that needs more than there is runs alone.
 *
 * @param pieces What to do.
 * @param limits.jobs Most pieces at once.
 * @param options.memoryMiB What a piece needs; `processors` likewise.
 * @param options.signal When it fires, nothing more is begun.
 * @param options.work Must not throw.
 */
export async function runPool<T>(
  pieces: readonly T[],
  limits: PoolLimits,
  options: {
    readonly memoryMiB: (piece: T) => number;
    readonly processors: (piece: T) => number;
    readonly signal: AbortSignal;
    readonly work: (piece: T) => Promise<void>;
  },
): Promise<void> {
  const running = new Set<Promise<void>>();
  let freeMiB = limits.memoryMiB;
  let freeProcessors = limits.processors;
  for (const piece of pieces) {
    const neededMiB = options.memoryMiB(piece);
    const neededProcessors = options.processors(piece);
    const fits = (): boolean => neededMiB <= freeMiB && neededProcessors <= freeProcessors;
    while (running.size >= limits.jobs || (running.size > 0 && !fits())) await Promise.race(running);
    if (options.signal.aborted) break;
    freeMiB -= neededMiB;
    freeProcessors -= neededProcessors;
    const work = options.work(piece).finally(() => {
      freeMiB += neededMiB;
      freeProcessors += neededProcessors;
      running.delete(work);
    });
    running.add(work);
  }
  await Promise.all(running);
}

/** What may run at the same time on one host. */
export interface PoolLimits {
  /** Most pieces of work at once, at least 1. */
  readonly jobs: number;
  /** Memory for all of them together. */
  readonly memoryMiB: number;
  /** Processors of all their machines together; more than the host has, since machines wait a good part of their time. */
  readonly processors: number;
}

/** A host, and what is taken of it. */
interface Place<H> {
  readonly host: H;
  readonly limits: PoolLimits;
  running: number;
  freeMiB: number;
  freeProcessors: number;
}

/**
 * Works through a list, several pieces at the same time, on one host or on several. Pieces begin in the order of the list, each on
 * the host that is least busy; one that does not fit anywhere into the memory or the processors that are left waits, and what is
 * behind it waits with it, so that a large one gets its turn. A piece that needs more than there is runs alone.
 *
 * @param pieces What to do.
 * @param hosts At least one.
 * @param options.memoryMiB What a piece needs; `processors` likewise, on a host.
 * @param options.suits Whether a host can do a piece; it may change while pieces run. Default: each can. What none can do is given to
 * the first.
 * @param options.signal When it fires, nothing more is begun.
 * @param options.work Must not throw.
 */
export async function runPool<T, H extends { readonly limits: PoolLimits }>(
  pieces: readonly T[],
  hosts: readonly H[],
  options: {
    readonly memoryMiB: (piece: T) => number;
    readonly processors: (piece: T, host: H) => number;
    readonly suits?: (host: H, piece: T) => boolean;
    readonly signal: AbortSignal;
    readonly work: (piece: T, host: H) => Promise<void>;
  },
): Promise<void> {
  const { suits = () => true, signal } = options;
  const running = new Set<Promise<void>>();
  const places: readonly Place<H>[] = hosts.map((host) => ({
    host,
    limits: host.limits,
    running: 0,
    freeMiB: host.limits.memoryMiB,
    freeProcessors: host.limits.processors,
  }));
  for (const piece of pieces) {
    const memoryMiB = options.memoryMiB(piece);
    const processorsOn = ({ host }: Place<H>): number => options.processors(piece, host);
    const hasRoom = (place: Place<H>): boolean =>
      place.running < place.limits.jobs &&
      (place.running === 0 || (memoryMiB <= place.freeMiB && processorsOn(place) <= place.freeProcessors));
    const choose = (): Place<H> | undefined => {
      const suitable = places.filter(({ host }) => suits(host, piece));
      return leastBusy((suitable.length === 0 ? places.slice(0, 1) : suitable).filter(hasRoom));
    };
    let place = choose();
    while (place === undefined && running.size > 0) {
      await Promise.race(running);
      place = choose();
    }
    if (place === undefined || signal.aborted) break;
    const taken = place;
    const processors = processorsOn(taken);
    taken.running += 1;
    taken.freeMiB -= memoryMiB;
    taken.freeProcessors -= processors;
    const work = options.work(piece, taken.host).finally(() => {
      taken.running -= 1;
      taken.freeMiB += memoryMiB;
      taken.freeProcessors += processors;
      running.delete(work);
    });
    running.add(work);
  }
  await Promise.all(running);
}

function leastBusy<H>(places: readonly Place<H>[]): Place<H> | undefined {
  const load = ({ running, limits }: Place<H>): number => running / limits.jobs;
  return places.reduce<Place<H> | undefined>(
    (best, place) => (best === undefined || load(place) < load(best) ? place : best),
    undefined,
  );
}

// How many variants run at the same time.
import t from 'tap';

import type { Scenario } from '../scenario/index.js';
import { processorBudget, processorsOf, readJobs } from './jobs.js';
import { runPool } from './pool.js';

interface Piece {
  readonly name: string;
  readonly memoryMiB: number;
  /** Default 1. */
  readonly processors?: number;
}

/** Runs pieces and notes who ran together with whom, and the order of beginnings. */
async function watch(
  pieces: readonly Piece[],
  limits: { jobs: number; memoryMiB: number; processors?: number },
  signal = new AbortController().signal,
): Promise<{ most: number; mostMiB: number; mostProcessors: number; order: string[] }> {
  const now = new Set<Piece>();
  const seen = { most: 0, mostMiB: 0, mostProcessors: 0, order: [] as string[] };
  await runPool(pieces, [{ limits: { processors: Infinity, ...limits } }], {
    memoryMiB: ({ memoryMiB }) => memoryMiB,
    processors: ({ processors = 1 }) => processors,
    signal,
    work: async (piece) => {
      now.add(piece);
      seen.order.push(piece.name);
      seen.most = Math.max(seen.most, now.size);
      seen.mostMiB = Math.max(
        seen.mostMiB,
        [...now].reduce((sum, { memoryMiB }) => sum + memoryMiB, 0),
      );
      seen.mostProcessors = Math.max(
        seen.mostProcessors,
        [...now].reduce((sum, { processors = 1 }) => sum + processors, 0),
      );
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      now.delete(piece);
    },
  });
  return seen;
}

const SMALL = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, memoryMiB: 2 }));

t.test('as many run together as there are jobs, in order, and all of them', async (t) => {
  const seen = await watch(SMALL, { jobs: 2, memoryMiB: 100 });
  t.equal(seen.most, 2);
  t.strictSame(seen.order, ['a', 'b', 'c', 'd', 'e']);
  t.equal((await watch(SMALL, { jobs: 1, memoryMiB: 100 })).most, 1);
});

t.test('no more memory is promised than there is', async (t) => {
  const seen = await watch(SMALL, { jobs: 5, memoryMiB: 5 });
  t.equal(seen.mostMiB, 4);
  const large = { name: 'large', memoryMiB: 9 };
  const mixed = await watch([...SMALL.slice(0, 2), large, ...SMALL.slice(2)], { jobs: 5, memoryMiB: 9 });
  t.equal(mixed.mostMiB, 9);
  t.strictSame(mixed.order, ['a', 'b', 'large', 'c', 'd', 'e'], 'a large one is not put off for ever');
  t.strictSame(
    (await watch([{ name: 'huge', memoryMiB: 50 }, ...SMALL], { jobs: 2, memoryMiB: 9 })).order.length,
    6,
    'one that needs more than there is runs alone',
  );
});

t.test('a machine with many processors counts for so many', async (t) => {
  const large = { name: 'large', memoryMiB: 2, processors: 4 };
  const limits = { jobs: 9, memoryMiB: 100, processors: 5 };
  const seen = await watch([...SMALL.slice(0, 2), large, ...SMALL.slice(2)], limits);
  t.equal(seen.mostProcessors, 5);
  t.strictSame(seen.order, ['a', 'b', 'large', 'c', 'd', 'e'], 'a large one is not put off for ever');
  t.equal((await watch(SMALL, limits)).most, 5, 'ordinary ones run as many as there are jobs');
  const huge = await watch([{ ...large, processors: 64 }, ...SMALL], limits);
  t.equal(huge.mostProcessors, 64, 'one that has more than there are runs');
  t.equal(huge.order.length, 6, 'and the others after it');

  t.equal(processorBudget('3', 2), Infinity, 'who counts machines has counted processors');
  t.equal(processorBudget(undefined, 2), 2 * readJobs(undefined), 'ordinary machines: as many as ever');
  const machine = (cpus?: number) => ({ machine: { memoryMiB: 1, ...(cpus === undefined ? {} : { cpus }) } });
  t.equal(processorsOf(machine() as Scenario, 2), 2);
  t.equal(processorsOf(machine(6) as Scenario, 2), 6);
});

t.test('after the signal nothing more is begun', async (t) => {
  const stop = new AbortController();
  const order: string[] = [];
  await runPool(SMALL, [{ limits: { jobs: 2, memoryMiB: 100, processors: 100 } }], {
    memoryMiB: () => 1,
    processors: () => 1,
    signal: stop.signal,
    work: ({ name }) => {
      order.push(name);
      if (name === 'b') stop.abort();
      return Promise.resolve();
    },
  });
  t.strictSame(order, ['a', 'b']);
});

t.test('several hosts: each piece goes to the least busy one that can do it', async (t) => {
  const host = (name: string, jobs: number) => ({
    name,
    limits: { jobs, memoryMiB: 100, processors: 100 },
  });
  const began: string[] = [];
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  await runPool(
    [...SMALL, { name: 'only-far', memoryMiB: 2 }, { name: 'nowhere', memoryMiB: 2 }],
    [host('near', 1), host('far', 2)],
    {
      memoryMiB: ({ memoryMiB }) => memoryMiB,
      processors: () => 1,
      suits: ({ name }, piece) =>
        piece.name === 'nowhere' ? false : piece.name !== 'only-far' || name === 'far',
      signal: new AbortController().signal,
      work: async (piece, { name }) => {
        began.push(`${piece.name} ${name}`);
        now.set(name, (now.get(name) ?? 0) + 1);
        most.set(name, Math.max(most.get(name) ?? 0, now.get(name) ?? 0));
        for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        now.set(name, (now.get(name) ?? 0) - 1);
      },
    },
  );
  t.strictSame(began.slice(0, 3), ['a near', 'b far', 'c far']);
  t.strictSame([most.get('near'), most.get('far')], [1, 2], 'each host has limits of its own');
  t.ok(began.includes('only-far far'));
  t.ok(began.includes('nowhere near'), 'whoever is first says why it cannot be done');
  t.equal(began.length, 7);
});

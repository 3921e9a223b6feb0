// Few of many variants: nothing is missing, and nothing is there for nothing.
import t from 'tap';

import { choosePairs } from './axes.js';

type Point = Record<string, string>;

/** Every pair of values of a point, and every value. */
function pairsOf(points: readonly Point[]): Set<string> {
  return new Set(
    points.flatMap((point) => {
      const values = Object.entries(point).map(([axis, value]) => `${axis}=${value}`);
      return values.flatMap((one) => values.map((other) => `${one} ${other}`));
    }),
  );
}

/** Numbers that look random and are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (state * 1103515245 + 12345) % 2147483648;
    yield state >> 8;
  }
}

t.test('whatever combinations there are, every pair is in the chosen, and each of them is needed', (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = numbers(seed);
    const points = Array.from({ length: 30 }, (): Point =>
      Object.fromEntries(['a', 'b', 'c', 'd'].map((axis) => [axis, String(random.next().value % 3)])),
    );
    const chosen = choosePairs(points);
    t.strictSame([...pairsOf(chosen)].sort(), [...pairsOf(points)].sort(), `seed ${String(seed)}: all pairs`);
    t.equal(chosen[0], points[0], 'the first is always tried');
    for (const point of chosen.slice(1)) {
      const without = pairsOf(chosen.filter((other) => other !== point));
      if (without.size === pairsOf(points).size)
        t.fail(`seed ${String(seed)}: ${JSON.stringify(point)} adds nothing`);
    }
  }
  t.end();
});

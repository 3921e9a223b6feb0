// A selection is divided alike on every machine: nothing is lost, nothing double, and all parts take about as long.
import path from 'node:path';

import t from 'tap';

import type { HistoryEntry } from '../record/index.js';
import { loadScenarios, selectVariants, type Variant } from '../scenario/index.js';
import { readDurations } from './durations.js';
import { divide, readShard, takeShard } from './shard.js';

const IDS = Array.from({ length: 23 }, (_, index) => `v${String(index * 7 + 1)}`);
/** From 10 s to 98 s, in no order; of some nothing is known. */
const KNOWN = new Map(
  IDS.flatMap((id, index) => (index % 5 === 4 ? [] : [[id, 10_000 + ((index * 37) % 23) * 4000] as const])),
);

t.test('whatever is known: all parts together are the selection, each once', (t) => {
  for (const durations of [new Map<string, number>(), KNOWN, new Map([['other', 5]])]) {
    for (let count = 1; count <= 30; count += 1) {
      const parts = divide(IDS, count, durations);
      t.equal(parts.length, count);
      t.strictSame(parts.flat().sort(), [...IDS].sort(), `${String(count)} parts`);
    }
  }
  t.end();
});

t.test('the order of the ids does not matter', (t) => {
  const shuffled = [...IDS].sort((one, other) => (one.at(-1) ?? '').localeCompare(other.at(-1) ?? ''));
  t.notSame(shuffled, IDS);
  for (const durations of [new Map<string, number>(), KNOWN, new Map(IDS.map((id) => [id, 7]))])
    t.strictSame(divide(shuffled, 4, durations), divide(IDS, 4, durations));
  t.end();
});

t.test('the longest first, each to the part that has the least', (t) => {
  const durations = new Map(Object.entries({ a: 100, b: 60, c: 50, d: 40, e: 30 }));
  t.strictSame(divide(['a', 'b', 'c', 'd', 'e'], 2, durations), [
    ['a', 'd'],
    ['b', 'c', 'e'],
  ]);
  const known = divide(IDS, 4, KNOWN).map((part) =>
    part.reduce((sum, id) => sum + (KNOWN.get(id) ?? 54_000), 0),
  );
  const [least, most] = [Math.min(...known), Math.max(...known)];
  t.ok(most - least < 30_000, `from ${String(least)} to ${String(most)} ms`);
  t.end();
});

t.test('what nobody knows takes the median; without any durations parts are dealt in turn', (t) => {
  const durations = new Map(Object.entries({ a: 10, b: 20, c: 900 }));
  t.strictSame(divide(['a', 'b', 'c', 'new'], 2, durations), [['c'], ['b', 'new', 'a']]);
  t.strictSame(divide(['e', 'd', 'c', 'b', 'a'], 2, new Map()), [
    ['a', 'c', 'e'],
    ['b', 'd'],
  ]);
  t.end();
});

t.test('--shard and --durations as they are typed', async (t) => {
  t.equal(await readShard({}), undefined);
  t.match(await readShard({ shard: '2/3' }), { index: 2, count: 3, notes: [] });
  for (const shard of [
    '0/3',
    '4/3',
    '1/0',
    '1',
    '/3',
    '1/',
    'a/b',
    '1/3/4',
    '-1/3',
    '1.5/3',
    '',
    ' 1/3',
    '1/99999',
  ])
    await t.rejects(readShard({ shard }), { code: 'USAGE', message: /--shard takes i\/n/, hint: /./ }, shard);
  await t.rejects(readShard({ durations: 'x' }), { code: 'USAGE', message: /goes with --shard/ });
});

const entry = (variant: string, durationMs: number, rest: Partial<HistoryEntry> = {}): string =>
  JSON.stringify({
    version: 1,
    when: '2026-01-01T00:00:00.000Z',
    run: 'r',
    imperm: '0.1.0',
    variant,
    verdict: 'pass',
    durationMs,
    guest: 'debian',
    target: 'qemu',
    ...rest,
  });

t.test('durations are medians of the newest runs that came to an end', async (t) => {
  const day = (number: number) => ({ when: `2026-01-0${String(number)}T00:00:00.000Z` });
  const lines = [
    ...[9, 1, 2, 3, 4, 5, 6].map((durationMs, index) => entry('a', durationMs * 1000, day(index + 1))),
    entry('b', 500),
    entry('b', 90_000, { verdict: 'error' }),
    entry('c', 90_000, { verdict: 'error' }),
    entry('d', 70, { verdict: 'flaky' }),
    '{"cut off',
  ];
  const folder = t.testdir({ 'history.jsonl': lines.join('\n'), empty: {}, 'h.jsonl': entry('x', 5) });
  const { durations, notes } = await readDurations(folder);
  t.strictSame(Object.fromEntries(durations), { a: 4000, b: 500, d: 70 });
  t.match(notes, [/history\.jsonl: the last line is cut off/]);
  t.strictSame(Object.fromEntries((await readDurations(path.join(folder, 'h.jsonl'))).durations), { x: 5 });
  await t.rejects(readDurations(path.join(folder, 'none')), {
    code: 'USAGE',
    message: /no such file or folder/,
  });
  await t.rejects(readDurations(path.join(folder, 'empty')), {
    message: /no record\.json and no history\.jsonl/,
  });
});

async function select(): Promise<readonly Variant[]> {
  const names = ['btrfs-luks-rollback', 'tmpfs-luks-ext4'];
  return selectVariants(
    await loadScenarios(names.map((name) => path.resolve('scenarios', name, 'scenario.yaml'))),
  );
}

t.test('a shard knows the whole, and its variants are in the order of the selection', async (t) => {
  const selection = await select();
  const choice = { count: 3, durations: new Map<string, number>(), notes: [] };
  const shards = [1, 2, 3].map((index) => takeShard(selection, { ...choice, index }, { repeat: 1 }));
  const ids = selection.map(({ id }) => id);
  for (const [index, { variants, shard }] of shards.entries()) {
    t.strictSame(shard.selection, ids);
    t.match(shard, { index: index + 1, count: 3, digest: shards[0]?.shard.digest });
    t.strictSame(
      variants.map(({ id }) => id),
      ids.filter((id) => shard.part.includes(id)),
    );
  }
  t.strictSame(shards.flatMap(({ shard }) => shard.part).sort(), [...ids].sort());
});

t.test('selections are told apart by what is in them, not by where they lie', async (t) => {
  const selection = await select();
  const choice = { index: 1, count: 2, durations: new Map<string, number>(), notes: [] };
  const digest = (variants: readonly Variant[], settings: Record<string, unknown> = { repeat: 1 }): string =>
    takeShard(variants, choice, settings).shard.digest;
  const own = digest(selection);
  t.equal(digest([...selection].reverse()), own);
  const moved = JSON.parse(
    JSON.stringify(selection).replaceAll('scenarios/', '/srv/other/scenarios/'),
  ) as Variant[];
  t.equal(digest(moved), own, 'another checkout');
  t.not(digest(selection, { repeat: 2 }), own);
  t.not(digest(selection.slice(1)), own);
  const changed = JSON.parse(JSON.stringify(selection).replace('/persist', '/persisted')) as Variant[];
  t.not(digest(changed), own, 'another layout of the same name');
});

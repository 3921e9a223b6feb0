// Shards become one run, or nothing: whatever is missing, double or foreign is named.
import t from 'tap';

import { variantIdOf } from './attempts.js';
import { exitCodeOf } from './exit-code.js';
import { mergeRecords, type ShardRun } from './merge.js';
import type { RunRecord } from './record.js';
import { foldSample, type SampleAttempt } from './sample-attempts.js';

const ATTEMPTS: readonly SampleAttempt[] = [
  { id: 'a', verdict: 'pass' },
  { id: 'b', verdict: 'fail' },
  { id: 'b attempt 2', verdict: 'pass', attempt: { of: 'b', number: 2, why: 'retry' } },
  { id: 'c', verdict: 'skip' },
  { id: 'd', verdict: 'known-bug' },
  { id: 'e', verdict: 'error', durationMs: 700 },
];
const SELECTION = ['a', 'b', 'c', 'd', 'e'];
const PARTS = [['a', 'd'], ['e', 'b'], ['c']];
const whole = foldSample(ATTEMPTS, 'whole');

function shard(index: number, change: Partial<RunRecord['shard']> = {}, parts = PARTS): ShardRun {
  const part = parts[index - 1] ?? [];
  const own = ATTEMPTS.filter(({ id, attempt }) => part.includes(attempt?.of ?? id));
  const facts = { index, count: parts.length, selection: SELECTION, part, digest: 'd', ...change };
  return {
    folder: `reports/s${String(index)}`,
    record: { ...foldSample(own, `s${String(index)}`), shard: facts },
  };
}

const ALL = [shard(1), shard(2), shard(3)];

t.test('merged is as unsharded: variants, verdicts, checks, exit code', (t) => {
  for (const runs of [ALL, [...ALL].reverse()]) {
    const merged = mergeRecords(runs, 'whole');
    const facts = ({ variants }: RunRecord): unknown =>
      variants.map(({ startedAt: _, ...variant }) => ({
        ...variant,
        otherAttempts: variant.otherAttempts?.map(({ startedAt: __, ...attempt }) => attempt),
      }));
    t.strictSame(facts(merged), facts(whole));
    t.equal(exitCodeOf(merged), exitCodeOf(whole));
    t.match(merged, { run: 'whole', imperm: '0.1.0', interrupted: false, command: whole.command });
    t.strictSame(
      merged.mergedFrom?.map(({ index, run }) => [index, run]),
      [
        [1, 's1'],
        [2, 's2'],
        [3, 's3'],
      ],
    );
    t.notOk('shard' in merged, 'the whole is no shard');
  }
  t.end();
});

t.test('times lie between the first beginning and the last end; a host is told when it is one', (t) => {
  const host = (cpus: number): NonNullable<RunRecord['host']> => ({
    accelerator: 'kvm',
    acceleratorReason: 'it works',
    qemu: '10',
    firmware: 'OVMF',
    cpus,
    memoryMiB: 1,
    node: 'v20',
  });
  const phase = { name: 'build-images', startMs: 10, durationMs: 20 };
  const at = (run: ShardRun, time: string, cpus: number): ShardRun => ({
    ...run,
    record: { ...run.record, startedAt: time, durationMs: 60_000, host: host(cpus), setup: [phase] },
  });
  const runs = (cpus: number): ShardRun[] => [
    at(shard(1), '2026-01-01T10:05:00.000Z', 2),
    at(shard(2), '2026-01-01T10:00:00.000Z', cpus),
    at(shard(3), '2026-01-01T10:01:00.000Z', 2),
  ];
  const merged = mergeRecords(runs(2), 'm');
  t.match(merged, { startedAt: '2026-01-01T10:00:00.000Z', durationMs: 360_000, host: { cpus: 2 } });
  t.strictSame(
    merged.setup.map(({ startMs }) => startMs),
    [300_010, 10, 60_010],
  );
  const mixed = mergeRecords(runs(8), 'm');
  t.equal(mixed.host, undefined);
  t.equal(mixed.mergedFrom?.[1]?.host?.cpus, 8);
  t.end();
});

t.test('repetitions of a variant stay together, in their order', (t) => {
  const runs = [1, 2, 3].map((number): SampleAttempt => {
    return {
      id: `a attempt ${String(number)}`,
      verdict: 'pass',
      attempt: { of: 'a', number, why: 'repeat' },
    };
  });
  const facts = { index: 1, count: 1, selection: ['a'], part: ['a'], digest: 'd' };
  const merged = mergeRecords([{ folder: 'f', record: { ...foldSample(runs), shard: facts } }], 'm');
  t.strictSame(
    merged.variants.map((variant) => [variantIdOf(variant), variant.attempt]),
    [
      ['a', 1],
      ['a', 2],
      ['a', 3],
    ],
  );
  t.end();
});

t.test('refused, with the folder', (t) => {
  const refuse = (runs: readonly ShardRun[], ...words: readonly RegExp[]): void => {
    for (const message of words)
      t.throws(() => mergeRecords(runs, 'm'), { code: 'USAGE', message, hint: /./ }, String(message));
  };
  const with2 = (change: Partial<RunRecord>): ShardRun[] =>
    ALL.map((run, index) => (index === 1 ? { ...run, record: { ...run.record, ...change } } : run));
  const { shard: _, ...plain } = shard(2).record;
  refuse([], /no shard is given/);
  refuse(ALL.slice(0, 2), /shard 3\/3 is missing; given are reports\/s1 \(1\/3\), reports\/s2 \(2\/3\)/);
  refuse(ALL.slice(2), /shard 1\/3, shard 2\/3 are missing/);
  refuse(
    [...ALL, { ...shard(2), folder: 'other/s2' }],
    /shard 2\/3 is there twice: reports\/s2 and other\/s2/,
  );
  refuse([...ALL, shard(2)], /shard 2\/3 is there twice: reports\/s2 and reports\/s2/);
  refuse([shard(1), { folder: 'reports/s2', record: plain }], /reports\/s2 is no shard but a run of a whole/);
  refuse(
    with2({ imperm: '0.2.0' }),
    /reports\/s2 was made by imperm 0\.2\.0, and reports\/s1 by imperm 0\.1\.0/,
  );
  refuse(with2({ interrupted: true }), /reports\/s2 was interrupted/);
  refuse(with2({ variants: [] }), /reports\/s2 lacks 2 of its 2 variants: e, b/);
  refuse(
    with2({ variants: [...shard(1).record.variants, ...shard(2).record.variants] }),
    /reports\/s2 holds a, /,
  );
  const other = /reports\/s2 is a shard of another selection than reports\/s1/;
  refuse([shard(1), shard(2, { digest: 'x' }), shard(3)], other);
  refuse([shard(1), shard(2, { selection: [...SELECTION, 'f'] }), shard(3)], other);
  refuse([shard(1), shard(2, { count: 4 }), shard(3)], other);
  refuse(
    [
      { ...shard(1), record: { ...shard(1).record, shard: { ...shard(1).record.shard!, index: 9 } } },
      ...ALL.slice(1),
    ],
    /reports\/s1 says that it is shard 9 of 3/,
  );
  const merged = mergeRecords(ALL, 'm');
  refuse([{ folder: 'reports/m', record: merged }], /reports\/m is no shard but a merged run/);
  t.end();
});

t.test('shards that were divided by different durations', (t) => {
  const otherwise = [['a', 'd'], ['e', 'b', 'a'], ['c']];
  t.throws(() => mergeRecords([shard(1), shard(2, {}, otherwise), shard(3)], 'm'), {
    message: /a is in two shards: reports\/s1 and reports\/s2/,
    hint: /--durations/,
  });
  const less = [['a'], ['e', 'b'], ['c']];
  t.throws(() => mergeRecords([shard(1, {}, less), shard(2), shard(3)], 'm'), {
    message: /no shard has d; given are reports\/s1, reports\/s2, reports\/s3/,
  });
  t.end();
});

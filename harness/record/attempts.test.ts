// Variants that are run more than once: what is one record, what are several, and what they are called.
import t from 'tap';

import { EXIT } from '../core/index.js';
import { exitCodeOf } from './exit-code.js';
import { attemptsOf, isAsDeclared, variantIdOf } from './attempts.js';
import { createRecorder } from './fold.js';
import { foldRetries, foldSample, sampleEvents } from './sample-attempts.js';
import type { AttemptVerdict } from './record.js';
import { runRecordSchema } from './schema.js';

const ID = 'v[disk=virtio]';

t.test('as declared at a later attempt is flaky, and no pass', (t) => {
  const variant = foldRetries('fail', 'pass');
  t.match(variant, {
    id: ID,
    verdict: 'flaky',
    reason: 'not as declared in attempt 1, as declared in attempt 2; attempt 1: 1 of 2 checks failed',
    attempt: 1,
    folder: 'v-disk=virtio',
    repeat: 'imperm run v',
  });
  t.strictSame(
    variant?.checks.map(({ status }) => status),
    ['pass', 'fail'],
    'the facts are of the attempt that speaks against it',
  );
  t.match(variant?.otherAttempts, [{ attempt: 2, verdict: 'pass', folder: 'v-disk=virtio-attempt-2' }]);
  t.equal(variant?.otherAttempts?.[0]?.checks.length, 1, 'with its own facts');
  t.match(foldRetries('fail', 'known-bug'), { verdict: 'flaky' }, 'a known bug that shows only sometimes');
  t.match(foldRetries('error', 'error', 'pass'), {
    verdict: 'flaky',
    attempt: 2,
    error: { code: 'MACHINE_DIED' },
  });
  t.match(foldRetries('fail', 'error', 'pass'), { verdict: 'flaky', attempt: 1, error: undefined });
  t.end();
});

t.test('never as declared: what is certain counts', (t) => {
  t.match(foldRetries('fail', 'fail'), { verdict: 'fail', attempt: 2 });
  t.match(foldRetries('fail', 'error'), { verdict: 'fail', attempt: 1 });
  t.match(foldRetries('error', 'error'), { verdict: 'error', attempt: 2 });
  const [first] = [foldRetries('fail')];
  t.notOk(
    first !== undefined && ('attempt' in first || 'otherAttempts' in first),
    'one attempt is not numbered',
  );
  t.end();
});

t.test('all attempts in order, that which decides among them', (t) => {
  const told = (...verdicts: readonly AttemptVerdict[]) => {
    const variant = foldRetries(...verdicts);
    return variant === undefined ? [] : attemptsOf(variant).map(({ attempt, verdict }) => [attempt, verdict]);
  };
  t.strictSame(told('fail', 'error', 'pass'), [
    [1, 'fail'],
    [2, 'error'],
    [3, 'pass'],
  ]);
  t.strictSame(told('error', 'pass'), [
    [1, 'error'],
    [2, 'pass'],
  ]);
  t.strictSame(told('pass'), [[1, 'pass']]);
  t.end();
});

t.test('repetitions are records of their own', (t) => {
  const { variants } = foldSample(
    (['pass', 'fail', 'pass'] as const).map((verdict, index) => ({
      id: `${ID} attempt ${String(index + 1)}`,
      verdict,
      attempt: { of: ID, number: index + 1, why: 'repeat' as const },
    })),
  );
  t.strictSame(
    variants.map((variant) => [variant.id, variantIdOf(variant), variant.attempt, variant.verdict]),
    [
      [`${ID} attempt 1`, ID, 1, 'pass'],
      [`${ID} attempt 2`, ID, 2, 'fail'],
      [`${ID} attempt 3`, ID, 3, 'pass'],
    ],
  );
  t.end();
});

t.test('the exit code of a flaky run is not that of a good one', (t) => {
  const codeOf = (...verdicts: readonly AttemptVerdict[]) => {
    const variant = foldRetries(...verdicts);
    const record = foldSample([{ id: 'w', verdict: 'pass' }]);
    return exitCodeOf({
      ...record,
      variants: [...record.variants, ...(variant === undefined ? [] : [variant])],
    });
  };
  t.equal(codeOf('pass'), EXIT.ok);
  t.equal(codeOf('fail', 'pass'), EXIT.layoutFailed);
  t.equal(codeOf('error', 'pass'), EXIT.layoutFailed);
  t.equal(codeOf('error', 'error'), EXIT.unavailable);
  t.end();
});

t.test('of more shards than variants some have nothing to do, which is as it should be', (t) => {
  const recorder = createRecorder({ version: '0.1.0' });
  const facts = { index: 2, count: 2, selection: ['a'], part: ['a'], digest: 'd' };
  const foldWith = (part: readonly string[]) => {
    const [start, ...rest] = sampleEvents([]);
    const events = [
      ...(start === undefined ? [] : [start]),
      { type: 'shard' as const, shard: { ...facts, part } },
      ...rest,
    ];
    for (const event of events) recorder.receive({ atMs: 0, wall: '2026-01-01T00:00:00.000Z', event });
    return recorder.record();
  };
  t.equal(exitCodeOf(foldWith(['a'])), EXIT.unavailable, 'it ended before it came to its variants');
  const empty = foldWith([]);
  t.equal(exitCodeOf(empty), EXIT.ok);
  t.strictSame(runRecordSchema.parse(JSON.parse(JSON.stringify(empty))), empty);
  t.end();
});

t.test('what an attempt ended with is known as soon as it has ended', (t) => {
  const recorder = createRecorder({ version: '0.1.0' });
  const seen = sampleEvents([{ id: 'a', verdict: 'fail' }]).map((event) => {
    recorder.receive({ atMs: 0, wall: '2026-01-01T00:00:00.000Z', event });
    return recorder.verdictOf('a');
  });
  t.strictSame([...new Set(seen)], [undefined, 'fail']);
  t.equal(recorder.verdictOf('b'), undefined);
  t.end();
});

t.test('the record with attempts comes back from its schema, complete', (t) => {
  const variant = foldRetries('fail', 'pass');
  const record = { ...foldSample([]), variants: variant === undefined ? [] : [variant] };
  t.strictSame(runRecordSchema.parse(JSON.parse(JSON.stringify(record))), record);
  const wrong = JSON.stringify(record).replace('"verdict":"pass"', '"verdict":"flaky"');
  t.notOk(runRecordSchema.safeParse(JSON.parse(wrong)).success, 'one attempt is never flaky');
  for (const verdict of ['pass', 'known-bug', 'skip'] as const) t.ok(isAsDeclared(verdict));
  for (const verdict of ['fail', 'error', 'flaky'] as const) t.notOk(isAsDeclared(verdict));
  t.end();
});

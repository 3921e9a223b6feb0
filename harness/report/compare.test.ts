import t from 'tap';

import type { CheckRecord, RunRecord, VariantRecord, Verdict } from '../record/index.js';
import { compareRuns, renderComparison, renderComparisonMarkdown, type Comparison } from './index.js';
import { makeSampleRecord } from './sample-run.js';

const sample = makeSampleRecord();
const FACTOR = 1.5;

function check(id: string, status: CheckRecord['status']): CheckRecord {
  return { id, title: id, boot: 1, status, found: `${id} is ${status}` };
}

function variant(id: string, verdict: string, more: Partial<VariantRecord> = {}): VariantRecord {
  const [first] = sample.variants;
  if (first === undefined) throw new Error('The made-up run has variants.');
  // A verdict of a newer imperm comes through a record, not through the compiler.
  return {
    ...first,
    id,
    verdict: verdict as Verdict,
    phases: [],
    checks: [check('root-wiped', 'pass')],
    ...more,
  };
}

function runOf(variants: readonly VariantRecord[], more: Partial<RunRecord> = {}): RunRecord {
  return { ...sample, variants, ...more };
}

function compare(before: readonly VariantRecord[], now: readonly VariantRecord[]): Comparison {
  return compareRuns(runOf(before), runOf(now), { factor: FACTOR });
}

/** Which lists a change from one verdict to another is in. */
function listsOf(was: string | undefined, is: string | undefined): string[] {
  const comparison = compare(
    was === undefined ? [] : [variant('v', was)],
    is === undefined ? [] : [variant('v', is)],
  );
  const { newFailures, stillFailing, fixed, flaky, nowSkipped, otherwise, added, gone } = comparison;
  const lists = { newFailures, stillFailing, fixed, flaky, nowSkipped, otherwise, added, gone };
  const found = Object.entries(lists).flatMap(([name, changes]) => (changes.length === 0 ? [] : [name]));
  return comparison.unchanged === 1 ? [...found, 'unchanged'] : found;
}

t.test('every change of a verdict is in its list', (t) => {
  const cases: readonly (readonly [string | undefined, string | undefined, ...string[]])[] = [
    ['pass', 'pass', 'unchanged'],
    ['pass', 'fail', 'newFailures'],
    ['pass', 'error', 'newFailures'],
    ['pass', 'flaky', 'flaky'],
    ['pass', 'skip', 'nowSkipped'],
    ['pass', 'known-bug', 'otherwise'],
    ['pass', undefined, 'gone'],
    ['fail', 'pass', 'fixed'],
    ['fail', 'known-bug', 'fixed'],
    ['fail', 'fail', 'stillFailing'],
    ['fail', 'error', 'stillFailing'],
    ['fail', 'skip', 'nowSkipped'],
    ['fail', 'flaky', 'flaky'],
    ['fail', undefined, 'gone'],
    ['error', 'fail', 'stillFailing'],
    ['flaky', 'pass', 'fixed'],
    ['flaky', 'fail', 'newFailures'],
    ['flaky', 'flaky', 'flaky'],
    ['skip', 'pass', 'otherwise'],
    ['skip', 'skip', 'unchanged'],
    ['skip', 'fail', 'newFailures'],
    ['known-bug', 'known-bug', 'unchanged'],
    [undefined, 'pass', 'added'],
    [undefined, 'skip', 'added'],
    [undefined, 'fail', 'newFailures', 'added'],
    [undefined, 'flaky', 'flaky', 'added'],
    ['pass', 'of-a-newer-imperm', 'newFailures'],
  ];
  for (const [was, is, ...lists] of cases)
    t.strictSame(listsOf(was, is).sort(), [...lists].sort(), `${String(was)} → ${String(is)}`);
  t.end();
});

t.test('a variant that fails in another way says so', (t) => {
  const before = variant('v', 'fail', { checks: [check('a', 'fail'), check('b', 'fail')] });
  const now = variant('v', 'fail', { checks: [check('a', 'fail'), check('b', 'pass'), check('c', 'fail')] });
  const comparison = compare([before], [now]);
  t.match(comparison.stillFailing, [{ newlyBroken: ['c'], mended: ['b'] }]);
  const text = renderComparison(comparison, { factor: FACTOR });
  t.match(
    text,
    /Still failing \(1\)\n {2}v: FAIL as before\n {6}new: c\n {6}found: c is fail\n {6}no longer: b\n/,
  );
  t.match(
    renderComparisonMarkdown(comparison, { factor: FACTOR }),
    '| v | FAIL as before | new: c<br>found: c is fail<br>',
  );
  t.end();
});

t.test('another guest is another variant, and is named', (t) => {
  const comparison = compare([variant('v', 'pass')], [variant('v', 'fail', { guest: 'nixos' })]);
  t.match(comparison.newFailures, [{ name: 'v (nixos, qemu)' }]);
  t.match(comparison.gone, [{ name: 'v (debian, qemu)' }]);
  t.end();
});

t.test('times', (t) => {
  const timed = (...phases: readonly (readonly [string, number])[]): Partial<VariantRecord> => ({
    phases: phases.map(([name, durationMs]) => ({ name, startMs: 0, durationMs })),
  });
  const before = [
    variant('a', 'pass', timed(['install', 10_000], ['stage-1', 8_000], ['probe', 100], ['old', 5_000])),
    variant('b', 'pass', timed(['install', 10_000], ['stage-1', 8_000])),
    variant('c', 'fail', timed(['install', 1_000])),
  ];
  const now = [
    // Twice as many boots are not twice as slow.
    variant('a', 'pass', timed(['install', 11_000], ['stage-1', 2_000], ['stage-1', 2_000], ['probe', 900])),
    variant('b', 'pass', timed(['install', 31_000], ['stage-1', 8_000], ['new', 5_000])),
    variant('c', 'fail', timed(['install', 99_000])),
  ];
  const comparison = compare(before, now);
  t.match(comparison.slower, [
    { name: 'install', beforeMs: 10_000, nowMs: 21_000, ratio: 2.1, most: { name: 'b', ratio: 3.1 } },
  ]);
  t.equal(
    comparison.slower.length,
    1,
    'what takes less than a second more is chance, what failed is not timed',
  );
  t.match(comparison.faster, [
    { name: 'stage-1', beforeMs: 8_000, nowMs: 4_000, most: { name: 'a', ratio: 0.25 } },
  ]);
  t.equal(comparison.timed, 2);
  t.match(
    renderComparison(comparison, { factor: FACTOR }),
    /Slower by more than a factor of 1\.5 \(1\)\n {2}phase +before +now +factor +most in\n {2}install +10\.0 s +21\.0 s +2\.10 +b \(3\.10\)\n/,
  );
  t.match(
    compareRuns(runOf(before), runOf(now), { factor: 3 }),
    { slower: [], faster: [] },
    'the factor decides',
  );

  const host = sample.host;
  const onKvm = runOf(now, host === undefined ? {} : { host: { ...host, accelerator: 'kvm' } });
  const other = compareRuns(runOf(before), onKvm, { factor: FACTOR });
  t.match(other, { slower: [], faster: [], notTimed: 'The machines ran on tcg before, and on kvm now.' });
  t.match(
    renderComparison(other, { factor: FACTOR }),
    /Times were not compared: The machines ran on tcg before/,
  );
  t.match(compare([], now).notTimed, 'No variant came to a good end in both runs.');
  t.end();
});

t.test('what makes a comparison worth less is said', (t) => {
  const one = [variant('v', 'pass')];
  const text = (before: Partial<RunRecord>, now: Partial<RunRecord>): string =>
    renderComparison(compareRuns(runOf(one, before), runOf(one, now), { factor: FACTOR }), {
      factor: FACTOR,
    });
  t.match(text({ interrupted: true }, {}), 'The run before was interrupted');
  t.match(text({}, { interrupted: true }), 'The newer run was interrupted');
  t.match(text({ startedAt: '2027-01-01T00:00:00.000Z' }, {}), 'was it meant the other way round?');
  t.notMatch(text({}, {}), 'interrupted');
  t.match(text({}, {}), '1 of 1 as before, with nothing to tell.');
  t.end();
});

t.test('text of a machine is text', (t) => {
  const now = variant('v|<b>', 'fail', {
    checks: [{ ...check('a', 'fail'), found: '`x` | <i>\u001b[1m\ny' }],
  });
  const markdown = renderComparisonMarkdown(compare([], [now]), { factor: FACTOR });
  t.match(markdown, '| v\\|\\<b\\> | new, FAIL | broken: a<br>found: \\`x\\` \\| \\<i\\>\\\\ny<br>');
  t.match(renderComparison(compare([], [now]), { factor: FACTOR }), /^[\P{Cc}\n]*$/u);
  t.end();
});

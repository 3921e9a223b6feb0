// What people read of earlier runs.
import t from 'tap';

import type { HistoryEntry, HistoryRecord, RunRecord, VariantRecord } from '../record/index.js';
import { describeHistory } from './history.js';
import { renderHtml } from './html/index.js';
import { renderHistory, renderJUnit, renderSummary, renderTap, renderVariantHistory } from './index.js';
import { makeSampleRecord } from './sample-run.js';

const POINT = { when: '2026-02-01T10:00:00.000Z', run: 'r7', imperm: '0.1.0' };
const HISTORY: HistoryRecord = {
  verdicts: ['pass', 'fail', 'pass', 'fail'],
  failingSince: { ...POINT, when: '2026-02-02T11:30:00.000Z', run: 'r8' },
  failingRuns: 2,
  lastAsDeclared: POINT,
  durationsMs: [40_000, 50_000, 30_000],
};

const sample = makeSampleRecord();
const withHistory: RunRecord = {
  ...sample,
  variants: sample.variants.map((variant) => ({ ...variant, history: HISTORY })),
};

function failed(history: HistoryRecord): VariantRecord {
  const variant = sample.variants.find(({ verdict }) => verdict === 'fail');
  if (variant === undefined) throw new Error('no failed variant');
  return { ...variant, history };
}

t.test('since when, how often, how long', (t) => {
  t.strictSame(describeHistory(failed(HISTORY)), [
    'last as declared 2026-02-01 10:00 UTC (r7, imperm 0.1.0), not as declared since 2026-02-02 11:30 UTC (r8, imperm 0.1.0), 2 runs in a row',
    'as declared in 2 of the last 4 runs before this one',
    'took 47.9 s, +20 % against 3 runs that were as declared (median 40.0 s)',
  ]);
  t.match(
    describeHistory(failed({ ...HISTORY, failingRuns: 1 }))[0],
    /not as declared for the first time since then$/,
  );
  const { lastAsDeclared, ...never } = { ...HISTORY, verdicts: ['fail' as const], durationsMs: [] };
  t.ok(lastAsDeclared);
  t.strictSame(describeHistory(failed(never)), ['never as declared in what is known: 2 runs with this one']);
  t.match(
    describeHistory(failed({ ...HISTORY, durationsMs: [60_000] }))[2],
    /−20 % against the run that was/,
  );
  t.strictSame(
    describeHistory({ ...failed(HISTORY), verdict: 'pass' }),
    [],
    'only of what is not as declared',
  );
  t.strictSame(describeHistory(sample.variants[1] as VariantRecord), []);
  t.end();
});

t.test('in the summary and on the page, of what is not as declared', async (t) => {
  const text = renderSummary(withHistory).replace(/\s+/g, ' ');
  t.equal(text.split('earlier last as declared').length - 1, 2, 'of the failed one and of the error');
  t.notMatch(renderSummary(sample), 'earlier');
  const html = await renderHtml(withHistory, t.testdir({}));
  t.equal(html.match(/<h3>Earlier runs<\/h3>/g)?.length, 2);
  t.match(html, />●<\/span><span class="verdict verdict-fail" title="fail">✗</);
  t.notMatch(await renderHtml(sample, t.testdir({})), 'Earlier runs');
});

t.test('for machines, too', (t) => {
  const told = /last as declared .* UTC/g;
  t.equal(renderTap(withHistory).match(/^ {4}# last as declared .* UTC/gm)?.length, 2);
  t.equal(renderJUnit(withHistory).match(told)?.length, 2);
  t.notMatch(renderTap(sample) + renderJUnit(sample), told);
  t.end();
});

const entry = (rest: Partial<HistoryEntry>): HistoryEntry => ({
  version: 1,
  when: '2026-02-01T10:00:00.000Z',
  run: 'r1',
  imperm: '0.1.0',
  variant: 'good[disk=nvme]',
  verdict: 'pass',
  durationMs: 10_000,
  guest: 'debian',
  target: 'qemu',
  accelerator: 'kvm',
  ...rest,
});

const ENTRIES = [
  entry({ when: '2026-02-03T10:00:00.000Z', run: 'r3', verdict: 'pass', durationMs: 30_000 }),
  entry({}),
  entry({ run: 'r2', when: '2026-02-02T10:00:00.000Z', verdict: 'error', error: 'TIMEOUT', attempt: 2 }),
  entry({ variant: 'bad[disk=nvme]', verdict: 'fail', broken: 'kept:/home' }),
  entry({ variant: 'bad[disk=nvme]', run: 'r2', when: '2026-02-02T10:00:00.000Z', verdict: 'flaky' }),
];

t.test('the history of all variants, a line each', (t) => {
  const [, first = '', second = '', ...rest] = renderHistory(ENTRIES, { color: false }).split('\n');
  t.match(first, /^FLAKY +2026-02-02 10:00 +0 of 2 +2026-02-01 10:00 +- +bad\[disk=nvme\], debian on qemu$/);
  t.match(second, /^pass +2026-02-03 10:00 +2 of 3 +2026-02-03 10:00 +10\.0 s +good\[disk=nvme\]/);
  t.strictSame(rest, ['']);
  t.end();
});

t.test('every run of some variants', (t) => {
  const text = renderVariantHistory(ENTRIES, { color: false });
  t.match(text, /^good\[disk=nvme\], debian on qemu: as declared in 2 of 3 runs\n/);
  const runs = [...text.matchAll(/^ {2}2026-\S+ \S+ +(\w+) .* (r\d.*)$/gm)].map(([, verdict, end]) => [
    verdict,
    end?.trim(),
  ]);
  t.strictSame(runs.slice(0, 3), [
    ['pass', 'r1'],
    ['ERROR', 'r2 attempt 2  TIMEOUT'],
    ['pass', 'r3'],
  ]);
  t.match(text, /bad\[disk=nvme\], debian on qemu: as declared in 0 of 2 runs/);
  t.match(renderVariantHistory([entry({ run: '\u001b[31mx' })], { color: false }), /^[\P{Cc}\n]*$/u);
  t.end();
});

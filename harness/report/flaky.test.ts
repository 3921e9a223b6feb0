// A flaky variant in every report: counted apart, never a pass, with all attempts and where their evidence lies.
import t from 'tap';
import { Parser, type FinalResults, type Result } from 'tap-parser';
import { parseStringPromise } from 'xml2js';

import { createRecorder, type RunEvent, type RunRecord } from '../record/index.js';
import { renderHtml } from './html/index.js';
import { renderJUnit, renderPhaseTable, renderSummary, renderTap } from './index.js';

const ID = 'shaky[disk=nvme]';
const REASON = 'not as declared in attempt 1, as declared in attempt 2; attempt 1: 1 of 1 checks failed';

/** One variant that passes, and one that fails, is run again, and passes then. */
function makeRecord(): RunRecord {
  const recorder = createRecorder({ version: '0.1.0' });
  let atMs = 0;
  const emit = (event: RunEvent): void => {
    recorder.receive({ atMs, wall: new Date(Date.UTC(2026, 2, 1) + atMs).toISOString(), event });
  };
  const run = (id: string, status: 'pass' | 'fail', number = 1): void => {
    const variant = number === 1 ? id : `${id} attempt ${String(number)}`;
    emit({
      type: 'variant-start',
      variant,
      scenario: { name: id.replace(/\[.*/, ''), title: 'A layout', file: 'scenario.yaml' },
      axes: { disk: 'nvme' },
      guest: 'debian',
      target: 'qemu',
      folder: variant.replaceAll(/[^a-z0-9=]+/g, '-'),
      repeat: `imperm run ${id}`,
      ...(number === 1 ? {} : { attempt: { of: id, number, why: 'retry' as const } }),
    });
    atMs += 10_000;
    emit({
      type: 'phase-end',
      variant,
      phase: { name: 'stage-1', boot: 1, startMs: 0, durationMs: 10_000 },
    });
    const found = status === 'pass' ? 'made in this boot' : 'that of boot 1';
    emit({
      type: 'check',
      variant,
      check: { id: 'root-wiped', title: 'The root is new', boot: 2, status, found },
    });
    const reason = status === 'pass' ? {} : { reason: '1 of 1 checks failed' };
    emit({ type: 'variant-end', variant, verdict: status, machineCpuMs: 4000, ...reason });
  };
  emit({ type: 'run-start', run: 'r', command: 'imperm run --retries 1', folder: 'reports/r' });
  run('steady[disk=nvme]', 'pass');
  run(ID, 'fail');
  run(ID, 'pass', 2);
  emit({ type: 'run-end', interrupted: false });
  return recorder.record();
}

const record = makeRecord();
const words = (text: string): string => text.replace(/\s+/g, ' ');

t.test('the summary', (t) => {
  const text = words(renderSummary(record, { folder: 'reports/r' }));
  for (const expected of [
    `FLAKY shaky disk=nvme 10.0 s`,
    `${REASON} broken: root-wiped`,
    'Run again, it was as declared: nobody can rely on it. What follows is of attempt 1.',
    'attempt 1: FAIL (root-wiped), 10.0 s, reports/r/shaky-disk=nvme-/',
    'attempt 2: pass, 10.0 s, reports/r/shaky-disk=nvme-attempt-2/',
    'found that of boot 1',
    '2 variants: 1 passed, 1 flaky.',
    'Exit code 1: a variant was as declared only when it was run again.',
  ])
    t.ok(text.includes(expected), expected);
  t.match(renderPhaseTable(record), /^stage 1 +3 +30\.0 s/m, 'the time of every attempt counts');
  t.end();
});

t.test('TAP', (t) => {
  let results: FinalResults | undefined;
  const points: Result[] = [];
  const parser = new Parser({ strict: true }, (final) => {
    results = final;
  });
  parser.on('child', (child: Parser) => {
    if (child.name === ID) child.on('assert', (point: Result) => points.push(point));
  });
  parser.end(renderTap(record));
  t.match(results, { ok: false, pass: 1, fail: 1 });
  t.match(points, [
    { ok: false, diag: { id: 'root-wiped' } },
    {
      ok: false,
      name: 'the variant is as declared at the first attempt [verdict]',
      diag: { severity: 'flaky', message: REASON, attempts: [/^1: FAIL/, /^2: pass.*attempt-2\/$/] },
    },
  ]);
  t.end();
});

t.test('JUnit', async (t) => {
  interface Case {
    readonly $: { readonly name: string };
    readonly failure?: readonly { readonly _: string; readonly $: { message: string; type: string } }[];
  }
  const parsed = (await parseStringPromise(renderJUnit(record))) as {
    testsuites: { $: object; testsuite: readonly { testcase: readonly Case[]; 'system-out': string[] }[] };
  };
  t.match(parsed.testsuites.$, { failures: '2', errors: '0' });
  const suite = parsed.testsuites.testsuite[1];
  const [run] = suite?.testcase ?? [];
  t.match(run?.$.name, 'run');
  t.match(run?.failure?.[0]?.$, { message: REASON, type: 'flaky' });
  t.match(run?.failure?.[0]?._, /1: FAIL[^]*2: pass/);
  t.match(suite?.['system-out'][0], 'shaky-disk=nvme-attempt-2/');
});

t.test('the page', async (t) => {
  const html = await renderHtml(record, t.testdir({}));
  t.match(html, /<h1>1 flaky, 1 passed/);
  t.match(html, /<article id="[^"]*shaky[^"]*" data-verdict="flaky"/);
  t.match(html, /value="flaky"[^>]*> flaky 1</, 'it can be filtered');
  t.match(html, /<h3>Attempts<\/h3>.*>fail<.*root-wiped.*shown here.*>pass<.*shaky-disk=nvme-attempt-2\//s);
});

t.test('attempts are told only of what was run again', (t) => {
  const steady = { ...record, variants: record.variants.slice(0, 1) };
  t.notMatch(renderSummary(steady), 'attempt');
  t.match(renderSummary(steady), /Exit code 0/);
  t.end();
});

import type { RunRecord } from '../record/index.js';
import { renderAnnotations } from './annotations.js';
import { compareRuns } from './compare.js';
import { renderComparison, renderComparisonMarkdown } from './comparison.js';
import { renderJUnit } from './junit.js';
import { renderMarkdownSummary } from './markdown-summary.js';
import { makeSampleRecord } from './sample-run.js';
import { renderTap } from './tap.js';

const FACTOR = 1.5;

/** The made-up run as it might have been a night before: another verdict of nearly everything, a variant more, one less. */
export function makeEarlierRecord(): RunRecord {
  const record = makeSampleRecord();
  const [good, late, hung, skipped, known] = record.variants;
  if (
    good === undefined ||
    late === undefined ||
    hung === undefined ||
    known === undefined ||
    skipped === undefined
  )
    throw new Error('The made-up run has five variants.');
  const { error, ...healthy } = hung;
  const kept = late.checks.filter(({ status }) => status === 'pass');
  return {
    ...record,
    run: '20260228-100000',
    startedAt: '2026-02-28T10:00:00.000Z',
    variants: [
      { ...good, phases: good.phases.map((phase) => ({ ...phase, durationMs: phase.durationMs / 2 })) },
      { ...late, verdict: 'pass', checks: kept },
      { ...hung, error: { ...(error ?? { message: '' }), code: 'MACHINE_DIED' } },
      { ...healthy, id: 'gone[disk=virtio]', verdict: 'fail' },
      { ...skipped, verdict: 'pass' },
    ],
  };
}

/** Every text of the made-up run that a machine reads, by the name of its file in golden/. */
export function goldenTexts(): Readonly<Record<string, string>> {
  const record = makeSampleRecord();
  const comparison = compareRuns(makeEarlierRecord(), record, { factor: FACTOR });
  return {
    'report.tap': renderTap(record),
    'junit.xml': renderJUnit(record),
    'annotations.txt': renderAnnotations(record),
    'summary.md': renderMarkdownSummary(record, { folder: 'reports/20260301-100000' }),
    'comparison.txt': renderComparison(comparison, { factor: FACTOR }),
    'comparison.md': renderComparisonMarkdown(comparison, { factor: FACTOR }),
  };
}

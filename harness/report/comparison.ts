import type { RunRecord, VariantRecord } from '../record/index.js';
import { renderLabelled, renderParagraph } from './block.js';
import { describeVerdicts } from './closing.js';
import type { Comparison, PhaseChange, VariantChange } from './compare.js';
import { layOutColumns } from './columns.js';
import { digestPromises, reasonOf } from './digest.js';
import { escapeMarkdown, renderMarkdownDetails, renderMarkdownTable } from './markdown.js';
import { createPaint, VERDICT_LABEL, type Paint } from './paint.js';
import { makeOneLine } from './text.js';
import { countOf, formatDuration, namePhase } from './words.js';

export interface ComparisonOptions {
  /** Default: false. */
  readonly color?: boolean;
  /** Columns. Default: 100. */
  readonly width?: number;
  /** As it was given to `compareRuns`; for the words. */
  readonly factor: number;
}

interface Section {
  readonly title: string;
  readonly format: Parameters<Paint>[0];
  readonly changes: readonly VariantChange[];
  /** Told in full, not behind a click. */
  readonly isUrgent: boolean;
}

function listSections(comparison: Comparison): Section[] {
  const section = (
    title: string,
    changes: readonly VariantChange[],
    look: { readonly format?: Section['format']; readonly isUrgent?: boolean } = {},
  ): Section => ({ title, changes, format: look.format ?? 'bold', isUrgent: look.isUrgent ?? false });
  return [
    section('New failures', comparison.newFailures, { format: ['bold', 'red'], isUrgent: true }),
    section('Flaky: not the same in every attempt', comparison.flaky, {
      format: ['bold', 'yellow'],
      isUrgent: true,
    }),
    section('Fixed', comparison.fixed, { format: ['bold', 'green'], isUrgent: true }),
    section('Still failing', comparison.stillFailing, { isUrgent: true }),
    section('No longer run: now skipped', comparison.nowSkipped, { isUrgent: true }),
    section('Changed otherwise', comparison.otherwise),
    section('New variants', comparison.added),
    section('Gone variants', comparison.gone),
  ].filter(({ changes }) => changes.length > 0);
}

/** The comparison as a text for a terminal. */
export function renderComparison(comparison: Comparison, options: ComparisonOptions): string {
  const { color = false, width = 100 } = options;
  const paint = createPaint(color);
  const at = { paint, width, indent: 0 };
  const { before, now } = comparison;
  const blocks = [
    [
      ...renderLabelled('before', describeRun(before), at),
      ...renderLabelled('now', describeRun(now), at),
      ...listWarnings(comparison).flatMap((text) => renderParagraph(text, { ...at, format: 'yellow' })),
    ],
    ...listSections(comparison).map(({ title, format, changes }) => [
      paint(format, `${title} (${String(changes.length)})`),
      ...changes.flatMap((change) => [
        ...renderParagraph(`${change.name}: ${describeVerdictChange(change)}`, { ...at, indent: 2 }),
        ...describeWhy(change).flatMap((text) => renderParagraph(text, { ...at, indent: 6 })),
      ]),
    ]),
    ...listTimes(comparison, options).map(({ title, phases }) => [
      paint('bold', title),
      ...layOutColumns(
        [
          { title: 'phase' },
          { title: 'before', align: 'right' },
          { title: 'now', align: 'right' },
          { title: 'factor', align: 'right' },
          { title: 'most in' },
        ],
        phases.map((phase) => toTimeCells(phase).map((text) => ({ text }))),
        paint,
      ).map((line) => `  ${line}`),
    ]),
    renderParagraph(describeRest(comparison, options), at),
  ];
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** The same as Markdown, for the page of a CI job. */
export function renderComparisonMarkdown(comparison: Comparison, options: ComparisonOptions): string {
  const { before, now } = comparison;
  const blocks = [
    [
      '### What changed since the run before',
      '',
      ...renderMarkdownTable(
        ['', 'run', 'result'],
        [
          ['before', escapeMarkdown(before.run), escapeMarkdown(describeVerdicts(before))],
          ['now', escapeMarkdown(now.run), `**${escapeMarkdown(describeVerdicts(now))}**`],
        ],
      ),
      ...listWarnings(comparison).flatMap((text) => ['', `**${escapeMarkdown(text)}**`]),
    ],
    ...listSections(comparison).map(({ title, changes, isUrgent }) => {
      const table = renderMarkdownTable(
        ['variant', 'verdict', 'what'],
        changes.map((change) => [
          escapeMarkdown(change.name),
          escapeMarkdown(describeVerdictChange(change)),
          describeWhy(change).map(escapeMarkdown).join('<br>'),
        ]),
      );
      const heading = `${escapeMarkdown(title)} (${String(changes.length)})`;
      return isUrgent ? [`#### ${heading}`, '', ...table] : renderMarkdownDetails(heading, table);
    }),
    ...listTimes(comparison, options).map(({ title, phases }) =>
      renderMarkdownDetails(
        escapeMarkdown(title),
        renderMarkdownTable(
          ['phase', 'before', 'now', 'factor', 'most in'],
          phases.map((phase) => toTimeCells(phase).map(escapeMarkdown)),
        ),
      ),
    ),
    [escapeMarkdown(describeRest(comparison, options))],
  ];
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function describeRun(record: RunRecord): string {
  const when = record.startedAt.slice(0, 16).replace('T', ' ');
  return `${makeOneLine(record.run)} (${when} UTC, imperm ${makeOneLine(record.imperm)}): ${describeVerdicts(record)}`;
}

/** What makes the comparison worth less than it looks. */
function listWarnings({ before, now }: Comparison): string[] {
  return [
    ...(before.interrupted ? ['The run before was interrupted: what seems new may not be.'] : []),
    ...(now.interrupted ? ['The newer run was interrupted: what seems gone may not be.'] : []),
    ...(before.startedAt > now.startedAt
      ? ['The run given first is the newer one: was it meant the other way round?']
      : []),
  ];
}

/** "pass → FAIL", "FAIL as before", "new: FAIL", "gone, was pass". */
function describeVerdictChange({ before, now }: VariantChange): string {
  if (now === undefined) return before === undefined ? '' : `gone, was ${VERDICT_LABEL[before.verdict]}`;
  const is = VERDICT_LABEL[now.verdict];
  if (before === undefined) return `new, ${is}`;
  return before.verdict === now.verdict ? `${is} as before` : `${VERDICT_LABEL[before.verdict]} → ${is}`;
}

/** Sentences; none where nothing is wrong and nothing was. */
function describeWhy({ before, now, newlyBroken, mended }: VariantChange): string[] {
  if (now === undefined || now.verdict === 'pass') {
    const was = before === undefined || now === undefined ? [] : mended;
    return was.length === 0 ? [] : [`was broken: ${was.join(', ')}`];
  }
  const found = newlyBroken.length === 0 ? undefined : findFirst(now, newlyBroken);
  return [
    ...(reasonOf(now) === '' ? [] : [reasonOf(now)]),
    ...(newlyBroken.length === 0
      ? []
      : [`${before === undefined ? 'broken' : 'new'}: ${newlyBroken.join(', ')}`]),
    ...(found === undefined ? [] : [`found: ${found}`]),
    ...(mended.length === 0 ? [] : [`no longer: ${mended.join(', ')}`]),
    ...(now.verdict === 'skip' ? [] : [`repeat: ${now.repeat}`]),
  ];
}

function findFirst(variant: VariantRecord, ids: readonly string[]): string | undefined {
  return digestPromises(variant.checks).find(({ id, against }) => against !== undefined && ids.includes(id))
    ?.against?.found;
}

interface TimeSection {
  readonly title: string;
  readonly phases: readonly PhaseChange[];
}

function listTimes({ slower, faster }: Comparison, { factor }: ComparisonOptions): TimeSection[] {
  const by = `by more than a factor of ${String(factor)}`;
  return [
    { title: `Slower ${by} (${String(slower.length)})`, phases: slower },
    { title: `Faster ${by} (${String(faster.length)})`, phases: faster },
  ].filter(({ phases }) => phases.length > 0);
}

function toTimeCells({ name, beforeMs, nowMs, ratio, most }: PhaseChange): string[] {
  return [
    namePhase(name),
    formatDuration(beforeMs),
    formatDuration(nowMs),
    ratio.toFixed(2),
    `${most.name} (${most.ratio.toFixed(2)})`,
  ];
}

function describeRest(comparison: Comparison, { factor }: ComparisonOptions): string {
  const { unchanged, slower, faster, timed, notTimed } = comparison;
  const same = `${String(unchanged)} of ${String(comparison.now.variants.length)} as before, with nothing to tell.`;
  const times =
    notTimed !== undefined
      ? `Times were not compared: ${notTimed}`
      : slower.length + faster.length === 0
        ? `No phase is slower or faster by more than a factor of ${String(factor)} (means over ${countOf(timed, 'variant')}).`
        : `Times are means over ${countOf(timed, 'variant')} that came to a good end in both runs.`;
  return `${same} ${times}`;
}

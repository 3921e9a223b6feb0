import {
  type HistoryEntry,
  type HistoryPoint,
  isAsDeclared,
  medianOf,
  type VariantRecord,
  type Verdict,
} from '../record/index.js';
import { layOutColumns, type Cell } from './columns.js';
import { createPaint, VERDICT_FORMAT, VERDICT_LABEL } from './paint.js';
import { makeOneLine } from './text.js';
import { countOf, formatDuration } from './words.js';

/** So many of the newest runs of a variant are counted. */
const RUNS = 20;

/**
 * What earlier runs say about a variant that is not as declared, a sentence each: since when, how often, and whether its
 * time has changed. Nothing of one that is as declared, or of which nothing is known.
 */
export function describeHistory({ verdict, history, durationMs }: VariantRecord): string[] {
  if (history === undefined || isAsDeclared(verdict)) return [];
  const { verdicts, failingSince, failingRuns = 1, lastAsDeclared, durationsMs } = history;
  if (lastAsDeclared === undefined)
    return [
      `never as declared in what is known: ${countOf(failingRuns, 'run')} with this one`,
      ...describeTrend(durationMs, durationsMs),
    ];
  const good = verdicts.filter(isAsDeclared).length;
  const since =
    failingRuns === 1 || failingSince === undefined
      ? 'not as declared for the first time since then'
      : `not as declared since ${formatPoint(failingSince)}, ${countOf(failingRuns, 'run')} in a row`;
  return [
    `last as declared ${formatPoint(lastAsDeclared)}, ${since}`,
    `as declared in ${String(good)} of the last ${countOf(verdicts.length, 'run')} before this one`,
    ...describeTrend(durationMs, durationsMs),
  ];
}

function describeTrend(durationMs: number, earlierMs: readonly number[]): string[] {
  const median = medianOf(earlierMs);
  if (median === undefined || median === 0) return [];
  const percent = Math.round((100 * (durationMs - median)) / median);
  const runs = earlierMs.length === 1 ? 'the run' : `${String(earlierMs.length)} runs`;
  return [
    `took ${formatDuration(durationMs)}, ${percent < 0 ? '−' : '+'}${String(Math.abs(percent))} % against ${runs} that ${earlierMs.length === 1 ? 'was' : 'were'} as declared (median ${formatDuration(median)})`,
  ];
}

/** All variants, a line each, those that are not as declared in their newest run first. */
export function renderHistory(
  entries: readonly HistoryEntry[],
  { color }: { readonly color: boolean },
): string {
  const rows = groupByVariant(entries).map((runs) => ({ runs, last: runs.at(-1) }));
  const isGood = (last: HistoryEntry | undefined): number =>
    last === undefined || isAsDeclared(last.verdict) ? 1 : 0;
  const ordered = [...rows].sort((one, other) => isGood(one.last) - isGood(other.last));
  const lines = layOutColumns(
    [
      { title: 'newest' },
      { title: 'when' },
      { title: 'as declared', align: 'right' },
      { title: 'since' },
      { title: 'median', align: 'right' },
      { title: 'variant' },
    ],
    ordered.flatMap(({ runs, last }) => (last === undefined ? [] : [toSummaryCells(runs, last)])),
    createPaint(color),
  );
  return `${lines.join('\n')}\n`;
}

function toSummaryCells(runs: readonly HistoryEntry[], last: HistoryEntry): Cell[] {
  const counted = runs.slice(-RUNS);
  const good = counted.filter(({ verdict }) => isAsDeclared(verdict));
  const state = isAsDeclared(last.verdict);
  const since = runs[runs.findLastIndex(({ verdict }) => isAsDeclared(verdict) !== state) + 1];
  const median = medianOf(good.map(({ durationMs }) => durationMs));
  return [
    verdictCell(last.verdict),
    { text: formatTime(last.when) },
    { text: `${String(good.length)} of ${String(counted.length)}` },
    { text: since === undefined ? '' : formatTime(since.when) },
    { text: median === undefined ? '-' : formatDuration(median) },
    { text: `${makeOneLine(last.variant)}, ${makeOneLine(last.guest)} on ${makeOneLine(last.target)}` },
  ];
}

/** Every run of some variants, the oldest first. */
export function renderVariantHistory(
  entries: readonly HistoryEntry[],
  { color }: { readonly color: boolean },
): string {
  const paint = createPaint(color);
  const parts = groupByVariant(entries).map((runs) => {
    const good = runs.filter(({ verdict }) => isAsDeclared(verdict)).length;
    const [first] = runs;
    const title = first === undefined ? '' : `${first.variant}, ${first.guest} on ${first.target}`;
    const rows = layOutColumns(
      [
        { title: 'when' },
        { title: 'verdict' },
        { title: 'time', align: 'right' },
        { title: 'on' },
        { title: 'imperm' },
        { title: 'run' },
        { title: 'broken first' },
      ],
      runs.map(toRunCells),
      paint,
    );
    return [
      `${paint('bold', makeOneLine(title))}: as declared in ${String(good)} of ${countOf(runs.length, 'run')}`,
      ...rows.map((row) => `  ${row}`),
    ].join('\n');
  });
  return `${parts.join('\n\n')}\n`;
}

function toRunCells({
  when,
  verdict,
  durationMs,
  accelerator,
  imperm,
  run,
  attempt,
  broken,
  error,
}: HistoryEntry): Cell[] {
  const number = attempt === undefined ? '' : ` attempt ${String(attempt)}`;
  return [
    { text: formatTime(when) },
    verdictCell(verdict),
    { text: formatDuration(durationMs) },
    { text: makeOneLine(accelerator ?? '') },
    { text: makeOneLine(imperm) },
    { text: `${makeOneLine(run)}${number}` },
    { text: makeOneLine(broken ?? error ?? '') },
  ];
}

/** By variant, guest and target, in the order of the first run of each; the runs of each in the order of time. */
function groupByVariant(entries: readonly HistoryEntry[]): HistoryEntry[][] {
  const groups = new Map<string, HistoryEntry[]>();
  const inTime = [...entries].sort((one, other) =>
    one.when < other.when ? -1 : one.when > other.when ? 1 : 0,
  );
  for (const entry of inTime) {
    const key = JSON.stringify([entry.variant, entry.guest, entry.target]);
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  return [...groups.values()];
}

function verdictCell(verdict: Verdict): Cell {
  return { text: VERDICT_LABEL[verdict], format: VERDICT_FORMAT[verdict] };
}

function formatPoint({ when, run, imperm }: HistoryPoint): string {
  return `${formatTime(when)} UTC (${run}, imperm ${imperm})`;
}

function formatTime(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

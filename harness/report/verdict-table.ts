import type { RunRecord, VariantRecord } from '../record/index.js';
import { layOutColumns, type Cell } from './columns.js';
import { digestPromises, reasonOf } from './digest.js';
import { VERDICT_FORMAT, VERDICT_LABEL, type Paint } from './paint.js';
import { makeOneLine, measureWidth, wrapText } from './text.js';
import { formatDuration } from './words.js';

/** Columns under a row at which its broken promises or its reason begin. */
const NOTE_INDENT = 11;

/**
 * One row per variant: verdict, scenario, axes, time, boots, promises kept; below it what was broken, or why it
 * was not run. The note has lines of its own, because ids and reasons are long and must not be cut.
 *
 * @param options.width Columns.
 * @returns Lines; none for a run without variants.
 */
export function renderVerdictTable(record: RunRecord, options: { paint: Paint; width: number }): string[] {
  if (record.variants.length === 0) return [];
  const [head = '', ...rows] = layOutColumns(
    [
      { title: 'verdict' },
      { title: 'scenario' },
      { title: 'variant' },
      { title: 'time', align: 'right' },
      { title: 'boots', align: 'right' },
      { title: 'promises kept', align: 'right' },
    ],
    record.variants.map(toCells),
    options.paint,
  );
  const lines = [head];
  record.variants.forEach((variant, index) => {
    lines.push(rows[index] ?? '');
    const note = noteOn(variant);
    if (note === '') return;
    const wrapped = wrapText(note, options.width - NOTE_INDENT);
    lines.push(...wrapped.map((line) => ' '.repeat(NOTE_INDENT) + line));
  });
  return lines;
}

function toCells(variant: VariantRecord): Cell[] {
  const promises = digestPromises(variant.checks);
  const kept = promises.filter((promise) => promise.outcome === 'kept').length;
  const axes = Object.entries(variant.axes).map(([axis, value]) => `${axis}=${value}`);
  const skipped = variant.verdict === 'skip';
  return [
    { text: VERDICT_LABEL[variant.verdict], format: VERDICT_FORMAT[variant.verdict] },
    { text: makeOneLine(variant.scenario.name) },
    { text: makeOneLine(axes.join(' ')) },
    { text: skipped ? '-' : formatDuration(variant.durationMs) },
    { text: skipped ? '-' : String(variant.boots.length) },
    { text: promises.length === 0 ? '-' : `${String(kept)} of ${String(promises.length)}` },
  ];
}

/** The broken promises by id, or the reason. */
function noteOn(variant: VariantRecord): string {
  const promises = digestPromises(variant.checks);
  const ids = (outcome: string): string =>
    promises.flatMap((promise) => (promise.outcome === outcome ? [promise.id] : [])).join(', ');
  const parts = [
    variant.error === undefined ? reasonOf(variant) : `${variant.error.code}: ${reasonOf(variant)}`,
    ids('broken') === '' ? '' : `broken: ${ids('broken')}`,
    ids('unproved') === '' ? '' : `could not be looked at: ${ids('unproved')}`,
  ];
  const note = parts.map(makeOneLine).filter((part) => measureWidth(part) > 0);
  return note.join('\n');
}

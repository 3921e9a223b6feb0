import type { RunRecord, VariantRecord } from '../record/index.js';
import { renderLabelled, renderParagraph } from './block.js';
import { renderClosing } from './closing.js';
import { digestPromises, momentOf, type PromiseOutcome } from './digest.js';
import { explainVariant } from './explain.js';
import { createPaint, type Paint } from './paint.js';
import { renderPhaseTable } from './phase-table.js';
import { listLeaks } from './leaks.js';
import { makeOneLine } from './text.js';
import { renderVerdictTable } from './verdict-table.js';

export interface SummaryOptions {
  /** Default: false. */
  readonly color?: boolean;
  /** Columns. Default: 100; at least 60. */
  readonly width?: number;
  /** Folder of `record.json`, put before the paths that are shown. Default: paths are relative to it. */
  readonly folder?: string;
  /** Also list every promise that was kept, with its proof, and every leak. Default: false. */
  readonly proofs?: boolean;
}

const DEFAULT_WIDTH = 100;
const MIN_WIDTH = 60;

/** The closing text of a run: one table, what went wrong in full, where the time went, and what was proved. */
export function renderSummary(record: RunRecord, options: SummaryOptions = {}): string {
  const { color = false, proofs = false, folder } = options;
  const paint = createPaint(color);
  const width = Math.max(MIN_WIDTH, options.width ?? DEFAULT_WIDTH);
  const at = { paint, width };
  const told = record.variants.filter((variant) => variant.verdict !== 'pass' && variant.verdict !== 'skip');
  const heading = (text: string): string => paint('bold', `== ${text} ==`);
  const sections = [
    [heading(`${makeOneLine(record.command)}, ${record.startedAt.slice(0, 16).replace('T', ' ')} UTC`)],
    renderVerdictTable(record, at),
    ...(told.length === 0 ? [] : [[heading('What went wrong')]]),
    ...told.map((variant) => explainVariant(variant, { ...at, folder: folder ?? '' })),
    ...(proofs ? [[heading('What was kept, and the proofs')]] : []),
    ...(proofs ? record.variants.map((variant) => listProofs(variant, at)) : []),
    ...(proofs && record.variants.some(({ leaks }) => leaks !== undefined)
      ? [[heading('What is not kept')]]
      : []),
    ...(proofs ? record.variants.map((variant) => listNotKept(variant, at)) : []),
    [heading('Where the time went')],
    [renderPhaseTable(record, { color })],
    [heading('Result')],
    renderClosing(record, { ...at, folder }),
  ];
  const texts = sections.map((lines) => lines.join('\n')).filter((text) => text !== '');
  return `${texts.join('\n\n')}\n`;
}

function listProofs(variant: VariantRecord, options: { paint: Paint; width: number }): string[] {
  const kept = digestPromises(variant.checks).filter((promise) => promise.outcome === 'kept');
  if (kept.length === 0) return [];
  const tell = (promise: PromiseOutcome): string[] => [
    ...renderParagraph(`${promise.title} [${promise.id}]`, { ...options, indent: 2 }),
    ...promise.looks.flatMap((look) => renderLabelled(momentOf(look), look.found, { ...options, indent: 4 })),
  ];
  return [options.paint('bold', makeOneLine(variant.id)), ...kept.flatMap(tell)];
}

function listNotKept(variant: VariantRecord, options: { paint: Paint; width: number }): string[] {
  if (variant.leaks === undefined) return [];
  const lines = listLeaks(variant);
  return [
    options.paint('bold', makeOneLine(variant.id)),
    ...(lines.length === 0
      ? ['nothing that the next boot would lose, nothing kept undeclared']
      : lines
    ).flatMap((line) => renderParagraph(line, { ...options, indent: 2 })),
  ];
}

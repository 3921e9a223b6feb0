import type { RunRecord, VariantRecord } from '../record/index.js';
import { describeProofs, describeVerdicts } from './closing.js';
import { digestPromises, reasonOf } from './digest.js';
import { explainVariant } from './explain.js';
import {
  escapeMarkdown,
  renderMarkdownDetails,
  renderMarkdownFence,
  renderMarkdownTable,
} from './markdown.js';
import { createPaint, VERDICT_LABEL } from './paint.js';
import { formatDuration } from './words.js';

export interface MarkdownSummaryOptions {
  /** Folder of `record.json`, as it should be shown. */
  readonly folder: string;
}

const WIDTH = 100;
/** GitHub refuses a summary above 1 MiB whole. */
const MOST_BYTES = 900_000;

/**
 * The run as Markdown for the page of a CI job: what did not pass first, each with its explanation behind a click, then
 * what passed.
 *
 * @returns Less than 900 kB: what does not fit is left out, and that is said.
 */
export function renderMarkdownSummary(record: RunRecord, options: MarkdownSummaryOptions): string {
  const isPass = ({ verdict }: VariantRecord): boolean => verdict === 'pass';
  const passed = record.variants.filter(isPass);
  const others = record.variants.filter((variant) => !isPass(variant));
  const head = [
    `### ${escapeMarkdown(record.command)}`,
    '',
    `**${escapeMarkdown(describeVerdicts(record))}** ${escapeMarkdown(describeProofs(record))}`,
    ...(record.interrupted ? ['', '**The run was interrupted.**'] : []),
    '',
    ...tabulate(others),
    ...(passed.length === 0
      ? []
      : ['', ...renderMarkdownDetails(`${String(passed.length)} passed`, tabulate(passed))]),
  ];
  const parts = others
    .filter(({ verdict }) => verdict !== 'skip')
    .map((variant) => explain(variant, options));
  let text = `${head.join('\n')}\n`;
  let left = 0;
  for (const part of parts) {
    if (Buffer.byteLength(text) + Buffer.byteLength(part) > MOST_BYTES) left += 1;
    else text += part;
  }
  return left === 0 ? text : `${text}\n${String(left)} more did not fit here: report.html has all.\n`;
}

function tabulate(variants: readonly VariantRecord[]): string[] {
  return renderMarkdownTable(
    ['verdict', 'variant', 'guest', 'time', 'boots', 'promises kept', 'why'],
    variants.map((variant) => {
      const promises = digestPromises(variant.checks);
      const kept = promises.filter(({ outcome }) => outcome === 'kept').length;
      const broken = promises.filter(({ outcome }) => outcome === 'broken').map(({ id }) => id);
      const why = [reasonOf(variant), broken.length === 0 ? '' : `broken: ${broken.join(', ')}`];
      return [
        VERDICT_LABEL[variant.verdict],
        escapeMarkdown(variant.id),
        escapeMarkdown(variant.guest),
        formatDuration(variant.durationMs),
        String(variant.boots.length),
        promises.length === 0 ? '-' : `${String(kept)} of ${String(promises.length)}`,
        why
          .filter((part) => part !== '')
          .map(escapeMarkdown)
          .join('<br>'),
      ];
    }),
  );
}

function explain(variant: VariantRecord, { folder }: MarkdownSummaryOptions): string {
  const lines = explainVariant(variant, { paint: createPaint(false), width: WIDTH, folder });
  const title = `${VERDICT_LABEL[variant.verdict]} ${escapeMarkdown(variant.id)}`;
  return `\n${renderMarkdownDetails(title, renderMarkdownFence(lines.join('\n'))).join('\n')}\n`;
}

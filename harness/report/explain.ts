import path from 'node:path';

import { formatPlace } from '../core/index.js';
import type { ErrorRecord, VariantRecord } from '../record/index.js';
import { listAttempts } from './attempts.js';
import { renderLabelled, renderParagraph, renderQuote } from './block.js';
import { digestPromises } from './digest.js';
import { describeHistory } from './history.js';
import { explainPromise } from './explain-promise.js';
import { VERDICT_FORMAT, VERDICT_LABEL, type Paint } from './paint.js';
import { makeOneLine } from './text.js';
import { countOf, listOf, nameBootHow } from './words.js';

export interface ExplainOptions {
  readonly paint: Paint;
  /** Columns. */
  readonly width: number;
  /** Folder of `record.json`, as it should be shown. */
  readonly folder: string;
}

const WHERE_TO_LOOK =
  'console.log there has all that the machine wrote, journal.log its journal; report.html beside that folder shows both, ' +
  'with the disk before and after each boot';

/**
 * One variant that is not a pass: what was promised and where, what was found, since which boot, why, the
 * evidence and where all of it lies, and the command to repeat it.
 */
export function explainVariant(variant: VariantRecord, options: ExplainOptions): string[] {
  const { paint, width } = options;
  const at = { paint, width, indent: 2 };
  const label = paint(VERDICT_FORMAT[variant.verdict], VERDICT_LABEL[variant.verdict]);
  const lines = [
    `${label}  ${paint('bold', makeOneLine(variant.id))}`,
    ...renderParagraph(`${variant.scenario.title} (${variant.scenario.file})`, at),
  ];
  if (variant.verdict === 'error') {
    lines.push(
      ...renderParagraph(
        'The harness or the host could not find out. This says nothing about the layout.',
        at,
      ),
    );
  }
  if (variant.verdict === 'flaky') {
    const own = `What follows is of attempt ${String(variant.attempt ?? 1)}.`;
    lines.push(...renderParagraph(`Run again, it was as declared: nobody can rely on it. ${own}`, at));
  }
  for (const attempt of listAttempts(variant, options.folder))
    lines.push(...renderLabelled('attempt', attempt, at));
  if (variant.reason !== undefined) lines.push(...renderLabelled('reason', variant.reason, at));
  if (variant.error !== undefined) lines.push('', ...explainError(variant.error, options));
  for (const line of describeHistory(variant)) lines.push(...renderLabelled('earlier', line, at));
  lines.push(...explainPromises(variant, options), '');
  lines.push(...renderLabelled('evidence', `${path.join(options.folder, variant.folder)}${path.sep}`, at));
  // A machine that was never powered on has written neither.
  if (variant.boots.length > 0) lines.push(...renderLabelled('look', WHERE_TO_LOOK, at));
  lines.push(...renderLabelled('repeat', variant.repeat, at));
  if (canBeOpened(variant))
    lines.push(...renderLabelled('by hand', `${variant.repeat} --keep, then npx imperm shell`, at));
  return lines;
}

/** Whether a machine like it could be kept for somebody who wants to look, and was not. */
function canBeOpened({ verdict, boots, target, kept }: VariantRecord): boolean {
  return verdict !== 'known-bug' && boots.length > 0 && target === 'qemu' && kept === undefined;
}

function explainError(error: ErrorRecord, { paint, width }: ExplainOptions): string[] {
  const at = { paint, width, indent: 2 };
  return [
    ...renderLabelled(error.code, error.message, { ...at, format: VERDICT_FORMAT.error }),
    ...(error.place === undefined ? [] : renderLabelled('at', formatPlace(error.place), at)),
    ...(error.hint === undefined ? [] : renderLabelled('what to do', error.hint, at)),
    ...(error.details === undefined ? [] : renderQuote([error.details.trimEnd()], at)),
  ];
}

/** The promises by the boot after which they were first found broken: the first boot holds the cause. */
function explainPromises(variant: VariantRecord, options: ExplainOptions): string[] {
  const told = digestPromises(variant.checks).filter((promise) => promise.against !== undefined);
  const boots = [...new Set(told.map((promise) => promise.against?.boot))];

  const numberOfCause = new Map<string, number>();
  const lines: string[] = [];
  let number = 0;
  for (const boot of boots) {
    const group = told.filter((promise) => promise.against?.boot === boot);
    const broken = group.filter((promise) => promise.outcome === 'broken').length;
    const counts = [
      ...(broken === 0 ? [] : [`${countOf(broken, number === 0 ? 'promise' : 'more promise')} broken`]),
      ...(broken === group.length
        ? []
        : [`${countOf(group.length - broken, 'promise')} could not be looked at`]),
    ];
    const title = `${titleOfMoment(boot, variant)}: ${listOf(counts)}`;
    lines.push('', ...renderParagraph(title, { ...options, indent: 2, format: 'underline' }));
    for (const promise of group) {
      number += 1;
      const cause = promise.against?.cause;
      const sameAs = cause === undefined ? undefined : numberOfCause.get(cause);
      if (cause !== undefined && sameAs === undefined) numberOfCause.set(cause, number);
      const folder = path.join(options.folder, variant.folder);
      lines.push('', ...explainPromise(promise, { ...options, folder, number, sameAs }));
    }
  }
  return lines;
}

function titleOfMoment(boot: number | undefined, variant: VariantRecord): string {
  if (boot === undefined) return 'After the last boot';
  const how = variant.boots.find((known) => known.number === boot)?.how;
  return `After boot ${String(boot)}${how === undefined ? '' : ` (${nameBootHow(how)})`}`;
}

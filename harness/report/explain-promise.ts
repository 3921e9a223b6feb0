import path from 'node:path';

import { formatPlace } from '../core/index.js';
import type { CheckRecord } from '../record/index.js';
import { renderLabelled, renderParagraph, renderQuote } from './block.js';
import { momentOf, type PromiseOutcome } from './digest.js';
import type { Paint } from './paint.js';

export interface ExplainPromiseOptions {
  readonly paint: Paint;
  /** Columns. */
  readonly width: number;
  /** The variant's folder of evidence, as it should be shown. */
  readonly folder: string;
  /** Number of this promise among those told of the variant. */
  readonly number: number;
  /** Number of an earlier promise that broke for the same cause. */
  readonly sameAs: number | undefined;
}

/**
 * One promise that was not kept. It is told once, where it was first found broken: repeated for every later
 * boot it would bury the other promises.
 *
 * @returns Lines; none for a promise that was kept.
 */
export function explainPromise(promise: PromiseOutcome, options: ExplainPromiseOptions): string[] {
  const { paint, width, number, sameAs } = options;
  const check = promise.against;
  if (check === undefined) return [];
  const at = { paint, width, indent: 5 };
  const [first = '', ...rest] = renderParagraph(`${check.title} [${check.id}]`, { ...at, format: 'bold' });
  const lines = [`${`${String(number)}.`.padStart(4)} ${first.trimStart()}`, ...rest];
  const tell = (label: string, text: string | undefined): void => {
    if (text !== undefined) lines.push(...renderLabelled(label, text, at));
  };

  tell('promised at', check.place === undefined ? undefined : formatPlace(check.place));
  tell('expected', check.expected);
  lines.push(...renderLabelled('found', check.found, { ...at, format: 'red' }));
  tell('history', promise.looks.length > 1 ? describeHistory(promise.looks) : undefined);
  for (const later of laterFindings(promise, check)) tell(momentOf(later), later.found);
  tell('likely why', sameAs === undefined ? check.cause : `the same as for number ${String(sameAs)}`);
  if (check.evidence !== undefined && check.evidence.length > 0) {
    lines.push(...renderLabelled('evidence', '', at), ...renderQuote(check.evidence, { ...at, indent: 7 }));
  }
  const files = check.files ?? [];
  tell(
    'files',
    files.length === 0 ? undefined : files.map((file) => path.join(options.folder, file)).join('\n'),
  );
  return lines;
}

/** Later looks that found the promise broken in another way. */
function laterFindings(promise: PromiseOutcome, check: CheckRecord): CheckRecord[] {
  const later = promise.looks.slice(promise.looks.indexOf(check) + 1);
  return later.filter((look) => look.status === check.status && look.found !== check.found);
}

/** "kept after boot 1; broken after boots 2 and 3". */
function describeHistory(looks: readonly CheckRecord[]): string {
  const words = { pass: 'kept', fail: 'broken', error: 'not looked at' } as const;
  const runs: { readonly status: CheckRecord['status']; readonly moments: CheckRecord[] }[] = [];
  for (const look of looks) {
    const last = runs.at(-1);
    if (last?.status === look.status) last.moments.push(look);
    else runs.push({ status: look.status, moments: [look] });
  }
  return runs.map(({ status, moments }) => `${words[status]} ${momentOf(...moments)}`).join('; ');
}

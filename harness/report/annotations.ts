import type { Place } from '../core/index.js';
import type { RunRecord, VariantRecord } from '../record/index.js';
import { digestPromises, momentOf, reasonOf, type PromiseOutcome } from './digest.js';
import { makePrintable } from './text.js';
import { countOf } from './words.js';

type Level = 'error' | 'warning' | 'notice';

interface Annotation {
  readonly level: Level;
  readonly place: Place;
  /** What makes two of them the same thing, seen in two variants. */
  readonly id: string;
  readonly title: string;
  readonly message: string;
  readonly variant: VariantRecord;
}

/** GitHub shows ten annotations of a level for each step, and drops the others without a word. */
const MOST_PER_LEVEL = 10;
const MOST_VARIANTS_NAMED = 5;
const LEVELS: readonly Level[] = ['error', 'warning', 'notice'];

/**
 * The run as annotations of GitHub Actions: one for each promise that was not kept, at the line that makes it. A promise
 * that several variants break is told once. Errors are what turns a run red, notices are known bugs, and warnings are promises
 * that could not be looked at beside broken ones.
 *
 * @returns Workflow commands, one a line; empty when there is nothing to tell. At most ten of each level, because GitHub
 *   shows no more; the last one then says how many there are.
 */
export function renderAnnotations(record: RunRecord): string {
  const groups = new Map<string, Annotation[]>();
  for (const annotation of record.variants.flatMap(annotate)) {
    const { level, place, id } = annotation;
    const key = [level, place.file, place.line, place.col, id].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), annotation]);
  }
  const lines = LEVELS.flatMap((level) => {
    const all = [...groups.values()].filter(([first]) => first?.level === level);
    if (all.length <= MOST_PER_LEVEL) return all.map(renderGroup);
    const shown = all.slice(0, MOST_PER_LEVEL - 1);
    const left = countOf(all.length - shown.length, 'more finding');
    return [
      ...shown.map(renderGroup),
      renderCommand(level, { title: left }, `${left} in the summary of this job and in report.html.`),
    ];
  });
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * How bad a variant's verdict is for whoever started the run. Nothing: there is nothing to tell.
 *
 * @param verdict One that this function does not know turns a run red until somebody decides otherwise.
 */
function levelOf(verdict: string): Level | undefined {
  switch (verdict) {
    case 'pass':
    case 'skip':
      return undefined;
    case 'known-bug':
      return 'notice';
    default:
      return 'error';
  }
}

function annotate(variant: VariantRecord): Annotation[] {
  const level = levelOf(variant.verdict);
  if (level === undefined) return [];
  const told = digestPromises(variant.checks).filter(({ against }) => against !== undefined);
  const start: Place = { file: variant.scenario.file, line: 1, col: 1 };
  const annotations = told.map((promise): Annotation => ({
    // Nothing is known against the layout where a promise could not be looked at.
    level: promise.outcome === 'unproved' && variant.verdict === 'fail' ? 'warning' : level,
    place: promise.against?.place ?? start,
    id: promise.id,
    title: promise.title,
    message: describePromise(promise, variant),
    variant,
  }));
  const { error } = variant;
  // A machine that died, a declared bug that did not show: no check tells it.
  if (error === undefined && told.length > 0) return annotations;
  const message = [error?.message ?? reasonOf(variant), error?.hint].filter((part) => part !== undefined);
  return [
    {
      level,
      place: error?.place ?? start,
      id: error?.code ?? 'verdict',
      title: error === undefined ? variant.scenario.title : `${error.code}: ${variant.scenario.title}`,
      message: message.join('\n'),
      variant,
    },
    ...annotations,
  ];
}

function describePromise({ id, outcome, against }: PromiseOutcome, variant: VariantRecord): string {
  const what = outcome === 'broken' ? 'broken' : 'not looked at';
  const known = variant.verdict === 'known-bug' ? `Known bug: ${reasonOf(variant)}` : undefined;
  return [
    `[${id}] ${what} ${against === undefined ? '' : momentOf(against)}: ${against?.found ?? ''}`,
    against?.expected === undefined ? undefined : `Expected: ${against.expected}`,
    against?.cause === undefined ? undefined : `Likely why: ${against.cause}`,
    known,
  ]
    .filter((line) => line !== undefined)
    .join('\n');
}

function renderGroup(group: readonly Annotation[]): string {
  const [first] = group;
  if (first === undefined) return '';
  const { level, place, title, message, variant } = first;
  const ids = group.map((each) => each.variant.id);
  const named = ids.slice(0, MOST_VARIANTS_NAMED).join(', ');
  const more =
    ids.length > MOST_VARIANTS_NAMED ? ` and ${String(ids.length - MOST_VARIANTS_NAMED)} more` : '';
  return renderCommand(
    level,
    { file: place.file, line: String(place.line), col: String(place.col), title },
    `${message}\nIn ${named}${more}\nRepeat: ${variant.repeat}`,
  );
}

function renderCommand(level: Level, properties: Readonly<Record<string, string>>, message: string): string {
  const words = Object.entries(properties).map(([name, value]) => `${name}=${escapeProperty(value)}`);
  return `::${level} ${words.join(',')}::${escapeData(message)}`;
}

/** GitHub takes these three escapes in a message, and two more in a property. */
function escapeData(text: string): string {
  return makePrintable(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

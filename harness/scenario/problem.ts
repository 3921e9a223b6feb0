import { closest, distance } from 'fastest-levenshtein';
import { formatPlace, HarnessError, type Place } from '../core/index.js';

/** Something in a file that keeps it from being used. */
export interface Problem {
  readonly place: Place;
  readonly message: string;
}

/** Nobody reads more; a file that is no scenario at all can have a problem on every line. */
const MAX_LINES = 100;

/**
 * Proposes the known word that a wrong one was probably meant to be.
 *
 * @returns ` Did you mean "…"?` with a space in front; nothing when no word is near.
 */
export function suggest(wrong: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const nearest = closest(wrong, [...known]);
  const limit = Math.max(2, Math.floor(wrong.length / 3));
  return distance(wrong, nearest) <= limit ? ` Did you mean "${nearest}"?` : '';
}

/** What an error about a kind of file says. */
export interface ProblemsOf {
  readonly code: 'SCENARIO_INVALID' | 'USAGE';
  readonly name: string;
  /** Where its keys are explained, as a sentence. */
  readonly help: string;
}

const OF_SCENARIO: ProblemsOf = {
  code: 'SCENARIO_INVALID',
  name: 'scenario',
  help: 'scenarios/scenario.schema.json explains every key, also to an editor.',
};

/**
 * Makes the one error that reports all problems, in the order in which they stand in the files.
 *
 * @param problems At least one.
 * @param of What kind of file it is. Default: a scenario.
 * @returns An error with the code `SCENARIO_INVALID`, or another kind's, with one line `file:line:col: message` per problem in
 * `details` and the first problem's place.
 */
export function problemsError(problems: readonly Problem[], of: ProblemsOf = OF_SCENARIO): HarnessError {
  const sorted = [...problems].sort(compareProblems);
  const lines = [...new Set(sorted.map((each) => `${formatPlace(each.place)}: ${each.message}`))];
  const files = [...new Set(sorted.map((each) => each.place.file))];
  const count = lines.length === 1 ? '1 problem' : `${String(lines.length)} problems`;
  const first = sorted[0];
  return new HarnessError(of.code, `Cannot use the ${of.name}: ${count} in ${files.join(', ')}.`, {
    details: [...lines.slice(0, MAX_LINES), ...(lines.length > MAX_LINES ? ['…'] : [])].join('\n'),
    hint: `Correct what is listed. ${of.help}`,
    ...(first === undefined ? {} : { place: first.place }),
  });
}

function compareProblems(a: Problem, b: Problem): number {
  if (a.place.file !== b.place.file) return a.place.file < b.place.file ? -1 : 1;
  return a.place.line - b.place.line || a.place.col - b.place.col;
}

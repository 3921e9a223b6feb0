import type { ControlResult, LayoutResults, MutantResult, MutationResults, Outcome } from './results.js';

/** Columns of the word for an outcome, and of ids. */
const WORD_COLUMNS = 11;
const ID_COLUMNS = 58;

/** A mutant in a list of what would be run. */
export function renderListed(
  mutant: Pick<MutantResult, 'id' | 'title' | 'lints'>,
  decided: Outcome | undefined,
): string {
  const what =
    decided === undefined ? `${mutant.title}${tellLints(mutant)}` : `${mutant.title} (${explain(decided)})`;
  return `${(decided?.kind ?? 'run').padEnd(WORD_COLUMNS)} ${mutant.id.padEnd(ID_COLUMNS)} ${what}`;
}

/** What became of a mutant, on one line. */
export function renderMutant({ id, outcome, lints }: MutantResult): string {
  return `${outcome.kind.padEnd(WORD_COLUMNS)} ${id.padEnd(ID_COLUMNS)} ${explain(outcome)}${tellLints({ lints })}`;
}

function tellLints({ lints }: Pick<MutantResult, 'lints'>): string {
  return lints.length === 0 ? '' : ` [imperm check: ${lints.join(', ')}]`;
}

/** What became of the layout as it is, on one line. */
export function renderControl({ number, trial, falseAlarms, error, durationMs }: ControlResult): string {
  const told =
    error === undefined
      ? falseAlarms.map(({ promise, found }) => `${promise}: ${found}`).join('; ') || 'every promise kept'
      : `error: ${error}`;
  const word = error === undefined && falseAlarms.length === 0 ? 'passed' : 'FALSE ALARM';
  return `${(error === undefined ? word : 'error').padEnd(WORD_COLUMNS)} ${`the layout as it is${inTrial(trial)}, ${String(number)}`.padEnd(ID_COLUMNS)} ${told}, ${seconds(durationMs)}`;
}

function inTrial(trial: string | undefined): string {
  return trial === undefined ? '' : ` in ${trial}`;
}

function explain(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'killed':
      return `${outcome.by.promise}${outcome.by.boot === undefined ? '' : ` in boot ${String(outcome.by.boot)}`}${inTrial(outcome.trial)}, ${seconds(outcome.durationMs)}`;
    case 'survived':
      return `every promise kept${outcome.trials.length === 0 ? '' : `, those of ${outcome.trials.join(', ')}, too`}, ${seconds(outcome.durationMs)}`;
    case 'refused':
      return `by the ${outcome.by}: ${outcome.reason}`;
    case 'equivalent':
      return outcome.reason;
    case 'error':
      return outcome.message;
  }
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(0)} s`;
}

/** How many of each. */
export interface MutationCounts {
  readonly made: number;
  readonly decided: number;
  readonly refused: number;
  readonly killed: number;
  readonly survived: number;
  readonly equivalent: number;
  /** Of those that a machine killed or that survived, what `imperm check` tells, too. */
  readonly linted: number;
  readonly errors: number;
  readonly falseAlarms: number;
  /** Controls of which nobody knows what became. */
  readonly controlErrors: number;
  /** Of a mutant that was run; 0 when none was. */
  readonly meanMs: number;
}

/** Counts what is known of one layout or of several. */
export function countResults(layouts: readonly LayoutResults[]): MutationCounts {
  const outcomes = layouts.flatMap(({ mutants }) => mutants.map(({ outcome }) => outcome));
  const controls = layouts.flatMap((each) => each.controls);
  const count = (kind: Outcome['kind']): number => outcomes.filter((each) => each.kind === kind).length;
  const times = outcomes.flatMap((each) => ('durationMs' in each ? [each.durationMs] : []));
  return {
    made: layouts.reduce((sum, { made }) => sum + made, 0),
    decided: outcomes.length,
    refused: count('refused'),
    killed: count('killed'),
    survived: count('survived'),
    equivalent: count('equivalent'),
    linted: layouts
      .flatMap(({ mutants }) => mutants)
      .filter(
        ({ outcome: { kind }, lints }) => lints.length > 0 && (kind === 'killed' || kind === 'survived'),
      ).length,
    errors: count('error'),
    falseAlarms: controls.filter(({ falseAlarms }) => falseAlarms.length > 0).length,
    controlErrors: controls.filter(({ error }) => error !== undefined).length,
    meanMs: times.length === 0 ? 0 : times.reduce((sum, each) => sum + each, 0) / times.length,
  };
}

/** The closing text: for each layout who got through and which promise catches how many, then all counts. */
export function renderResults({ layouts, interrupted }: MutationResults): string {
  const all = countResults(layouts);
  const lines = layouts.flatMap((layout) => [
    `== ${layout.variant} ==`,
    ...listLeft(layout),
    ...listCatchers(layout),
    renderCounts(countResults([layout]), layout.controls.length),
    '',
  ]);
  const runs = layouts.reduce((sum, { controls }) => sum + controls.length, 0);
  return [
    ...lines,
    ...(layouts.length > 1 ? ['== All ==', renderCounts(all, runs), ''] : []),
    ...(interrupted ? ['Interrupted: --resume goes on where it was.', ''] : []),
  ].join('\n');
}

function listLeft({ mutants }: LayoutResults): readonly string[] {
  const survivors = mutants.filter(({ outcome }) => outcome.kind === 'survived');
  const errors = mutants.flatMap(({ id, title, outcome }) =>
    outcome.kind === 'error' ? [`  ${id}`, `    ${title}`, `    ${outcome.message}`] : [],
  );
  return [
    ...(survivors.length === 0 ? [] : ['Survived:']),
    ...survivors.flatMap(({ id, title, missing, place }) => [
      `  ${id}  (${place.file}:${String(place.line)})`,
      `    ${title}`,
      `    Nobody promises that ${missing}.`,
    ]),
    ...(errors.length === 0 ? [] : ['Not known, because of an error:', ...errors]),
  ];
}

/** Which promise was the first to tell, and how often. */
function listCatchers({ mutants }: LayoutResults): readonly string[] {
  const counts = new Map<string, number>();
  for (const { outcome } of mutants) {
    if (outcome.kind === 'killed') counts.set(outcome.by.promise, (counts.get(outcome.by.promise) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a).map(([id, count]) => `${id} ${String(count)}`);
  return sorted.length === 0 ? [] : [`Caught first by: ${sorted.join(', ')}`];
}

function renderCounts(counts: MutationCounts, controls: number): string {
  const { made, decided, refused, killed, survived, equivalent, linted, errors, falseAlarms, meanMs } =
    counts;
  const parts = [
    `${String(made)} made`,
    ...(decided < made ? [`${String(made - decided)} not looked at`] : []),
    `${String(refused)} killed statically`,
    `${String(killed)} killed by a machine`,
    `${String(survived)} survived`,
    ...(linted === 0 ? [] : [`${String(linted)} of these two told by imperm check, too`]),
    `${String(equivalent)} equivalent`,
    `${String(errors)} errors`,
    `${String(falseAlarms)} false alarms in ${String(controls)} controls`,
  ];
  return `${parts.join(', ')}${meanMs === 0 ? '' : `; ${seconds(meanMs)} for each that was run`}`;
}

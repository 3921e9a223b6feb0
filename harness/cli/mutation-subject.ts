import path from 'node:path';

import { HarnessError } from '../core/index.js';
import {
  decide,
  isTrialOf,
  type LayoutResults,
  makeMutants,
  type Mutant,
  type Original,
  type Outcome,
  type Trial,
} from '../mutate/index.js';
import {
  findScenarios,
  isPowerOnFault,
  openScenario,
  type Scenario,
  selectVariants,
  type Step,
  type Variant,
} from '../scenario/index.js';
import { findScenario, readFilter, SCENARIOS_DIR } from './select.js';

/** A mutant, and what is known of it before anything is run. */
interface KnownMutant {
  readonly mutant: Mutant;
  /** Names of the lints that tell it. */
  readonly lints: readonly string[];
  /** Absent: only a machine can tell. */
  readonly decided?: Outcome;
  /** What the machine gets; present when nothing is decided. */
  readonly scenario?: Scenario;
}

/** A layout whose mutants are to be run. */
export interface Subject {
  /** The name or path by which it was found. */
  readonly source: string;
  readonly variant: Variant;
  readonly original: Original;
  /** Mutants that there are of it, those not chosen included. */
  readonly made: number;
  readonly mutants: readonly KnownMutant[];
  /** Scenarios that put the same layout, unbroken, into other circumstances: what its survivors go through. */
  readonly trials: readonly Trial[];
}

/** Steps that bring a layout into circumstances in which few are. */
const HARD_STEPS: readonly Step['kind'][] = ['fault', 'power-cut-at', 'hibernate'];

/**
 * Opens layouts and makes their mutants.
 *
 * @param names Scenarios; none: those of `layouts`, or the default one.
 * @param options.variant `axis=value`: which variant of each; without it the first.
 * @param options.only Patterns of ids, with `*` for anything; none: every mutant.
 * @param options.layouts Results to go on with.
 * @param options.byLints What a lint finds needs no machine.
 * @throws {HarnessError} USAGE for a layout that is known to be faulty, and when no mutant fits `only`.
 */
export async function openSubjects(
  names: readonly string[],
  options: {
    readonly variant: readonly string[];
    readonly only: readonly string[];
    readonly layouts: readonly Pick<LayoutResults, 'file' | 'variant'>[];
    readonly byLints: boolean;
    /** Names of the only trials that are wanted, in their order; absent: all there are. */
    readonly trials?: readonly string[];
  },
): Promise<readonly Subject[]> {
  const { layouts } = options;
  const isResumed = names.length === 0 && layouts.length > 0;
  const wanted = isResumed
    ? layouts.map(({ file, variant }) => ({ name: file, id: variant }))
    : (names.length === 0 ? [undefined] : names).map((name) => ({ name, id: undefined }));
  const hard = await findTrials(options.trials);
  const subjects: Subject[] = [];
  for (const { name, id } of wanted) subjects.push(await openSubject(name, id, { ...options, hard }));
  if (subjects.every(({ mutants }) => mutants.length === 0))
    throw new HarnessError('USAGE', `No mutant has an id like ${options.only.join(' or ')}`, {
      hint: '`imperm mutate --list` shows the ids; `*` stands for anything: --only "rollback/*".',
    });
  return subjects;
}

async function openSubject(
  name: string | undefined,
  id: string | undefined,
  options: {
    readonly variant: readonly string[];
    readonly only: readonly string[];
    readonly byLints: boolean;
    /** What may be a trial of it. */
    readonly hard: readonly Trial[];
  },
): Promise<Subject> {
  const file = await findScenario(name);
  const source = await openScenario(file);
  const all = selectVariants([source.scenario], {
    filter: readFilter(options.variant),
    spread: id === undefined ? 'once' : 'full',
  });
  const variant = id === undefined ? all[0] : all.find((each) => each.id === id);
  if (variant === undefined)
    throw new HarnessError('USAGE', `${file} has no variant ${id ?? ''} any more`, {
      hint: 'Begin anew, without --resume.',
    });
  const { scenario, axes } = variant;
  if (scenario.knownBug !== undefined)
    throw new HarnessError('USAGE', `${scenario.name} is known to break promises as it is`, {
      place: scenario.knownBug.place,
      hint: 'Mutants are made of layouts that keep all their promises: what breaks then is broken by the mutant.',
    });
  const original = { source, scenario, axes };
  const mutants = makeMutants(original);
  const patterns = options.only.map(patternOf);
  const chosen = mutants.filter(
    (mutant) => patterns.length === 0 || patterns.some((pattern) => pattern.test(mutant.id)),
  );
  return {
    source: name ?? file,
    variant,
    original,
    made: mutants.length,
    mutants: await Promise.all(chosen.map((mutant) => know(mutant, original, options))),
    trials: firstOfEach(options.hard.filter((each) => isTrialOf(original, each))),
  };
}

/**
 * Finds every shipped scenario that does more to a correct layout than to boot it. What is done to disks tells more, and sooner,
 * than what is done to a machine, and comes first.
 *
 * @throws {HarnessError} USAGE for a name that is none of theirs.
 */
async function findTrials(names: readonly string[] | undefined): Promise<readonly Trial[]> {
  const files = (
    await Promise.all([SCENARIOS_DIR, path.join(SCENARIOS_DIR, 'bugs')].map(findScenarios))
  ).flat();
  const sources = await Promise.all(files.map(openScenario));
  const all = sources
    .flatMap((source) => source.scenario.variants.map((variant) => ({ source, variant })))
    .filter(
      ({ variant: { scenario } }) =>
        scenario.knownBug === undefined && scenario.steps.some(({ kind }) => HARD_STEPS.includes(kind)),
    );
  const isOfMachine = ({ variant }: Trial): boolean =>
    variant.scenario.steps.some((step) => step.kind === 'fault' && isPowerOnFault(step.fault));
  if (names === undefined)
    return all.sort((one, other) => Number(isOfMachine(one)) - Number(isOfMachine(other)));
  const known = [...new Set(all.map(({ variant }) => variant.scenario.name))];
  return names.flatMap((name) => {
    if (!known.includes(name))
      throw new HarnessError('USAGE', `${name} is no trial`, {
        hint: `Trials are what does more to a correct layout than to boot it: ${known.join(', ')}.`,
      });
    return all.filter(({ variant }) => variant.scenario.name === name);
  });
}

/** One of each scenario, whatever its disks are. */
function firstOfEach(trials: readonly Trial[]): readonly Trial[] {
  const names = trials.map(({ variant }) => variant.scenario.name);
  return trials.filter(({ variant }, index) => names.indexOf(variant.scenario.name) === index);
}

async function know(
  mutant: Mutant,
  original: Original,
  options: { readonly byLints: boolean },
): Promise<KnownMutant> {
  const decision = await decide(mutant, original, options);
  if (decision.kind !== 'run') return { mutant, lints: [], decided: decision };
  const { scenario, lints } = decision;
  return { mutant, lints, scenario };
}

/** `*` stands for anything, slashes included. */
function patternOf(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}

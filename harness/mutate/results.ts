import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import { digestOf, HarnessError } from '../core/index.js';
import type { Scenario } from '../scenario/index.js';

/** Version of the JSON of mutation results. Raised when a reader of the old form would misread the new one. */
const RESULTS_VERSION = 1;
/** Name of the file in the folder of a run. */
export const RESULTS_FILE = 'mutants.json';

const place = z.object({ file: z.string(), line: z.int().positive(), col: z.int().positive() });
const milliseconds = z.number().nonnegative();

const brokenPromise = z.object({
  promise: z.string().min(1),
  /** Absent for what is looked at when the machine is off. */
  boot: z.int().positive().exactOptional(),
  found: z.string(),
});

/**
 * - `killed`: a promise of the original was seen to be broken in a machine; the first that was, and all of them.
 * - `refused`: decided without a machine, by who says so.
 * - `survived`: every promise was kept, in every trial.
 * - `equivalent`: no other layout at all, by a rule.
 * - `error`: nobody knows.
 */
const outcome = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('killed'),
    by: brokenPromise,
    broken: z.array(z.string()),
    /** The scenario in whose circumstances; absent: as the layout is run. */
    trial: z.string().exactOptional(),
    durationMs: milliseconds,
    folder: z.string(),
  }),
  z.object({ kind: z.literal('refused'), by: z.string(), reason: z.string() }),
  z.object({
    kind: z.literal('survived'),
    /** Scenarios in whose circumstances it survived, too. */
    trials: z.array(z.string()).default([]),
    durationMs: milliseconds,
    folder: z.string(),
  }),
  z.object({ kind: z.literal('equivalent'), reason: z.string() }),
  z.object({ kind: z.literal('error'), message: z.string(), durationMs: milliseconds, folder: z.string() }),
]);

const control = z.object({
  /** From 1, for each trial anew. */
  number: z.int().positive(),
  /** The scenario in whose circumstances; absent: as the layout is run. */
  trial: z.string().exactOptional(),
  /** A false alarm: promises of a correct layout were said to be broken. */
  falseAlarms: z.array(brokenPromise),
  /** Nobody knows. */
  error: z.string().exactOptional(),
  durationMs: milliseconds,
  /** Of the slowest phase of a boot. */
  slowestMs: milliseconds,
  /** Of everything before the first boot: the same work for every mutant. */
  setUpMs: milliseconds,
  folder: z.string(),
});

const mutant = z.object({
  id: z.string().min(1),
  title: z.string(),
  missing: z.string(),
  place,
  /** Names of the lints that find something in it, and nothing in the layout as it is. */
  lints: z.array(z.string()).default([]),
  outcome,
});

const layout = z.object({
  /** Id of the variant. */
  variant: z.string().min(1),
  file: z.string(),
  /** Of the layout: results of another one say nothing of it. */
  digest: z.string(),
  promises: z.int().nonnegative(),
  /** Mutants that are made of it, those not chosen or not yet decided included. */
  made: z.int().nonnegative(),
  controls: z.array(control),
  mutants: z.array(mutant),
});

const results = z.object({
  version: z.literal(RESULTS_VERSION),
  imperm: z.string(),
  command: z.string(),
  startedAt: z.iso.datetime(),
  interrupted: z.boolean(),
  /** One for each variant; results of several runs are put together by variant, digest and the ids of mutants. */
  layouts: z.array(layout),
});

export type Outcome = z.output<typeof outcome>;
export type BrokenPromise = z.output<typeof brokenPromise>;
export type ControlResult = z.output<typeof control>;
export type MutantResult = z.output<typeof mutant>;
export type LayoutResults = z.output<typeof layout>;
export type MutationResults = z.output<typeof results>;

/** New results, of which nothing is known. */
export function emptyResults(of: Pick<MutationResults, 'imperm' | 'command' | 'startedAt'>): MutationResults {
  return { version: RESULTS_VERSION, ...of, interrupted: true, layouts: [] };
}

/**
 * Makes room for a layout among results. What is known of it stays known as long as it is the same layout, but for what
 * nobody could find out: that may be known this time.
 *
 * @param results Changed in place.
 * @param of.made Mutants that there are of it.
 * @returns The results of the layout, to be added to.
 */
export function takeLayout(
  results: MutationResults,
  of: Pick<LayoutResults, 'variant' | 'file' | 'made'> & { readonly scenario: Scenario },
): LayoutResults {
  const { variant, file, made, scenario } = of;
  const digest = layoutDigest(scenario);
  const known = results.layouts.find((each) => each.variant === variant);
  const kept = known?.digest === digest ? known : undefined;
  const layout: LayoutResults = {
    variant,
    file,
    digest,
    promises: scenario.promises.length,
    made,
    controls: (kept?.controls ?? []).filter(({ error }) => error === undefined),
    mutants: (kept?.mutants ?? []).filter(({ outcome: { kind } }) => kind !== 'error'),
  };
  results.layouts = [...results.layouts.filter((each) => each !== known), layout];
  return layout;
}

/**
 * Notes what is known of a mutant without a machine; that is known best, whatever was found before. But what a machine has
 * killed is no equivalent: then the rule is wrong, and the kill stays.
 *
 * @param layout Changed in place.
 * @returns `contradicted` when a machine knows better.
 */
export function noteDecided(layout: LayoutResults, result: MutantResult): 'new' | 'known' | 'contradicted' {
  const known = layout.mutants.find(({ id }) => id === result.id);
  if (known === undefined) {
    layout.mutants.push(result);
    return 'new';
  }
  if (known.outcome.kind === 'killed' && result.outcome.kind === 'equivalent') return 'contradicted';
  known.outcome = result.outcome;
  return 'known';
}

/** Tells layouts apart: two with the same digest have the same system, promises and steps. */
function layoutDigest({ system, install, promises, steps }: Scenario): string {
  return digestOf(JSON.stringify({ system, install: install?.text, promises, steps }));
}

/**
 * Reads results.
 *
 * @param file Path of a `mutants.json`.
 * @throws {HarnessError} USAGE when it cannot be read, or has not the form of results.
 */
export async function readResults(file: string): Promise<MutationResults> {
  try {
    return results.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (thrown) {
    const why = thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown);
    throw new HarnessError('USAGE', `Could not read the results ${file}: ${why}`, {
      hint: `Give the path of a ${RESULTS_FILE} that \`imperm mutate\` has written.`,
      cause: thrown,
    });
  }
}

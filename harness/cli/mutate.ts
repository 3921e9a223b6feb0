import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { asHarnessError, EXIT, type Environment, HarnessError } from '../core/index.js';
import {
  countResults,
  emptyResults,
  type LayoutResults,
  type MutantResult,
  type MutationResults,
  noteDecided,
  readResults,
  renderListed,
  renderMutant,
  renderResults,
  RESULTS_FILE,
  takeLayout,
} from '../mutate/index.js';
import { newRunId, writeAtomically } from '../record/index.js';
import { readJobs } from './jobs.js';
import { openSubjects, type Subject } from './mutation-subject.js';
import { MutationRun } from './mutation-run.js';
import type { MutateOptions } from './mutate-options.js';
import { withSignals } from './signals.js';

export interface MutateSurroundings {
  readonly environment: Environment;
  readonly version: string;
  /** The command line, for the results. */
  readonly words: readonly string[];
}

/**
 * Runs broken variants of correct layouts, and tells which of them the promises of the layout catch.
 *
 * @returns The exit code: 0 when none survived and no layout was accused as it is.
 */
export async function mutate(
  names: readonly string[],
  options: MutateOptions,
  { environment, version, words }: MutateSurroundings,
): Promise<number> {
  const controls = readControls(options.controls);
  readJobs(options.jobs); // a wrong number is refused before anything is made
  if (options.target === 'hardware')
    throw new HarnessError('USAGE', 'Mutants run in virtual machines only: they break what they run on');
  const before = options.resume === undefined ? undefined : await readResults(options.resume);
  const subjects = await openSubjects(names, {
    variant: options.variant ?? [],
    only: options.only ?? [],
    layouts: before?.layouts ?? [],
    byLints: options.lints,
    ...(options.trial === undefined ? {} : { trials: options.trial }),
  });
  if (options.list) return list(subjects);
  const folder =
    options.resume === undefined
      ? path.join(path.resolve(options.reports), newRunId())
      : path.dirname(path.resolve(options.resume));
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, RESULTS_FILE);
  const results: MutationResults =
    before ??
    emptyResults({
      imperm: version,
      command: ['imperm', ...words].join(' '),
      startedAt: new Date().toISOString(),
    });
  results.interrupted = true;
  const print = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  const layouts = subjects.map(({ variant, original, made, source }) =>
    takeLayout(results, { variant: variant.id, file: source, made, scenario: original.scenario }),
  );
  let saving = Promise.resolve();
  const save = (): Promise<void> => {
    saving = saving.then(() => writeAtomically(file, `${JSON.stringify(results, undefined, 2)}\n`));
    return saving;
  };
  for (const [index, subject] of subjects.entries()) {
    const layout = layouts[index];
    if (layout === undefined) continue;
    for (const { mutant, decided, lints } of subject.mutants) {
      if (decided === undefined) continue;
      const { id, title, missing, place } = mutant;
      const result: MutantResult = { id, title, missing, place, lints: [...lints], outcome: decided };
      const noted = noteDecided(layout, result);
      if (noted === 'new') print(renderMutant(result));
      if (noted === 'contradicted')
        process.stderr.write(
          `imperm: ${id} is called equivalent, but a machine has told it from the layout: the rule is wrong.\n`,
        );
    }
  }
  await save();
  return withSignals(async (signal) => {
    let failure: HarnessError | undefined;
    try {
      const run = new MutationRun(options, { environment, version, folder, signal, print, save });
      await run.prepare(subjects);
      for (const [index, subject] of subjects.entries()) {
        const layout = layouts[index];
        if (layout !== undefined) await run.work(subject, layout, controls);
      }
    } catch (thrown) {
      failure = asHarnessError(thrown);
    }
    results.interrupted = signal.aborted || failure !== undefined;
    await save();
    print(`\n${renderResults({ ...results, layouts })}`);
    print(`Results: ${path.relative(process.cwd(), file)}`);
    if (signal.aborted) return EXIT.interrupted;
    if (failure !== undefined) throw failure;
    return exitCode(layouts);
  });
}

/** Shows the mutants and what is known without a machine. */
function list(subjects: readonly Subject[]): number {
  for (const { variant, mutants, trials } of subjects) {
    const open = mutants.filter(({ decided }) => decided === undefined).length;
    process.stdout.write(
      `== ${variant.id}: ${String(mutants.length)} mutants, ${String(open)} of them to be run ==\n`,
    );
    for (const { mutant, decided, lints } of mutants)
      process.stdout.write(`${renderListed({ ...mutant, lints: [...lints] }, decided)}\n`);
    if (trials.length > 0)
      process.stdout.write(
        `What survives is put through ${trials.map(({ variant: each }) => each.scenario.name).join(', ')}.\n`,
      );
  }
  return EXIT.ok;
}

function exitCode(layouts: readonly LayoutResults[]): number {
  const { survived, falseAlarms, errors, controlErrors } = countResults(layouts);
  if (survived + falseAlarms > 0) return EXIT.layoutFailed;
  return errors + controlErrors > 0 ? EXIT.unavailable : EXIT.ok;
}

function readControls(text: string): number {
  if (!/^\d{1,2}$/.test(text))
    throw new HarnessError('USAGE', `--controls takes a whole number from 0 to 99, not "${text}"`);
  return Number(text);
}

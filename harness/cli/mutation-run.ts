import path from 'node:path';

import { type Environment, HarnessError } from '../core/index.js';
import { readAvailableMemory } from '../host/index.js';
import {
  type ControlResult,
  controlScenario,
  judgeControl,
  judgeMutant,
  type LayoutResults,
  type MutantResult,
  renderControl,
  renderMutant,
  slowestPhaseMs,
  type Trial,
  trialScenario,
} from '../mutate/index.js';
import { planVariant } from '../plan/index.js';
import { createEventBus, createRecorder, folderOfVariant, type VariantRecord } from '../record/index.js';
import { createLiveReporter } from '../report/index.js';
import { prepareRun, type RunContext, runVariant } from '../run/index.js';
import type { Scenario, Variant } from '../scenario/index.js';
import { ordinaryCpus } from '../target/index.js';
import { chooseTarget, describeTarget, openChosenTarget, reap, reapLibvirt } from './choose-target.js';
import { memoryOf, processorBudget, processorsOf, readJobs } from './jobs.js';
import type { MutateOptions } from './mutate-options.js';
import type { Subject } from './mutation-subject.js';
import { runPool } from './pool.js';
import { ensureHostPackages } from './set-up.js';

/** No phase of a boot may take longer than this on a fast machine before it is given up. */
const SHORTEST_LIMIT_MS = 60_000;
/** How much longer than the layout as it is a mutant may take. */
const PATIENCE = 5;
/** Above 1, so that an emulated machine is still told that it is one. */
const LEAST_SCALE = 1.2;

interface MutationSurroundings {
  readonly environment: Environment;
  readonly version: string;
  /** For evidence. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
  /** Keeps what is known. */
  readonly save: () => Promise<void>;
}

/** Runs layouts and their mutants, in machines that are made ready once. */
export class MutationRun {
  readonly #options: MutateOptions;
  readonly #around: MutationSurroundings;
  #context: RunContext | undefined;
  #facts: Parameters<typeof planVariant>[1] = { guest: 'debian', memoryMiB: Infinity };
  /** Processors of the host that has the machines. Absent: this one has them. */
  #cpus: number | undefined;

  constructor(options: MutateOptions, around: MutationSurroundings) {
    this.#options = options;
    this.#around = around;
  }

  /**
   * Makes ready what all need.
   *
   * @throws {HarnessError} USAGE when one of the layouts cannot run here.
   */
  async prepare(subjects: readonly Subject[]): Promise<void> {
    const { environment, signal } = this.#around;
    await ensureHostPackages(this.#options, environment, signal);
    await reap(environment.workDir, signal);
    const target = await openChosenTarget(this.#options, { workDir: environment.workDir, signal });
    const choice = chooseTarget(this.#options);
    if (choice.kind === 'libvirt') await reapLibvirt(choice.uri, signal);
    this.#cpus = target.capacity?.cpus;
    this.#facts = {
      guest: 'debian',
      memoryMiB: (await readAvailableMemory()).availableMiB,
      ...describeTarget(target),
    };
    for (const { variant } of subjects) {
      const plan = planVariant(variant, this.#facts);
      if ('skip' in plan) throw new HarnessError('USAGE', `${variant.id} cannot run here: ${plan.skip}`);
    }
    this.#context = await prepareRun({
      environment,
      tools: this.#options.tools,
      accelerator: this.#options.accel,
      target,
      signal,
      emit: (event) => {
        if (event.type === 'note') process.stderr.write(`imperm: ${event.text}\n`);
      },
      scenarios: subjects.flatMap(({ original, mutants, trials }) => [
        original.scenario,
        ...trials.map(({ variant }) => variant.scenario),
        ...mutants.flatMap(({ scenario }) => (scenario === undefined ? [] : [scenario])),
      ]),
    });
  }

  /** Runs a layout as it is, and then those of its mutants of which nothing is known. */
  async work(subject: Subject, layout: LayoutResults, controls: number): Promise<void> {
    const { print, save } = this.#around;
    const numbers = Array.from({ length: controls }, (_, index) => index + 1);
    const control = { ...subject.variant, scenario: controlScenario(subject.original) };
    await this.#control(control, layout, { numbers });
    const own = layout.controls.filter(({ trial }) => trial === undefined);
    const passed = own.filter(isPassed);
    if (own.length > 0 && passed.length === 0) {
      print('The layout as it is does not pass: its mutants would show nothing, and are not run.');
      return;
    }
    const open = subject.mutants.flatMap(({ mutant, lints, scenario }) =>
      scenario === undefined || layout.mutants.some(({ id }) => id === mutant.id)
        ? []
        : [{ mutant, lints, scenario }],
    );
    // The host may have more to do than it had then.
    let slowestMs = Math.max(0, ...passed.map((each) => each.slowestMs));
    const setUpMs = passed[0]?.setUpMs;
    await this.#pool(open, {
      scenarioOf: ({ scenario }) => scenario,
      work: async ({ mutant, lints, scenario }) => {
        const { id, title, missing: lack, place } = mutant;
        const record = await this.#run({ ...subject.variant, scenario }, { id, slowestMs });
        if (record === undefined) return;
        const outcome = judgeMutant(record, setUpMs);
        const result: MutantResult = { id, title, missing: lack, place, lints: [...lints], outcome };
        if (outcome.kind === 'survived' || (outcome.kind === 'killed' && outcome.by.promise !== 'boots'))
          slowestMs = Math.max(slowestMs, slowestPhaseMs(record));
        layout.mutants.push(result);
        print(renderMutant(result));
        await save();
      },
    });
    for (const trial of subject.trials) await this.#try(trial, subject, layout);
  }

  /** Runs a layout unbroken, as often as it has not been yet. @param options.trial Name of the scenario, where it is a trial. */
  async #control(
    variant: Variant,
    layout: LayoutResults,
    { numbers, trial }: { readonly numbers: readonly number[]; readonly trial?: string },
  ): Promise<void> {
    const { print, save } = this.#around;
    const missing = numbers.filter(
      (number) => !layout.controls.some((each) => each.number === number && each.trial === trial),
    );
    await this.#pool(missing, {
      scenarioOf: () => variant.scenario,
      work: async (number) => {
        const record = await this.#run(variant, { id: `control ${String(number)}` });
        if (record === undefined) return;
        const result = { ...judgeControl(number, record), ...(trial === undefined ? {} : { trial }) };
        layout.controls.push(result);
        print(renderControl(result));
        await save();
      },
    });
  }

  /** Puts the survivors into harder circumstances, which the layout as it is has to pass first. */
  async #try(trial: Trial, subject: Subject, layout: LayoutResults): Promise<void> {
    const { print, save } = this.#around;
    const { name } = trial.variant.scenario;
    const found = subject.mutants.map(async ({ mutant, scenario: mutated }) => {
      const result = layout.mutants.find(({ id }) => id === mutant.id);
      const { outcome } = result ?? {};
      const isOpen = outcome?.kind === 'survived' && !outcome.trials.includes(name);
      if (result === undefined || mutated === undefined || !isOpen) return [];
      const scenario = await trialScenario(trial, { original: subject.original, mutant, mutated });
      return scenario === undefined ? [] : [{ result, outcome, scenario }];
    });
    const left = (await Promise.all(found)).flat();
    if (left.length === 0) return;
    await this.#control(trial.variant, layout, { numbers: [1], trial: name });
    const control = layout.controls.find((each) => each.trial === name);
    if (control === undefined || !isPassed(control)) return;
    const { slowestMs, setUpMs } = control;
    await this.#pool(left, {
      scenarioOf: ({ scenario }) => scenario,
      work: async ({ result, outcome, scenario }) => {
        const record = await this.#run({ ...trial.variant, scenario }, { id: result.id, slowestMs });
        if (record === undefined) return;
        const found = judgeMutant(record, setUpMs);
        const durationMs = outcome.durationMs + record.durationMs;
        // What nobody could find out here is left to another time.
        if (found.kind === 'killed') result.outcome = { ...found, trial: name, durationMs };
        else if (found.kind === 'survived')
          result.outcome = { ...found, trials: [...outcome.trials, name], durationMs };
        else return;
        print(renderMutant(result));
        await save();
      },
    });
  }

  #pool<T>(
    pieces: readonly T[],
    { scenarioOf, work }: { scenarioOf: (piece: T) => Scenario; work: (piece: T) => Promise<void> },
  ): Promise<void> {
    const { signal } = this.#around;
    const { memoryMiB } = this.#facts;
    const jobs = readJobs(this.#options.jobs, this.#cpus);
    const ordinary = ordinaryCpus(this.#context?.host.accelerator.kind === 'kvm');
    const processors = processorBudget(this.#options.jobs, ordinary, this.#cpus);
    return runPool(pieces, [{ limits: { jobs, memoryMiB, processors } }], {
      memoryMiB: (piece) => memoryOf(scenarioOf(piece)),
      processors: (piece) => processorsOf(scenarioOf(piece), ordinary),
      signal,
      work,
    });
  }

  /**
   * @param run.slowestMs Of the slowest phase of the layout as it is: a mutant that hangs is not waited for any longer than
   * that makes sensible. Absent: as long as any machine.
   * @returns What became of it; nothing when it was interrupted.
   */
  async #run(
    variant: Variant,
    run: { readonly id: string; readonly slowestMs?: number },
  ): Promise<VariantRecord | undefined> {
    const context = this.#context;
    const { environment, version, folder, signal } = this.#around;
    if (context === undefined) throw new HarnessError('INTERNAL', 'Internal error: nothing is prepared');
    const bus = createEventBus();
    const recorder = createRecorder({ version });
    bus.subscribe(recorder);
    if (this.#options.verbose)
      bus.subscribe(createLiveReporter({ stream: process.stderr, isTty: false, verbose: true }));
    const emit: RunContext['emit'] = (event) => {
      bus.emit(event);
    };
    const relativeFolder = folderOfVariant(`${variant.id} ${run.id}`).slice(0, 200);
    const mutated = { ...variant, id: `${variant.id} ${run.id}` };
    const plan = planVariant(mutated, this.#facts);
    if ('skip' in plan)
      throw new HarnessError('INTERNAL', `Internal error: ${run.id} is skipped: ${plan.skip}`);
    emit({ type: 'run-start', run: run.id, command: run.id, folder });
    await runVariant(
      { ...context, emit, brief: true, timeScale: patience(context.timeScale, run.slowestMs) },
      {
        variant: mutated,
        steps: plan.steps,
        folder: path.join(folder, relativeFolder),
        relativeFolder,
        workDir: environment.workDir,
        repeat: `npx imperm mutate ${variant.scenario.file} --only '${run.id}'`,
      },
    );
    emit({ type: 'run-end', interrupted: signal.aborted });
    bus.close();
    return signal.aborted ? undefined : recorder.record().variants[0];
  }
}

function isPassed({ error, falseAlarms }: ControlResult): boolean {
  return error === undefined && falseAlarms.length === 0;
}

/** By how much limits are multiplied, when it is known how fast the layout is as it is. */
function patience(timeScale: number, slowestMs: number | undefined): number {
  if (slowestMs === undefined || slowestMs === 0) return timeScale;
  const enough = Math.max(LEAST_SCALE, (PATIENCE * slowestMs) / SHORTEST_LIMIT_MS);
  return Math.min(timeScale, Math.ceil(enough * 10) / 10);
}

import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { asHarnessError, Cleanup, EXIT, type Environment, type HarnessError } from '../core/index.js';
import { planVariant, type Plan } from '../plan/index.js';
import { type Attempt, readAttempts, runAttempts } from './attempts.js';
import { createEventBus, createRecorder, exitCodeOf, linkLatest, type RunEvent } from '../record/index.js';
import { createLiveReporter, renderSummary, renderTap, writeReports } from '../report/index.js';
import { prepareRun, runVariant } from '../run/index.js';
import type { Variant } from '../scenario/index.js';
import { ordinaryCpus } from '../target/index.js';
import { readAvailableMemory } from '../host/index.js';
import { chooseGuest, type GuestOptions, renderGuest } from './choose-guest.js';
import {
  chooseTarget,
  describeTarget,
  openChosenTarget,
  reap,
  reapLibvirt,
  renderTarget,
  reserveHardware,
} from './choose-target.js';
import { tellGithub } from './github.js';
import { checkPause, chooseHands, folderOfVariant, type HandsOptions, holdForPerson } from './hands/index.js';
import { confirmHardware } from './hardware.js';
import type { MatrixOptions } from './matrix-command.js';
import type { HostOptions } from './options.js';
import { askForHost, checkOwnHostOptions, type OwnHostOptions, writeHostScenario } from './own-host.js';
import { memoryOf, newRunId, processorBudget, processorsOf, readJobs } from './jobs.js';
import { historyFile, rememberRun } from './remember.js';
import { markRunning } from './running.js';
import { renderError } from './render-error.js';
import { type SelectOptions, selectVariants } from './select.js';
import { readShard, takeShard } from './shard.js';
import { ensureHostPackages } from './set-up.js';
import { withSignals } from './signals.js';

export interface RunOptions
  extends HostOptions, SelectOptions, GuestOptions, OwnHostOptions, MatrixOptions, HandsOptions {
  readonly tap: boolean;
  /** Serial numbers of disks of a real machine that may be overwritten without being asked for. */
  readonly erase?: readonly string[];
  /** Most variants at the same time; default one for each processor. */
  readonly jobs?: string;
  readonly reports: string;
  readonly verbose: boolean;
}

export interface RunSurroundings {
  readonly environment: Environment;
  readonly version: string;
  /** The command line, for the record. */
  readonly words: readonly string[];
  /** Told the run's folder once its reports are written. Standard output is then the caller's. */
  readonly onReport?: (folder: string) => void;
}

/** Runs scenarios and writes reports. @returns The exit code. */
export async function run(
  names: readonly string[],
  options: RunOptions,
  surroundings: RunSurroundings,
): Promise<number> {
  const { environment, version } = surroundings;
  // Before anything is started: a scenario with a mistake in it costs nobody a minute.
  checkOwnHostOptions(names, options);
  const { flake } = options;
  const isOwn = flake !== undefined && names.length === 0;
  const selected = isOwn ? [] : await selectVariants(names, options);
  const jobs = readJobs(options.jobs);
  const attempts = readAttempts(options);
  const shardChoice = await readShard(options);
  const guest = chooseGuest(options);
  const choice = chooseTarget(options);
  const isInteractive = process.stdin.isTTY && process.stdout.isTTY && surroundings.onReport === undefined;
  const hands = chooseHands(options, { isInteractive });
  return withSignals(async (signal) => {
    await ensureHostPackages(options, environment, signal);
    await reap(environment.workDir, signal);
    const target = await openChosenTarget(options, { workDir: environment.workDir, signal });
    if (choice.kind === 'libvirt') await reapLibvirt(choice.uri, signal);
    const { hardware } = target;
    const facts = { guest: guest.kind, ...describeTarget(target) };
    const asked =
      flake === undefined
        ? undefined
        : await askForHost({ ...options, flake, isScenarioGiven: !isOwn }, { environment, signal });
    const runId = newRunId();
    const folder = path.join(path.resolve(options.reports), runId);
    if (asked?.scenario !== undefined) await mkdir(folder, { recursive: true });
    const selection =
      asked?.scenario === undefined
        ? selected
        : await selectVariants([await writeHostScenario(asked.scenario, folder)], options);
    const sharded =
      shardChoice &&
      takeShard(selection, shardChoice, {
        guest: guest.kind,
        lane: options.lane,
        target: choice.kind,
        attempts,
      });
    const variants = sharded?.variants ?? selection;
    const plans = variants.map((variant) => planVariant(variant, { memoryMiB: Infinity, ...facts }));
    checkPause(hands?.pauseAt, plans);
    const planned = plans.filter((plan) => !('skip' in plan)).map(({ variant }) => variant);
    await mkdir(folder, { recursive: true });
    await using cleanup = new Cleanup(() => undefined);
    const running = await markRunning(folder, signal);
    cleanup.push('telling that the run is over', () => running.release());
    if (hardware !== undefined) {
      const lock = await reserveHardware(hardware.host, { workDir: environment.workDir, signal });
      cleanup.push('giving the machine back', () => lock.release());
      await confirmHardware(hardware.host, {
        disks: [...new Set(planned.flatMap(({ scenario }) => scenario.disks.map(({ name }) => name)))],
        erase: options.erase ?? [],
        isInteractive: process.stdin.isTTY && process.stderr.isTTY && !environment.ci,
        signal,
      });
    }
    const color = process.stderr.isTTY && !environment.noColor;
    const bus = createEventBus();
    const recorder = createRecorder({ version });
    bus.subscribe(recorder);
    const live = createLiveReporter({
      stream: process.stderr,
      isTty: process.stderr.isTTY && !environment.ci,
      columns: () => process.stderr.columns || 80,
      color,
      verbose: options.verbose,
    });
    bus.subscribe(live);
    const hold = holdForPerson({
      terminal: { input: process.stdin, output: process.stdout },
      terminalType: environment.terminal,
      say: (line) => process.stderr.write(`${line}\n`),
      quiet: () => live.suspend(),
    });
    const emit = (event: RunEvent): void => {
      bus.emit(event);
    };
    emit({ type: 'run-start', run: runId, command: ['imperm', ...surroundings.words].join(' '), folder });
    if (sharded !== undefined) emit({ type: 'shard', shard: sharded.shard });
    for (const text of shardChoice?.notes ?? []) emit({ type: 'note', level: 'warn', text });
    for (const text of asked?.scenario?.warnings ?? []) emit({ type: 'note', level: 'warn', text });
    let failure: HarnessError | undefined;
    const runAll = async (): Promise<void> => {
      const prepared = await prepareRun({
        environment,
        tools: options.tools,
        accelerator: options.accel,
        target,
        signal,
        emit,
        guest: asked === undefined || guest.kind === 'debian' ? guest : { ...guest, host: asked.host },
        scenarios: planned.map(({ scenario }) => scenario),
      });
      const context = { ...prepared, ...(hands === undefined ? {} : { hands: { ...hands, hold } }) };
      const memoryMiB = facts.memoryMiB ?? (await readAvailableMemory()).availableMiB;
      const cpus = ordinaryCpus(context.host.accelerator.kind === 'kvm');
      const processors = processorBudget(options.jobs, cpus);
      const planOf = (variant: Variant): Plan => planVariant(variant, { memoryMiB, ...facts });
      const whyNot = (plan: Plan): string | undefined =>
        'skip' in plan ? plan.skip : context.guest.whyNot?.(plan.variant.scenario);
      await runAttempts(variants, attempts, {
        limits: { jobs: hardware === undefined ? jobs : 1, memoryMiB, processors },
        memoryMiB: ({ scenario }) => memoryOf(scenario),
        processors: ({ scenario }) => processorsOf(scenario, cpus),
        signal,
        isSkipped: (variant) => whyNot(planOf(variant)) !== undefined,
        runOnce: async (variant, attempt) => {
          await runPlan(planOf(variant), attempt);
          return recorder.verdictOf(attempt.id);
        },
        note: (text) => {
          emit({ type: 'note', level: 'warn', text });
        },
      });
      async function runPlan(plan: Plan, { id, attempt }: Attempt): Promise<void> {
        const numbered = attempt === undefined ? {} : { attempt };
        const relativeFolder = folderOfVariant(id);
        const place = {
          folder: path.join(folder, relativeFolder),
          relativeFolder,
          workDir: environment.workDir,
          repeat: repeatCommand(plan, options),
        };
        const skip = whyNot(plan);
        if ('skip' in plan || skip !== undefined) {
          const { scenario, axes } = plan.variant;
          emit({
            type: 'variant-start',
            variant: id,
            scenario: { name: scenario.name, title: scenario.title, file: scenario.file },
            axes,
            guest: context.guest.name,
            target: target.name,
            folder: relativeFolder,
            repeat: place.repeat,
            ...numbered,
          });
          emit({
            type: 'variant-end',
            variant: id,
            verdict: 'skip',
            ...(skip === undefined ? {} : { reason: skip }),
            machineCpuMs: 0,
          });
          return;
        }
        const variant = { ...plan.variant, id };
        await runVariant(context, { variant, steps: plan.steps, ...place, ...numbered });
      }
    };
    try {
      if (variants.length > 0) await runAll();
      else
        emit({
          type: 'note',
          level: 'warn',
          text: 'There are fewer variants than shards: nothing to run here.',
        });
    } catch (thrown) {
      failure = asHarnessError(thrown);
    }
    emit({ type: 'run-end', interrupted: signal.aborted });
    bus.close();
    const { record, notes: remarks } = await rememberRun(recorder.record(), historyFile(options));
    const notes = [...remarks, ...(await writeReports(record, folder)).notes];
    await linkLatest(folder);
    surroundings.onReport?.(folder);
    const out = options.tap || surroundings.onReport !== undefined ? process.stderr : process.stdout;
    if (options.tap) process.stdout.write(renderTap(record));
    const shown = path.relative(process.cwd(), folder) || '.';
    if (record.variants.length > 0) {
      out.write(
        `\n${renderSummary(record, { color: out.isTTY && !environment.noColor, width: out.columns || 100, folder: shown, proofs: options.verbose })}\n`,
      );
    }
    const told = await tellGithub(record, { environment, folder: shown, out });
    for (const note of [...notes, ...told]) process.stderr.write(`imperm: ${note}\n`);
    if (failure !== undefined && failure.code !== 'INTERRUPTED') {
      process.stderr.write(renderError(failure));
      return failure.exitCode;
    }
    return signal.aborted ? EXIT.interrupted : exitCodeOf(record);
  });
}

function repeatCommand(plan: Plan, options: RunOptions): string {
  const { scenario, choices } = plan.variant;
  const variants = choices.map((choice) => `--variant ${choice}`);
  return [
    'npx imperm run',
    scenario.file,
    ...renderGuest(options),
    ...renderTarget(options),
    ...(options.erase ?? []).map((serial) => `--erase ${serial}`),
    ...variants,
  ].join(' ');
}

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { Budget, type Environment, EXIT, HarnessError, monotonicMs, Redactor } from '../core/index.js';
import { type Plan, planVariant } from '../plan/index.js';
import type { PhaseRecord, RunEvent } from '../record/index.js';
import { openInstaller, prepareRun, type RunContext, runVariant } from '../run/index.js';
import { ANY_HOST } from './list.js';
import { openChosenTarget } from './choose-target.js';
import type { HostOptions } from './options.js';
import { selectVariants } from './select.js';
import { ensureHostPackages } from './set-up.js';
import { withSignals } from './signals.js';

const COMMANDS = 50;
const COMMANDS_LIMIT_MS = 120_000;

/** A figure of one run, and the most it should be on two emulated processors with nothing else running. */
interface Figure {
  readonly name: string;
  readonly unit: 's' | 'ms' | '%';
  readonly goal: number;
  readonly values: number[];
}

export interface BenchOptions extends HostOptions {
  readonly runs: string;
}

/** Measures what people wait for. Prints figures and their ratio to the goal; judges nothing. */
export function bench(options: BenchOptions, environment: Environment): Promise<number> {
  const runs = Number(options.runs);
  if (!Number.isInteger(runs) || runs < 1)
    throw new HarnessError('USAGE', `--runs takes a whole number from 1, not "${options.runs}"`);
  return withSignals(async (signal) => {
    await ensureHostPackages(options, environment, signal);
    const plan = await planDefault();
    const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-bench-'));
    try {
      const target = await openChosenTarget(options, { workDir: environment.workDir, signal });
      const prepare = (emit: (event: RunEvent) => void): Promise<RunContext> =>
        prepareRun({
          environment,
          tools: options.tools,
          accelerator: options.accel,
          target,
          signal,
          emit,
          scenarios: [plan.variant.scenario],
        });
      await prepare(show);
      const startMs = monotonicMs();
      const context = await prepare(() => undefined);
      const figures = makeFigures();
      figures.setUp.values.push((monotonicMs() - startMs) / 1000);
      figures.command.values.push(...(await measureCommands(context, folder)));
      for (let run = 1; run <= runs; run += 1) {
        process.stderr.write(`run ${String(run)} of ${String(runs)}\n`);
        await measureVariant(
          plan,
          context,
          { folder: path.join(folder, String(run)), workDir: environment.workDir },
          figures,
        );
      }
      process.stdout.write(render(Object.values(figures), context));
      return EXIT.ok;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

function show(event: RunEvent): void {
  if (event.type === 'note') process.stderr.write(`${event.text}\n`);
}

type FigureName =
  | 'setUp'
  | 'installer'
  | 'install'
  | 'powerOn'
  | 'reboot'
  | 'command'
  | 'evidence'
  | 'acting'
  | 'overhead'
  | 'wall'
  | 'processor';

function makeFigures(): Record<FigureName, Figure> {
  const figure = (name: string, goal: number, unit: Figure['unit'] = 's'): Figure => ({
    name,
    goal,
    unit,
    values: [],
  });
  return {
    setUp: figure('set-up, everything in the cache', 1),
    installer: figure('installer restored, fresh disk ready', 2),
    install: figure('from partitioning to a bootable disk', 15),
    powerOn: figure('power-on to the first answer', 18),
    reboot: figure('reboot to the first answer', 20),
    command: figure('one command over the kept connection', 35, 'ms'),
    evidence: figure('all evidence of one boot', 2),
    acting: figure('guest ready to harness acting', 250, 'ms'),
    overhead: figure('share of the wall time that is not the machine', 5, '%'),
    wall: figure('whole variant', 120),
    processor: figure('processor time of its machines', 200),
  };
}

async function measureCommands(context: RunContext, folder: string): Promise<number[]> {
  const budget = Budget.start(
    'commands to be measured',
    COMMANDS_LIMIT_MS * context.timeScale,
    context.signal,
  );
  const { machine, shell } = await openInstaller({
    host: context.host,
    installer: context.guest.installer,
    budget,
    redactor: new Redactor(),
    consoleFile: path.join(folder, 'console.log'),
    journalFile: path.join(folder, 'journal.log'),
    onConsoleLine: () => undefined,
    onCleanupError: () => undefined,
  });
  await using running = machine;
  const times: number[] = [];
  for (let index = 0; index < COMMANDS; index += 1) {
    const startMs = monotonicMs();
    await running.until(shell.run('true', budget), budget);
    times.push(monotonicMs() - startMs);
  }
  return times;
}

/** The plan of the default scenario's first variant. */
async function planDefault(): Promise<Extract<Plan, { steps: unknown }>> {
  const [variant] = await selectVariants([], {});
  const plan = variant === undefined ? undefined : planVariant(variant, ANY_HOST);
  if (plan === undefined || 'skip' in plan)
    throw new HarnessError('INTERNAL', 'Internal error: the default scenario cannot be planned');
  return plan;
}

async function measureVariant(
  plan: Extract<Plan, { steps: unknown }>,
  context: RunContext,
  place: { folder: string; workDir: string },
  figures: Record<FigureName, Figure>,
): Promise<void> {
  const phases: PhaseRecord[] = [];
  let verdict = '';
  let processorMs = 0;
  const startMs = monotonicMs();
  const emit = (event: RunEvent): void => {
    if (event.type === 'phase-end') phases.push(event.phase);
    if (event.type === 'variant-end') {
      verdict = `${event.verdict} ${event.reason ?? ''}`.trim();
      processorMs = event.machineCpuMs;
    }
  };
  await runVariant(
    { ...context, emit },
    { variant: plan.variant, steps: plan.steps, ...place, relativeFolder: '.', repeat: '' },
  );
  const wallMs = monotonicMs() - startMs;
  if (verdict !== 'pass')
    throw new HarnessError('HOST_UNFIT', `The measured variant did not pass: ${verdict}`);
  const total = (names: readonly string[], boot?: number): number =>
    phases
      .filter(({ name, boot: of }) => names.includes(name) && (boot === undefined || of === boot))
      .reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  const toAnswer = ['firmware', 'kernel', 'stage-1', 'stage-2'];
  figures.installer.values.push(total(['restore-installer', 'attach-disks']));
  figures.install.values.push(total(['make-system', 'install', 'deploy', 'close-disk']));
  figures.powerOn.values.push(total(toAnswer, 1));
  figures.reboot.values.push(total(['shutdown'], 1) + total(toAnswer, 2));
  for (const { name, durationMs } of phases)
    if (name === 'probe') figures.evidence.values.push(durationMs / 1000);
  for (const boot of [1, 2, 3]) figures.acting.values.push(await readActingMs(place.folder, boot));
  const machineS = total(
    [...new Set(phases.map(({ name }) => name))].filter((name) => name !== 'make-system'),
  );
  figures.overhead.values.push((1 - machineS / (wallMs / 1000)) * 100);
  figures.wall.values.push(wallMs / 1000);
  figures.processor.values.push(processorMs / 1000);
}

/** By the guest's own clock: from "Startup finished" to the moment at which it answers the harness. */
async function readActingMs(folder: string, boot: number): Promise<number> {
  const evidence = JSON.parse(await readFile(path.join(folder, `boot-${String(boot)}.json`), 'utf8')) as {
    uptimeS: number;
    startupFinishedUs?: number;
  };
  return evidence.uptimeS * 1000 - (evidence.startupFinishedUs ?? Number.NaN) / 1000;
}

function render(figures: readonly Figure[], context: RunContext): string {
  const { toolbox, accelerator } = context.host;
  const rows = figures.map(({ name, unit, goal, values }) => {
    const sorted = [...values].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
    const cell = (value: number | undefined): string =>
      `${(value ?? Number.NaN).toFixed(unit === 's' ? 2 : 1)} ${unit}`.padStart(10);
    return `${name.padEnd(48)}${cell(sorted[0])}${cell(median)}${cell(sorted.at(-1))}${cell(goal)}${(median / goal).toFixed(2).padStart(8)}`;
  });
  return [
    `${toolbox.qemuVersion}, ${toolbox.firmwareVersion}, ${accelerator.kind}, ${String(os.availableParallelism())} processors, load ${(os.loadavg()[0] ?? 0).toFixed(1)}`,
    `${''.padEnd(48)}${'min'.padStart(10)}${'median'.padStart(10)}${'max'.padStart(10)}${'goal'.padStart(10)}${'ratio'.padStart(8)}`,
    ...rows,
    '',
  ].join('\n');
}

import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { asHarnessError, Cleanup, type Environment, HarnessError } from '../core/index.js';
import { planVariant } from '../plan/index.js';
import { newRunId } from '../record/index.js';
import type { Variant } from '../scenario/index.js';
import type { TargetChoice } from '../target/index.js';
import { readAttempts } from './attempts.js';
import { chooseGuest, type GuestOptions, renderGuest } from './choose-guest.js';
import { chooseTargets, reap, renderTarget, reserveHardware } from './choose-target.js';
import { checkPause, chooseHands, type HandsOptions } from './hands/index.js';
import { confirmHardware } from './hardware.js';
import { readJobs } from './jobs.js';
import type { MatrixOptions } from './matrix-command.js';
import type { HostOptions } from './options.js';
import { askForHost, checkOwnHostOptions, type OwnHostOptions, writeHostScenario } from './own-host.js';
import { openReporting } from './reporting.js';
import { openHosts, prepareHosts, scenariosOf } from './run-hosts.js';
import { runVariants } from './run-variants.js';
import { markRunning } from './running.js';
import { type SelectOptions, selectVariants } from './select.js';
import { ensureHostPackages } from './set-up.js';
import { readShard, takeShard } from './shard.js';
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
  const { environment } = surroundings;
  // Before anything is started: a scenario with a mistake in it costs nobody a minute.
  checkOwnHostOptions(names, options);
  const { flake } = options;
  const isOwn = flake !== undefined && names.length === 0;
  const selected = isOwn ? [] : await selectVariants(names, options);
  readJobs(options.jobs);
  const attempts = readAttempts(options);
  const shardChoice = await readShard(options);
  const guest = chooseGuest(options);
  const choices = chooseTargets(options);
  if (choices.length > 1 && shardChoice !== undefined)
    throw new HarnessError('USAGE', '--shard and several --connect cannot be together', {
      hint: 'Shards are for hosts that run an imperm each; several libvirts are for one that runs them all.',
    });
  const isInteractive = process.stdin.isTTY && process.stdout.isTTY && surroundings.onReport === undefined;
  const hands = chooseHands(options, { isInteractive });
  return withSignals(async (signal) => {
    await ensureHostPackages(options, environment, signal);
    await reap(environment.workDir, signal);
    const targets = await openHosts(choices, { environment, signal, guest: guest.kind });
    const hardware = targets.find(({ target }) => target.hardware !== undefined)?.target.hardware;
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
        target: options.target ?? 'qemu',
        attempts,
      });
    const variants = sharded?.variants ?? selection;
    const hosts = targets.map((host) => ({
      ...host,
      plans: variants.map((variant) => planVariant(variant, { memoryMiB: Infinity, ...host.facts })),
    }));
    for (const { plans } of hosts) checkPause(hands?.pauseAt, plans);
    await mkdir(folder, { recursive: true });
    await using cleanup = new Cleanup(() => undefined);
    const running = await markRunning(folder, signal);
    cleanup.push('telling that the run is over', () => running.release());
    if (hardware !== undefined) {
      const lock = await reserveHardware(hardware.host, { workDir: environment.workDir, signal });
      cleanup.push('giving the machine back', () => lock.release());
      await confirmHardware(hardware.host, {
        disks: [
          ...new Set(
            hosts.flatMap(({ plans }) =>
              scenariosOf(plans).flatMap(({ disks }) => disks.map(({ name }) => name)),
            ),
          ),
        ],
        erase: options.erase ?? [],
        isInteractive: process.stdin.isTTY && process.stderr.isTTY && !environment.ci,
        signal,
      });
    }
    const reporting = openReporting({ ...options, ...surroundings, folder });
    const { emit } = reporting;
    emit({ type: 'run-start', run: runId, command: ['imperm', ...surroundings.words].join(' '), folder });
    if (sharded !== undefined) emit({ type: 'shard', shard: sharded.shard });
    for (const text of [...(shardChoice?.notes ?? []), ...(asked?.scenario?.warnings ?? [])])
      reporting.warn(text);
    const runAll = async (): Promise<void> => {
      const prepared = await prepareHosts(hosts, {
        ...options,
        environment,
        signal,
        emit,
        guest: asked === undefined || guest.kind === 'debian' ? guest : { ...guest, host: asked.host },
        ...(hands === undefined ? {} : { hands: { ...hands, hold: reporting.hold } }),
        repeatCommand: (variant, choice) => repeatCommand(variant, choice, options),
      });
      await runVariants(variants, {
        hosts: prepared,
        reporting,
        attempts,
        signal,
        ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
        folder,
        workDir: environment.workDir,
      });
    };
    let failure: HarnessError | undefined;
    try {
      if (variants.length > 0) await runAll();
      else reporting.warn('There are fewer variants than shards: nothing to run here.');
    } catch (thrown) {
      failure = asHarnessError(thrown);
    }
    return await reporting.close({
      ...(failure === undefined ? {} : { failure }),
      interrupted: signal.aborted,
    });
  });
}

function repeatCommand({ scenario, choices }: Variant, target: TargetChoice, options: RunOptions): string {
  const variants = choices.map((choice) => `--variant ${choice}`);
  return [
    'npx imperm run',
    scenario.file,
    ...renderGuest(options),
    ...renderTarget(target),
    ...(options.erase ?? []).map((serial) => `--erase ${serial}`),
    ...variants,
  ].join(' ');
}

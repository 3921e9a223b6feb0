import os from 'node:os';
import { readFile } from 'node:fs/promises';

import { Budget, type Environment, monotonicMs } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import type { OwnHost } from '../nix/index.js';
import type { RunEvent } from '../record/index.js';
import type { Scenario } from '../scenario/index.js';
import { chooseAccelerator, type MachineHost, type OpenTarget, realAccelerator } from '../target/index.js';
import type { RunContext } from './context.js';
import { prepareDebianGuest } from './debian-guest.js';
import { type NixosOptions, prepareNixosGuest } from './nixos-guest.js';
import { prepareOwnHostGuest } from './own-host-guest.js';
import { PhaseClock } from './phase-clock.js';

/** Building everything from nothing on a slow machine and a slow line; NixOS is gigabytes of downloads. */
const SET_UP_LIMITS_MS = { debian: 1_800_000, nixos: 4 * 3_600_000 };

export type GuestChoice =
  | { readonly kind: 'debian' }
  | ({
      readonly kind: 'nixos';
      /** Installed whatever the scenarios say. Absent: systems are made of the scenarios. */
      readonly host?: OwnHost;
    } & Pick<NixosOptions, 'medium' | 'systemsFlake' | 'lane'>);

export interface PrepareOptions {
  readonly environment: Environment;
  readonly tools: 'private' | 'host';
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
  /** Where machines run. */
  readonly target: OpenTarget;
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
  /** Default `debian`. */
  readonly guest?: GuestChoice;
  /** Those that will be run: everything is made ready for them. None: only what all have in common. */
  readonly scenarios: readonly Scenario[];
}

export interface PreparedHost {
  readonly host: MachineHost;
  /** Multiplies every limit. */
  readonly timeScale: number;
}

/** Makes ready what every machine needs: tools and accelerator. From the cache, except the first time. */
export async function prepareHost(
  options: Omit<PrepareOptions, 'guest' | 'scenarios'>,
): Promise<PreparedHost> {
  const { emit, signal } = options;
  const budget = Budget.start('the set-up', SET_UP_LIMITS_MS.debian, signal);
  return openHost(options, { budget, phases: new PhaseClock(emit, monotonicMs), note: noteTo(emit) });
}

/**
 * Makes ready what every variant needs: tools, accelerator, images, the saved installer. From the cache, except the
 * first time.
 */
export async function prepareRun(options: PrepareOptions): Promise<RunContext> {
  const { environment, emit, signal } = options;
  const { scenarios, guest: choice = { kind: 'debian' } } = options;
  const budget = Budget.start('the set-up', SET_UP_LIMITS_MS[choice.kind], signal);
  const phases = new PhaseClock(emit, monotonicMs);
  const note = noteTo(emit);
  const onWait = (): void => {
    note('Another imperm is making the same thing; waiting for it.');
  };
  const { host, timeScale } = await openHost(options, { budget, phases, note });
  const { hardware } = options.target;
  const real = hardware === undefined ? {} : { hardware };
  const preparation = { host, phases, budget, signal, emit, note, onWait, ...real };
  const guest =
    choice.kind === 'debian'
      ? await prepareDebianGuest(preparation, { environment, systems: scenarios.map(({ system }) => system) })
      : choice.host === undefined
        ? await prepareNixosGuest(preparation, { ...choice, environment, scenarios })
        : await prepareOwnHostGuest(preparation, { ...choice, host: choice.host, environment });
  return { host, guest, signal, timeScale, emit, ...real };
}

async function openHost(
  options: Omit<PrepareOptions, 'guest' | 'scenarios'>,
  context: {
    readonly budget: Budget;
    readonly phases: PhaseClock;
    readonly note: (text: string) => void;
  },
): Promise<PreparedHost> {
  const { environment, emit } = options;
  const { cacheDir, workDir } = environment;
  const { budget, phases, note } = context;
  const toolbox = await phases.run('tools', () =>
    openToolbox({
      kind: options.tools,
      suite: environment.toolsSuite,
      cacheDir,
      mirror: environment.debianMirror,
      budget,
      onBuild: () => {
        note('Unpacking QEMU, firmware and tools (once, 310 MB).');
      },
    }),
  );
  const { hardware, capacity } = options.target;
  const accelerator =
    hardware === undefined
      ? await phases.run('accelerator', () =>
          chooseAccelerator({
            wanted: options.target.hasKvm ? options.accelerator : 'tcg',
            isRemote: capacity !== undefined,
            toolbox,
            cacheDir,
            workDir,
            budget,
          }),
        )
      : realAccelerator(hardware);
  if (hardware !== undefined) hardware.onNote = note;
  const target = options.target.make(toolbox, accelerator);
  emit({
    type: 'host',
    host: {
      accelerator: accelerator.kind,
      acceleratorReason: accelerator.reason,
      qemu: target.version,
      firmware: hardware?.facts.firmware ?? toolbox.firmwareVersion,
      ...(target.connect === undefined ? {} : { connect: target.connect }),
      cpus: capacity?.cpus ?? os.availableParallelism(),
      memoryMiB: capacity?.totalMiB ?? (await totalMemoryMiB()),
      node: process.version,
    },
  });
  if (accelerator.kind === 'tcg') {
    emit({
      type: 'note',
      level: 'warn',
      text: `Machines are emulated (TCG), about ten times slower than with KVM; every time limit is multiplied by ${String(accelerator.timeScale)}. ${accelerator.reason}`,
    });
  }
  return { host: { target, toolbox, accelerator, workDir }, timeScale: accelerator.timeScale };
}

/** Tells a person what takes so long. */
function noteTo(emit: PrepareOptions['emit']): (text: string) => void {
  return (text) => {
    emit({ type: 'note', level: 'info', text });
  };
}

async function totalMemoryMiB(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Math.round(Number(/^MemTotal:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024);
}

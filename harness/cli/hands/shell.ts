import { Budget, Cleanup, type Environment, EXIT, HarnessError, takeLease } from '../../core/index.js';
import { createEventBus, type RunEvent } from '../../record/index.js';
import { createLiveReporter } from '../../report/index.js';
import {
  type KeptMachine,
  openKeptInstaller,
  PASSPHRASE_FILE,
  powerOnKept,
  prepareHost,
  prepareRun,
  readKept,
} from '../../run/index.js';
import type { Machine, MachineShell } from '../../target/index.js';
import { openChosenTarget, reap } from '../choose-target.js';
import type { HostOptions } from '../options.js';
import { ensureHostPackages } from '../set-up.js';
import { withSignals } from '../signals.js';
import { findRun, findVariant } from './find-run.js';
import { giveConsole, giveShell, type PersonOptions, tellScreen } from './person.js';
import { runCommand } from './run-command.js';

export interface ShellOptions extends Omit<HostOptions, 'target' | 'connect' | 'host'> {
  /** Run instead of a shell for a person. */
  readonly command?: string;
  /** The kept disks themselves are changed. */
  readonly write: boolean;
  /** The installer is booted, with the disks. */
  readonly installer: boolean;
  readonly vnc: boolean;
  readonly reports: string;
}

/** An orderly end of a machine whose disks are kept as it leaves them. */
const POWER_OFF_MS = 60_000;
/** Whoever is thrown out of a machine learns this soon what became of it. */
const FATE_MS = 60_000;

interface Opened {
  readonly machine: Machine;
  /** Absent: the system did not come up, for this reason. */
  readonly shell?: MachineShell;
  readonly why?: HarnessError;
  readonly comeUp?: (from: number) => Promise<MachineShell>;
  readonly timeScale: number;
}

/** Opens a machine that a run has kept. @returns The exit code of the shell or of the command. */
export async function shell(
  run: string | undefined,
  variant: string | undefined,
  options: ShellOptions & Pick<PersonOptions, 'terminalType'>,
  environment: Environment,
): Promise<number> {
  const kept = await findKept(run, variant, options.reports);
  const { command } = options;
  if (command === undefined && !(process.stdin.isTTY && process.stdout.isTTY))
    throw new HarnessError('USAGE', 'A shell wants a terminal, and there is none', {
      hint: 'In a script take --command: its exit code is that of imperm.',
    });
  return withSignals(async (signal) => {
    await using cleanup = new Cleanup((what, error) => {
      process.stderr.write(`imperm: ${what}: ${String(error)}\n`);
    });
    await ensureHostPackages({ ...options, target: 'qemu' }, environment, signal);
    await reap(environment.workDir, signal);
    const lease = await takeLease(environment.workDir);
    cleanup.push('removing what was written', () => lease.release());
    const opened = await open(kept, { ...options, workDir: lease.dir, environment, signal });
    cleanup.push('stopping the machine', () => opened.machine.stop());
    const person: PersonOptions = {
      terminal: { input: process.stdin, output: process.stdout },
      terminalType: options.terminalType,
      say: (line) => process.stderr.write(`${line}\n`),
    };
    const exitCode = await use(kept, opened, { ...options, person, signal });
    if (options.write && opened.shell !== undefined) await powerOff(opened, signal);
    return exitCode;
  });
}

async function findKept(
  run: string | undefined,
  variant: string | undefined,
  reports: string,
): Promise<KeptMachine> {
  const folder = await findVariant(await findRun(run, reports), variant, {
    what: 'a kept machine',
    hint: 'Disks are kept by `imperm run --keep` (of variants that fail) and `imperm run --keep=always`.',
    has: async (each) => (await readKept(each).catch(() => ({}))) !== undefined,
  });
  const kept = await readKept(folder);
  if (kept === undefined) throw new HarnessError('INTERNAL', `Internal error: nothing is kept in ${folder}`);
  return kept;
}

async function open(
  kept: KeptMachine,
  options: ShellOptions & {
    readonly workDir: string;
    readonly environment: Environment;
    readonly signal: AbortSignal;
  },
): Promise<Opened> {
  const { environment, signal, command } = options;
  const bus = createEventBus();
  const isTty = process.stderr.isTTY && !environment.ci;
  const columns = (): number => process.stderr.columns || 80;
  bus.subscribe(createLiveReporter({ stream: process.stderr, isTty, columns }));
  const emit = (event: RunEvent): void => {
    bus.emit(event);
  };
  try {
    const target = await openChosenTarget({}, { workDir: environment.workDir, signal });
    const { tools, accel: accelerator } = options;
    const prepare = { environment, tools, accelerator, target, signal, emit };
    if (options.installer) {
      const context = await prepareRun({ ...prepare, scenarios: [] });
      const { machine, shell: root } = await openKeptInstaller(kept, context, options);
      return { machine, shell: root, timeScale: context.timeScale };
    }
    const host = await prepareHost(prepare);
    emit({ type: 'note', level: 'info', text: `Powering on ${kept.variant} as its run left it.` });
    emit({ type: 'phase-start', name: 'boot' });
    const { machine, comeUp } = await powerOnKept(kept, host, { ...options, emit });
    const { timeScale } = host;
    try {
      return { machine, shell: await comeUp(0), comeUp, timeScale };
    } catch (error) {
      // A person can still look at what there is; a command has nowhere to run.
      if (command !== undefined || !(error instanceof HarnessError) || error.code === 'INTERRUPTED') {
        await machine.stop();
        throw error instanceof HarnessError && error.code !== 'INTERRUPTED' ? withWayIn(error) : error;
      }
      return {
        machine,
        why: error,
        timeScale,
        ...(machine.shell === undefined ? {} : { shell: machine.shell }),
      };
    }
  } finally {
    bus.close();
  }
}

function withWayIn(error: HarnessError): HarnessError {
  return new HarnessError(error.code, error.message, {
    hint: 'With --installer the installer is booted instead, and shows the disks.',
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}

async function use(
  kept: KeptMachine,
  opened: Opened,
  options: ShellOptions & { readonly person: PersonOptions; readonly signal: AbortSignal },
): Promise<number> {
  const { machine, why } = opened;
  const { person, signal, command, installer, write } = options;
  const { say } = person;
  const budget = Budget.start('a command in the machine', Infinity, signal);
  if (command !== undefined && opened.shell !== undefined)
    return runCommand(opened.shell, command, budget, process);
  const lasting = write
    ? 'What you change stays on the kept disks.'
    : 'What you change is gone when you leave (--write keeps it).';
  say(`== ${kept.variant}${installer ? ', in the installer' : ''} ==`);
  if (installer) say(`Its disks: lsblk. LUKS passphrase: ${PASSPHRASE_FILE}.`);
  if (why !== undefined) say(`${why.message}.`);
  tellScreen(machine, say);
  say(`${lasting} Ctrl-] leaves at once.`);
  let { shell: root } = opened;
  while (root !== undefined) {
    const reset = machine.waitForReset(budget).then(() => 'reset' as const);
    const off = machine.waitForPowerOff(budget).then(() => 'off' as const);
    for (const fate of [reset, off]) fate.catch(() => undefined);
    const end = await giveShell(root, person, signal).catch((error: unknown) => {
      if (error instanceof HarnessError && error.code === 'MACHINE_UNREACHABLE') return 'lost' as const;
      throw error;
    });
    if (end === undefined) return EXIT.ok;
    if (end !== 'lost' && end.signal === undefined) return end.exitCode;
    const limitMs = FATE_MS * opened.timeScale;
    const fate = await Budget.start('the machine to go', limitMs, signal).race(Promise.race([reset, off]));
    if (fate === 'off' || opened.comeUp === undefined) return EXIT.ok;
    say('The machine starts again; the passphrase is typed.');
    root = await opened.comeUp(machine.console.position);
  }
  await giveConsole(machine, person, { secrets: kept.secrets, signal });
  return EXIT.unavailable;
}

/** So that all that was written is on the disks. A machine that is off already stays so. */
async function powerOff({ machine, timeScale }: Opened, signal: AbortSignal): Promise<void> {
  const budget = Budget.start('the machine to power off', POWER_OFF_MS * timeScale, signal);
  const off = machine.waitForPowerOff(budget);
  off.catch(() => undefined);
  if (machine.shell !== undefined)
    await Promise.race([off, machine.sendCommand('systemctl poweroff', budget).catch(() => undefined)]);
  await off;
}

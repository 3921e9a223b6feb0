import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import {
  Budget,
  cachedFolder,
  describeFailure,
  digestOf,
  HarnessError,
  Redactor,
  wallClockMs,
} from '../core/index.js';
import {
  type BootSource,
  type ColdBoot,
  type ConsoleLine,
  type MachineDisk,
  type MachineKeys,
  type MachineShell,
  type MachineSpec,
  makeMachineKeys,
  makeNonce,
  type MachineHost,
  Machine,
} from '../target/index.js';
import { LIMITS_MS } from './budgets.js';
import type { PreparationContext } from './preparation.js';

const MEMORY_MIB = 2048;

/** A medium that boots into root's shell, with everything in its memory or on a CD. */
export interface InstallerMedium {
  readonly boot: ColdBoot;
  readonly cdrom?: string;
  /** Default 2048. */
  readonly memoryMiB?: number;
  /** Digest of what decides what the files hold. */
  readonly key: string;
  /** Run once it is up, before its state is saved: every copy has it. */
  readonly preload: string;
  /** Brings the agent into a medium that has none. */
  readonly bringAgent?: (machine: Machine, keys: MachineKeys, budget: Budget) => Promise<void>;
}

/** The booted installer as a file: restored in a moment, as often as wanted, each time with other disks. */
export interface SavedInstaller {
  readonly medium: InstallerMedium;
  readonly stateFile: string;
  /** Of the saved agent. */
  readonly keys: MachineKeys;
}

/** What a machine is installed from, and looked into. */
export type Installer =
  | SavedInstaller
  /** What the firmware of a real machine starts by itself. */
  | { readonly medium: 'real'; readonly keys: MachineKeys };

/**
 * The saved state from the cache, made by booting the medium once when there is none for it, this QEMU and this
 * accelerator.
 */
export async function prepareInstaller(
  medium: InstallerMedium,
  options: Omit<PreparationContext, 'budget'> & { readonly cacheDir: string },
): Promise<SavedInstaller> {
  const { host } = options;
  const scale = host.accelerator.timeScale;
  const spec = machineSpec(medium, medium.boot);
  const key = digestOf(
    '3',
    medium.key,
    host.target.version,
    host.toolbox.firmwareVersion,
    os.cpus()[0]?.model ?? '',
    medium.preload,
    host.target.describeShape(spec),
  );
  const budget = Budget.start('the installer to boot', LIMITS_MS.coldInstaller * scale, options.signal);
  const { dir } = await options.phases.run('installer', () =>
    cachedFolder({
      cacheDir: options.cacheDir,
      name: 'installer',
      key,
      budget,
      onWait: options.onWait,
      build: async (part) => {
        options.note('Booting the installer to keep its state (once).');
        const keys = makeMachineKeys();
        await using machine = await Machine.start(host, spec, {
          budget,
          keys,
          redactor: new Redactor(),
          consoleFile: path.join(part, 'console.log'),
          journalFile: path.join(part, 'journal.log'),
          onConsoleLine: (line) => {
            options.emit({ type: 'console', line: line.text });
          },
          onCleanupError: (what, error) => {
            options.emit({ type: 'note', level: 'warn', text: `${what}: ${describeFailure(error)}` });
          },
        });
        const step = (label: string): Budget =>
          budget.part(label, budget.remainingMs, { lastSeen: () => machine.console.tail() });
        await medium.bringAgent?.(machine, keys, step('the medium to log its user in'));
        await machine.waitForAgent(step('the installer to boot'));
        const shell = await machine.openShell(step('the installer to answer'));
        await machine.until(shell.run(medium.preload, budget), step('the installer to load its modules'));
        await machine.closeShell(step('the installer to wait again'));
        await machine.saveState(path.join(part, 'state'), step('the state of the installer to be saved'));
        await writeFile(path.join(part, 'keys.json'), JSON.stringify(keys), { mode: 0o600 });
      },
    }),
  );
  return {
    medium,
    stateFile: path.join(dir, 'state'),
    keys: JSON.parse(await readFile(path.join(dir, 'keys.json'), 'utf8')) as MachineKeys,
  };
}

function machineSpec(medium: InstallerMedium, boot: BootSource): MachineSpec {
  const { cdrom, memoryMiB = MEMORY_MIB } = medium;
  return { memoryMiB, boot, disks: [], nonce: makeNonce(), ...(cdrom === undefined ? {} : { cdrom }) };
}

export interface OpenInstallerOptions {
  readonly host: MachineHost;
  readonly installer: Installer;
  readonly budget: Budget;
  readonly redactor: Redactor;
  readonly nvramFile?: string;
  /** Disks that are there when the installer boots. It is then booted and not restored. */
  readonly fixedDisks?: readonly MachineDisk[];
  readonly consoleFile: string;
  readonly journalFile: string;
  readonly onConsoleLine: (line: ConsoleLine) => void;
  readonly onCleanupError: (what: string, error: unknown) => void;
}

/** A running copy of the installer and root's shell in it. */
export async function openInstaller(
  options: OpenInstallerOptions,
): Promise<{ machine: Machine; shell: MachineShell }> {
  const { installer } = options;
  return installer.medium === 'real'
    ? enterInstaller(options, installer.keys)
    : startInstaller(options, installer);
}

/** A real machine comes back into its installer, wherever it was. */
async function enterInstaller(
  options: OpenInstallerOptions,
  keys: MachineKeys,
): Promise<{ machine: Machine; shell: MachineShell }> {
  const { host, budget } = options;
  const spec: MachineSpec = {
    memoryMiB: MEMORY_MIB,
    boot: { from: 'installer' },
    disks: [],
    nonce: makeNonce(),
  };
  const machine = await Machine.start(host, spec, { ...options, keys });
  try {
    await machine.waitForAgent(budget);
    return { machine, shell: await machine.openShell(budget) };
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

/** A copy of its own, restored from the saved state where that can be. */
async function startInstaller(
  options: OpenInstallerOptions,
  { medium, stateFile, keys }: SavedInstaller,
): Promise<{ machine: Machine; shell: MachineShell }> {
  const { budget, fixedDisks, host } = options;
  const { target } = host;
  const reservation = fixedDisks === undefined ? await target.reserveState?.(stateFile, budget) : undefined;
  // Where one machine alone can have the state, whoever comes second boots the medium instead of waiting.
  const isCold = fixedDisks !== undefined || (target.reserveState !== undefined && reservation === undefined);
  const spec: MachineSpec = {
    ...machineSpec(medium, isCold ? medium.boot : { from: 'state', stateFile, began: medium.boot }),
    ...(fixedDisks === undefined ? {} : { disks: fixedDisks }),
    ...(options.nvramFile === undefined ? {} : { nvramFile: options.nvramFile }),
  };
  const machine = await Machine.start(host, spec, {
    ...options,
    keys,
    ...(reservation === undefined ? {} : { reservation }),
  });
  try {
    if (isCold) {
      await medium.bringAgent?.(machine, keys, budget);
      await machine.waitForAgent(budget);
    }
    const shell = await machine.openShell(budget);
    if (isCold) await shell.run(medium.preload, budget);
    // The saved clock stands still, and all copies hold the same host key: the nonce tells them apart.
    const nonce = await shell.run(
      `date -s @${String(Math.round(wallClockMs() / 1000))} >/dev/null; cat /sys/firmware/qemu_fw_cfg/by_name/opt/imperm/nonce/raw`,
      budget,
    );
    if (nonce !== spec.nonce)
      throw new HarnessError('WRONG_MACHINE', 'The installer that answers is not the one that was started');
    return { machine, shell };
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import {
  Budget,
  cachedFolder,
  describeFailure,
  digestOf,
  HarnessError,
  monotonicMs,
  Redactor,
} from '../core/index.js';
import type { RunEvent } from '../record/index.js';
import {
  type BootSource,
  type ConsoleLine,
  type MachineDisk,
  type MachineKeys,
  type MachineShell,
  type MachineSpec,
  machineShape,
  makeMachineKeys,
  makeNonce,
  type QemuHost,
  QemuMachine,
} from '../target/index.js';
import { EMULATED_KERNEL, LIMITS_MS } from './budgets.js';
import type { PhaseClock } from './phase-clock.js';

const MEMORY_MIB = 2048;

/** A kernel with the whole installer in its memory. */
export interface InstallerKernel {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
  /** Default 2048. */
  readonly memoryMiB?: number;
  /** Digest of what decides what the files hold. */
  readonly key: string;
  /** Run once, before the state is saved: every copy has it. */
  readonly preload: string;
}

/** What the installer is started from, every time with other disks. */
export type InstallerBoot =
  /** The booted installer as a file: restored in a moment, as often as wanted. */
  | {
      readonly from: 'state';
      readonly boot: Extract<BootSource, { from: 'state' }>;
      readonly memoryMiB: number;
      readonly keys: MachineKeys;
      readonly preload: string;
    }
  /** A CD, started anew every time. */
  | {
      readonly from: 'medium';
      readonly cdrom: string;
      /** Absent: the firmware starts the boot loader of the CD. */
      readonly kernel?: { readonly kernel: string; readonly initrd: string; readonly commandLine: string };
      readonly memoryMiB: number;
      /** Brings the agent into a medium that has none. */
      readonly bringAgent?: (machine: QemuMachine, keys: MachineKeys, budget: Budget) => Promise<void>;
    };

export interface PrepareInstallerOptions {
  readonly host: QemuHost;
  readonly cacheDir: string;
  readonly phases: PhaseClock;
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
  readonly note: (text: string) => void;
  readonly onWait: () => void;
}

/**
 * The saved state from the cache, made by booting the installer once when there is none for this kernel, this QEMU and
 * this accelerator.
 */
export async function prepareInstaller(
  source: InstallerKernel,
  options: PrepareInstallerOptions,
): Promise<InstallerBoot> {
  const { host } = options;
  const { kernel, initrd, preload, memoryMiB = MEMORY_MIB } = source;
  const scale = host.accelerator.timeScale;
  const commandLine = `${source.commandLine}${scale > 1 ? ` ${EMULATED_KERNEL}` : ''}`;
  const cold = { kernel, initrd, commandLine };
  const spec: MachineSpec = { memoryMiB, boot: { from: 'kernel', ...cold }, disks: [], nonce: makeNonce() };
  const key = digestOf(
    '2',
    source.key,
    host.toolbox.qemuVersion,
    host.toolbox.firmwareVersion,
    os.cpus()[0]?.model ?? '',
    preload,
    machineShape(spec, host.accelerator),
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
        await using machine = await QemuMachine.start(host, spec, {
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
        await machine.waitForAgent(step('the installer to boot'));
        const shell = await machine.openShell(step('the installer to answer'));
        await machine.until(shell.run(preload, budget), step('the installer to load its modules'));
        await machine.closeShell(step('the installer to wait again'));
        await machine.saveState(path.join(part, 'state'), step('the state of the installer to be saved'));
        await writeFile(path.join(part, 'keys.json'), JSON.stringify(keys), { mode: 0o600 });
      },
    }),
  );
  return {
    from: 'state',
    boot: { from: 'state', ...cold, stateFile: path.join(dir, 'state') },
    memoryMiB,
    keys: JSON.parse(await readFile(path.join(dir, 'keys.json'), 'utf8')) as MachineKeys,
    preload,
  };
}

export interface OpenInstallerOptions {
  readonly host: QemuHost;
  readonly boot: InstallerBoot;
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

/** Whether the installer is booted, and not restored from a file, when it gets these disks. */
export function isBootedAnew(boot: InstallerBoot, fixedDisks: readonly MachineDisk[] | undefined): boolean {
  return boot.from === 'medium' || fixedDisks !== undefined;
}

/** A running copy of the installer and root's shell in it. */
export async function openInstaller(
  options: OpenInstallerOptions,
): Promise<{ machine: QemuMachine; shell: MachineShell }> {
  const { boot, budget, fixedDisks } = options;
  const isAnew = isBootedAnew(boot, fixedDisks);
  const spec: MachineSpec = {
    memoryMiB: boot.memoryMiB,
    disks: fixedDisks ?? [],
    nonce: makeNonce(),
    ...describeBoot(boot, isAnew),
    ...(options.nvramFile === undefined ? {} : { nvramFile: options.nvramFile }),
  };
  const keys = boot.from === 'state' ? boot.keys : makeMachineKeys();
  const machine = await QemuMachine.start(options.host, spec, { ...options, keys });
  try {
    if (boot.from === 'medium') await boot.bringAgent?.(machine, keys, budget);
    if (isAnew) await machine.waitForAgent(budget);
    const shell = await machine.openShell(budget);
    if (isAnew) await shell.run(boot.from === 'state' ? boot.preload : MEDIUM_PRELOAD, budget);
    // The saved clock stands still, and all copies hold the same host key: the nonce tells them apart.
    const nonce = await shell.run(
      `date -s @${String(Math.round((performance.timeOrigin + monotonicMs()) / 1000))} >/dev/null; cat /sys/firmware/qemu_fw_cfg/by_name/opt/imperm/nonce/raw`,
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

/** Whoever installs from a medium by hand has these, too. */
const MEDIUM_PRELOAD = `modprobe -a qemu_fw_cfg efivarfs
mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
`;

function describeBoot(boot: InstallerBoot, isAnew: boolean): Pick<MachineSpec, 'boot' | 'cdrom'> {
  if (boot.from === 'state') return { boot: isAnew ? { ...boot.boot, from: 'kernel' } : boot.boot };
  const { cdrom, kernel } = boot;
  return { cdrom, boot: kernel === undefined ? { from: 'disk' } : { from: 'kernel', ...kernel } };
}

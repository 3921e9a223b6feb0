import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { Budget, cachedFolder, digestOf, HarnessError, monotonicMs, Redactor } from '../core/index.js';
import type { InstallerImages } from '../guest/index.js';
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

const MEMORY_MIB = 2048;

/** Loaded before the state is saved: every copy has it. */
const PRELOAD = `set -e
modprobe -a qemu_fw_cfg efivarfs btrfs ext4 vfat nls_cp437 nls_ascii nls_iso8859_1 dm_crypt xts aesni_intel
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
for tool in cryptsetup btrfs parted bootctl mkfs.vfat sgdisk; do "$tool" --version >/dev/null 2>&1 || true; done
`;

/** The booted installer as a file: restored in a moment, as often as wanted, each time with fresh disks. */
export interface InstallerState {
  readonly boot: Extract<BootSource, { from: 'state' }>;
  readonly keys: MachineKeys;
}

export interface PrepareInstallerOptions {
  readonly host: QemuHost;
  readonly images: InstallerImages;
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly onBuild: () => void;
  readonly onWait: () => void;
  readonly onConsoleLine: (line: ConsoleLine) => void;
  readonly onCleanupError: (what: string, error: unknown) => void;
}

function machineSpec(boot: BootSource): MachineSpec {
  return { memoryMiB: MEMORY_MIB, boot, disks: [], nonce: makeNonce() };
}

/**
 * The saved state from the cache, made by booting the installer once when there is none for these images, this QEMU
 * and this accelerator.
 */
export async function prepareInstaller(options: PrepareInstallerOptions): Promise<InstallerState> {
  const { host, images } = options;
  const scale = host.accelerator.timeScale;
  const cold = {
    kernel: images.kernel,
    initrd: images.initrd,
    commandLine: `console=ttyS0 rdinit=/usr/lib/systemd/systemd ${scale > 1 ? `${EMULATED_KERNEL} ` : ''}systemd.show_status=1`,
  };
  const key = digestOf(
    '1',
    images.key,
    host.toolbox.qemuVersion,
    host.toolbox.firmwareVersion,
    os.cpus()[0]?.model ?? '',
    PRELOAD,
    machineShape(machineSpec({ from: 'kernel', ...cold }), host.accelerator),
  );
  const budget = Budget.start('the installer to boot', LIMITS_MS.coldInstaller * scale, options.signal);
  const { dir } = await cachedFolder({
    cacheDir: options.cacheDir,
    name: 'installer',
    key,
    budget,
    onWait: options.onWait,
    build: async (part) => {
      options.onBuild();
      const keys = makeMachineKeys();
      await using machine = await QemuMachine.start(host, machineSpec({ from: 'kernel', ...cold }), {
        budget,
        keys,
        redactor: new Redactor(),
        consoleFile: path.join(part, 'console.log'),
        journalFile: path.join(part, 'journal.log'),
        onConsoleLine: options.onConsoleLine,
        onCleanupError: options.onCleanupError,
      });
      const step = (label: string): Budget =>
        budget.part(label, budget.remainingMs, { lastSeen: () => machine.console.tail() });
      await machine.waitForAgent(step('the installer to boot'));
      const shell = await machine.openShell(step('the installer to answer'));
      await machine.until(shell.run(PRELOAD, budget), step('the installer to load its modules'));
      await machine.closeShell(step('the installer to wait again'));
      await machine.saveState(path.join(part, 'state'), step('the state of the installer to be saved'));
      await writeFile(path.join(part, 'keys.json'), JSON.stringify(keys), { mode: 0o600 });
    },
  });
  return {
    boot: { from: 'state', ...cold, stateFile: path.join(dir, 'state') },
    keys: JSON.parse(await readFile(path.join(dir, 'keys.json'), 'utf8')) as MachineKeys,
  };
}

export interface OpenInstallerOptions {
  readonly host: QemuHost;
  readonly state: InstallerState;
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
): Promise<{ machine: QemuMachine; shell: MachineShell }> {
  const { fixedDisks, state } = options;
  const boot: BootSource = fixedDisks === undefined ? state.boot : { ...state.boot, from: 'kernel' };
  const spec = {
    ...machineSpec(boot),
    ...(fixedDisks === undefined ? {} : { disks: fixedDisks }),
    ...(options.nvramFile === undefined ? {} : { nvramFile: options.nvramFile }),
  };
  const machine = await QemuMachine.start(options.host, spec, { ...options, keys: options.state.keys });
  try {
    if (fixedDisks !== undefined) await machine.waitForAgent(options.budget);
    const shell = await machine.openShell(options.budget);
    if (fixedDisks !== undefined) await shell.run(PRELOAD, options.budget);
    // The saved clock stands still, and all copies hold the same host key: the nonce tells them apart.
    const nonce = await shell.run(
      `date -s @${String(Math.round((performance.timeOrigin + monotonicMs()) / 1000))} >/dev/null; cat /sys/firmware/qemu_fw_cfg/by_name/opt/imperm/nonce/raw`,
      options.budget,
    );
    if (nonce !== spec.nonce)
      throw new HarnessError('WRONG_MACHINE', 'The installer that answers is not the one that was started');
    return { machine, shell };
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

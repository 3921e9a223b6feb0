import { copyFile, cp } from 'node:fs/promises';
import path from 'node:path';

import { Budget, describeFailure, Redactor, wallClockMs } from '../core/index.js';
import { ConsoleWatch } from '../probe/index.js';
import type { RunEvent } from '../record/index.js';
import { Machine, makeMachineKeys, makeNonce, type MachineShell } from '../target/index.js';
import { typeUntilAgent } from './boot-machine.js';
import { LIMITS_MS } from './budgets.js';
import type { RunContext } from './context.js';
import { AT_ONCE } from './fault-state.js';
import { givePassphrase } from './install.js';
import { openWithDisks } from './inspect.js';
import { type KeptMachine, NVRAM_NAME, TPM_NAME } from './kept-machine.js';
import type { MachineParts } from './machine-parts.js';
import { specAtPowerOn } from './power-on-spec.js';
import type { PreparedHost } from './prepare.js';

export interface OpenKeptOptions {
  /** For what is gone afterwards: what is written, the console. */
  readonly workDir: string;
  /** What is written goes to the kept disks themselves. Otherwise to copies that show them. */
  readonly write: boolean;
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
}

/** A kept machine that is on. */
export interface OpenedKept {
  readonly machine: Machine;
  /** Settles when the system answers, and types the passphrase until then. @throws As `typeUntilAgent`. */
  readonly comeUp: (from: number) => Promise<MachineShell>;
}

/**
 * Powers a kept machine on, as its run did.
 *
 * @param options.vnc Its screen is shown to VNC viewers.
 * @throws {HarnessError} MACHINE_DIED, also when another machine has the disks; TOOL_FAILED; INTERRUPTED.
 */
export async function powerOnKept(
  kept: KeptMachine,
  { host, timeScale }: PreparedHost,
  options: OpenKeptOptions & { readonly vnc: boolean },
): Promise<OpenedKept> {
  const { signal, emit, vnc, workDir } = options;
  const { machine: hardware, secureBoot, stage1, consoleAllow, secrets } = kept;
  const limitMs = LIMITS_MS.firmware + LIMITS_MS.kernel + LIMITS_MS.stage1 + LIMITS_MS.stage2;
  const limit = (label: string, lastSeen: () => string): Budget =>
    Budget.start(label, limitMs * timeScale, signal, { lastSeen });
  const budget = limit('the machine to be powered on', () => '');
  const parts = await takeParts(kept, host, { ...options, budget });
  const watch = new ConsoleWatch(consoleAllow);
  const spec = specAtPowerOn(parts, {
    ...{ hardware, secureBoot, timeScale, vnc },
    nonce: makeNonce(),
    nowMs: wallClockMs(),
  });
  const machine = await Machine.start(host, spec, {
    budget,
    keys: makeMachineKeys(),
    redactor: redactorOf(kept),
    consoleFile: path.join(workDir, 'console.log'),
    journalFile: path.join(workDir, 'journal.log'),
    judge: (line) => {
      const finding = watch.see(line);
      return finding?.severity === 'fatal' && finding.allowed === undefined
        ? { kind: finding.class, text: finding.text }
        : undefined;
    },
    onConsoleLine: (line) => {
      emit({ type: 'console', line: line.text });
    },
    onCleanupError: (what, error) => {
      emit({ type: 'note', level: 'warn', text: `${what}: ${describeFailure(error)}` });
    },
  });
  const comeUp = async (from: number): Promise<MachineShell> => {
    const part = limit('the kept system to answer', () => machine.console.tail());
    const { passphrase } = secrets;
    const { shell } = await typeUntilAgent(machine, { part, passphrase, stage1, from });
    // A command is to find all that the system mounts and starts; whether units fail is for whoever looks.
    await machine.until(shell.execute('systemctl is-system-running --wait', part), part);
    return shell;
  };
  return { machine, comeUp };
}

/**
 * Starts a copy of the installer with the disks of a kept machine.
 *
 * @returns The names of its disks there, `/dev/vda`, in their order.
 * @throws As `powerOnKept`.
 */
export async function openKeptInstaller(
  kept: KeptMachine,
  context: RunContext,
  options: Omit<OpenKeptOptions, 'emit'>,
): ReturnType<typeof openWithDisks> {
  const { host, timeScale } = context;
  const limitMs = LIMITS_MS.coldInstaller * timeScale;
  const budget = Budget.start('the installer to show the disks', limitMs, options.signal);
  const parts = await takeParts(kept, host, { ...options, budget });
  const opened = await openWithDisks(
    parts,
    { ...context, redactor: redactorOf(kept), folder: options.workDir, variant: kept.variant },
    { budget, log: 'installer' },
  );
  try {
    await givePassphrase(opened.shell, kept.secrets, budget);
    return opened;
  } catch (error) {
    await opened.machine.stop();
    throw error;
  }
}

function redactorOf({ secrets }: KeptMachine): Redactor {
  const redactor = new Redactor();
  for (const secret of Object.values(secrets)) redactor.add(secret);
  return redactor;
}

/** The machine's parts: the kept ones, or copies that take what is written. */
async function takeParts(
  kept: KeptMachine,
  { toolbox }: PreparedHost['host'],
  options: Pick<OpenKeptOptions, 'workDir' | 'write'> & { readonly budget: Budget },
): Promise<Pick<MachineParts, 'disks' | 'faults' | 'nvramFile' | 'tpmDir'>> {
  const { folder, hasTpm, clock } = kept;
  const { workDir, write, budget } = options;
  const keptNvram = path.join(folder, NVRAM_NAME);
  const keptTpm = path.join(folder, TPM_NAME);
  const nvramFile = write ? keptNvram : path.join(workDir, NVRAM_NAME);
  const tpmDir = write ? keptTpm : path.join(workDir, TPM_NAME);
  if (!write) {
    await copyFile(keptNvram, nvramFile);
    if (hasTpm) await cp(keptTpm, tpmDir, { recursive: true, force: true });
  }
  const disks = [];
  for (const { isAbsent: _absent, rate: _rate, ...disk } of kept.disks) {
    const file = path.join(folder, disk.file);
    if (write) {
      disks.push({ ...disk, file });
      continue;
    }
    const copy = path.join(workDir, `${disk.name}.qcow2`);
    const args = ['create', '-q', '-f', 'qcow2', '-b', file, '-F', disk.format, copy];
    await toolbox.run('qemu-img', args, budget);
    disks.push({ ...disk, file: copy, format: 'qcow2' as const });
  }
  return {
    disks,
    nvramFile,
    ...(hasTpm ? { tpmDir } : {}),
    faults: {
      absent: new Set(kept.disks.filter(({ isAbsent }) => isAbsent).map(({ name }) => name)),
      clones: [],
      rates: new Map(kept.disks.flatMap(({ name, rate }) => (rate === undefined ? [] : [[name, rate]]))),
      typing: AT_ONCE,
      ...(clock === undefined ? {} : { clock }),
    },
  };
}

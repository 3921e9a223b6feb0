import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';

import {
  Budget,
  Cleanup,
  HarnessError,
  lastLines,
  type Redactor,
  type RunningProgram,
  startProgram,
  takeLease,
} from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import type { Accelerator } from './accelerator.js';
import { AgentPort } from './agent-port.js';
import { type ConsoleLine, MachineConsole } from './console.js';
import { chooseFirmwareCode } from './firmware-code.js';
import { writeFirmwareStrings } from './firmware-strings.js';
import { JournalRecorder } from './journal.js';
import type { ConsoleJudge, MachineDisk, MachineFault, MachineSpec } from './machine.js';
import { restoreMachineState, saveMachineState } from './machine-state.js';
import { describeProcessors } from './processor-state.js';
import { processorMs } from './processor-time.js';
import { blockNode, deviceName, DISK_SLOTS, diskDevice, nodeName, qemuArguments } from './qemu-arguments.js';
import { QmpClient } from './qmp.js';
import type { MachineKeys, MachineShell } from './shell.js';
import { listenOn } from './socket.js';
import { type RunningTpm, startTpm } from './tpm.js';

/** QEMU itself starts, connects its sockets and answers within this; nothing of the guest is in it. */
const QEMU_START_MS = 20_000;
const STOP_MS = 10_000;

export interface QemuHost {
  readonly toolbox: Toolbox;
  readonly accelerator: Accelerator;
  readonly workDir: string;
}

export interface StartOptions {
  readonly budget: Budget;
  readonly keys: MachineKeys;
  readonly redactor: Redactor;
  /** Receives every console line with its time. */
  readonly consoleFile: string;
  /** Receives the journal of the machine, from stage 1 on, as it is written. */
  readonly journalFile: string;
  readonly judge?: ConsoleJudge;
  readonly onConsoleLine?: (line: ConsoleLine) => void;
  /** Receives every line of the forwarded journal. */
  readonly onJournalLine?: (line: string) => void;
  readonly onCleanupError: (what: string, error: unknown) => void;
}

/** A QEMU machine from power-on until it is stopped. */
export class QemuMachine implements AsyncDisposable {
  readonly console: MachineConsole;
  readonly nvramFile: string;
  readonly #qmp: QmpClient;
  readonly #port: AgentPort;
  readonly #qemu: RunningProgram;
  readonly #keys: MachineKeys;
  readonly #cleanup: Cleanup;
  readonly #slots: (string | undefined)[];
  readonly #fault: Promise<never>;
  readonly #poweredOff: Promise<void>;
  #raiseFault: (error: HarnessError) => void = () => undefined;
  #shell: MachineShell | undefined;
  #stopping = false;
  #lastProcessorMs = 0;

  private constructor(parts: {
    spec: MachineSpec;
    console: MachineConsole;
    qmp: QmpClient;
    port: AgentPort;
    qemu: RunningProgram;
    keys: MachineKeys;
    cleanup: Cleanup;
    nvramFile: string;
    logFile: string;
  }) {
    this.console = parts.console;
    this.nvramFile = parts.nvramFile;
    this.#qmp = parts.qmp;
    this.#port = parts.port;
    this.#qemu = parts.qemu;
    this.#keys = parts.keys;
    this.#cleanup = parts.cleanup;
    this.#slots = Array.from({ length: DISK_SLOTS }, (_, slot) => parts.spec.disks[slot]?.name);
    this.#fault = new Promise<never>((_resolve, reject) => {
      this.#raiseFault = reject;
    });
    this.#fault.catch(() => undefined);
    void parts.qemu.ended.then(async (end) => {
      if (this.#stopping) return;
      const words = await readFile(parts.logFile, 'utf8').catch(() => '');
      this.#raiseFault(
        new HarnessError(
          'MACHINE_DIED',
          `QEMU ended by itself (${end.signal ?? `exit code ${String(end.exitCode)}`})`,
          {
            details: [lastLines(words, 10), this.console.tail()].filter((text) => text !== '').join('\n'),
          },
        ),
      );
    });
    this.#poweredOff = new Promise((resolve) => {
      this.#qmp.onEvent(({ event, data }) => {
        if (event === 'SHUTDOWN') resolve();
        if (event === 'RESET') this.#endShell();
        if (event === 'GUEST_PANICKED') this.fail({ kind: 'kernel-panic', text: 'The kernel panicked' });
        if (event === 'BLOCK_IO_ERROR')
          this.fail({ kind: 'disk-error', text: `A disk of the machine failed: ${String(data['reason'])}` });
      });
    });
  }

  /**
   * Powers a machine on.
   *
   * @throws {HarnessError} MACHINE_DIED with QEMU's own words when it does not start.
   */
  static async start(host: QemuHost, spec: MachineSpec, options: StartOptions): Promise<QemuMachine> {
    const cleanup = new Cleanup(options.onCleanupError);
    try {
      const lease = await takeLease(host.workDir);
      cleanup.push('removing the work folder', () => lease.release());
      const sockets = await listenOn(lease.dir, ['qmp', 'serial', 'journal', 'agent'], cleanup);
      const nvramFile = spec.nvramFile ?? path.join(lease.dir, 'nvram.fd');
      if (spec.nvramFile === undefined) await copyFile(host.toolbox.firmwareVars, nvramFile);
      const budget = options.budget.part('QEMU to start', QEMU_START_MS);
      // On before the machine, off after it.
      const tpm =
        spec.tpmDir === undefined
          ? undefined
          : await startTpm(host.toolbox, { stateDir: spec.tpmDir, lease, budget });
      if (tpm !== undefined) cleanup.push('stopping the TPM', () => tpm.stop());
      const logFile = path.join(lease.dir, 'qemu.log');
      const { args, env } = host.toolbox.command(
        'qemu-system-x86_64',
        qemuArguments(spec, {
          accelerator: host.accelerator,
          firmwareCode: chooseFirmwareCode(host.toolbox, spec),
          nvramFile,
          sockets: {
            qmp: sockets.qmp.path,
            serial: sockets.serial.path,
            journal: sockets.journal.path,
            agent: sockets.agent.path,
          },
          ...(tpm === undefined ? {} : { tpmSocket: tpm.socket }),
          firmwareStrings: await writeFirmwareStrings(lease.dir, spec, options.keys),
        }),
      );
      // Closed after QEMU has ended, and therefore pushed before it: what the machine said last is then still read.
      let machineConsole: MachineConsole | undefined = undefined;
      let journal: JournalRecorder | undefined = undefined;
      cleanup.push('closing the console', () => machineConsole?.close());
      cleanup.push('closing the journal', () => journal?.close());
      const qemu = startProgram(args, { logFile, env });
      cleanup.push('stopping QEMU', async () => {
        qemu.kill('SIGKILL');
        await qemu.ended;
      });
      await lease.noteProcess(qemu.pid);
      const died = qemu.ended.then(async (end): Promise<never> => {
        const words = await readFile(logFile, 'utf8').catch(() => '');
        throw new HarnessError(
          'MACHINE_DIED',
          `QEMU did not start (${end.signal ?? `exit code ${String(end.exitCode)}`})`,
          {
            details: lastLines(words, 10),
          },
        );
      });
      died.catch(() => undefined);
      // A socket that closes is only how a death is noticed first; QEMU's own words follow with its end.
      const orDeath = <T>(promise: Promise<T>): Promise<T> =>
        Promise.race([promise, died]).catch((error: unknown) =>
          error instanceof HarnessError && error.code === 'MACHINE_DIED'
            ? budget.race(died)
            : Promise.reject(error as Error),
        );
      const serial = await orDeath(sockets.serial.accept(budget));
      machineConsole = new MachineConsole(serial, {
        logFile: options.consoleFile,
        redactor: options.redactor,
        onLine: (line) => {
          options.onConsoleLine?.(line);
          const fault = options.judge?.(line);
          if (fault !== undefined) machine?.fail(fault);
        },
      });
      let machine: QemuMachine | undefined = undefined;
      journal = new JournalRecorder(await orDeath(sockets.journal.accept(budget)), {
        logFile: options.journalFile,
        redactor: options.redactor,
        ...(options.onJournalLine === undefined ? {} : { onLine: options.onJournalLine }),
      });
      const port = new AgentPort(await orDeath(sockets.agent.accept(budget)));
      const qmp = await orDeath(sockets.qmp.accept(budget).then((socket) => QmpClient.start(socket, budget)));
      cleanup.push('closing the control channel', () => {
        qmp.close();
      });
      machine = new QemuMachine({
        spec,
        console: machineConsole,
        qmp,
        port,
        qemu,
        keys: options.keys,
        cleanup,
        nvramFile,
        logFile,
      });
      machine.#watchTpm(tpm);
      if (spec.boot.from === 'state')
        await machine.until(restoreMachineState(qmp, spec.boot.stateFile, options.budget), options.budget);
      return machine;
    } catch (error) {
      await cleanup.release();
      throw error;
    }
  }

  /** Waits for `promise`; the end of the machine or a fault on its console ends the wait at once. */
  until<T>(promise: Promise<T>, budget: Budget): Promise<T> {
    // A socket that closes is only how a death is noticed first; QEMU's own words follow with its end.
    return budget.race(
      Promise.race([promise, this.#fault]).catch((error: unknown) =>
        error instanceof HarnessError && error.code === 'MACHINE_DIED' && !this.#stopping
          ? this.#fault
          : Promise.reject(error as Error),
      ),
    );
  }

  /** Ends every wait on this machine with an error that shows the console. */
  fail(fault: MachineFault): void {
    this.#raiseFault(new HarnessError('CONSOLE_FAILURE', fault.text, { details: this.console.tail() }));
  }

  /** A machine that loses its TPM is no longer the one under test. */
  #watchTpm(tpm: RunningTpm | undefined): void {
    void tpm?.ended.then((error) => {
      if (!this.#stopping) this.#raiseFault(error);
    });
  }

  /** Settles when the agent in the machine waits to be asked. */
  waitForAgent(budget: Budget): Promise<void> {
    return this.until(this.#port.waitForGreeting(budget), budget);
  }

  /** Root's shell in the machine. The agent must be waiting. */
  async openShell(budget: Budget): Promise<MachineShell> {
    this.#shell = await this.until(this.#port.openShell(this.#keys, budget), budget);
    return this.#shell;
  }

  /** Closes the shell and waits until the agent greets again: the state in which a machine can be saved. */
  async closeShell(budget: Budget): Promise<void> {
    // Not `#endShell`: the port stays as it is, or a quick greeting would be forgotten.
    const shell = this.#shell;
    this.#shell = undefined;
    if (shell !== undefined) await this.until(shell.end(), budget);
    await this.waitForAgent(budget);
  }

  /** Gives a command that ends the connection by its effect: a reboot. */
  async sendCommand(command: string, budget: Budget): Promise<void> {
    const shell = this.#shell;
    if (shell === undefined)
      throw new HarnessError('MACHINE_UNREACHABLE', 'There is no connection to the machine');
    await shell.execute(command, budget).catch((error: unknown) => {
      if (!(error instanceof HarnessError) || error.code !== 'MACHINE_UNREACHABLE') throw error;
    });
  }

  /** Settles at the next reset of the machine. Call it before causing the reset. */
  async waitForReset(budget: Budget): Promise<void> {
    const reset = this.#qmp.waitForEvent(({ event }) => event === 'RESET');
    await this.until(reset, budget);
  }

  /** Settles when the guest has powered itself off and all that it wrote is in the files of its disks. */
  async waitForPowerOff(budget: Budget): Promise<void> {
    await this.until(this.#poweredOff, budget);
    // QEMU tells of the end before it writes out what it holds of the disks, and answers afterwards: a kernel that
    // hibernates does not ask its disk to flush.
    await this.until(this.#qmp.execute('query-status', {}, budget), budget);
  }

  /** Plugs a disk into the running machine. */
  async attachDisk(disk: MachineDisk, budget: Budget): Promise<void> {
    const slot = this.#slots.indexOf(undefined);
    if (slot < 0)
      throw new HarnessError('INTERNAL', `Internal error: no slot left for the disk ${disk.name}`);
    await this.#qmp.execute('blockdev-add', blockNode(disk), budget);
    await this.#qmp.execute('device_add', diskDevice(disk, slot), budget);
    this.#slots[slot] = disk.name;
  }

  /** Unplugs a disk and closes its file. */
  async detachDisk(name: string, budget: Budget): Promise<void> {
    const slot = this.#slots.indexOf(name);
    if (slot < 0) throw new HarnessError('INTERNAL', `Internal error: the disk ${name} is not attached`);
    const gone = this.#qmp.waitForEvent(
      ({ event, data }) => event === 'DEVICE_DELETED' && data['device'] === deviceName(name),
    );
    await this.#qmp.execute('device_del', { id: deviceName(name) }, budget);
    await this.until(gone, budget.part(`the machine to let go of the disk ${name}`, budget.remainingMs));
    await this.#qmp.execute('blockdev-del', { 'node-name': nodeName(name) }, budget);
    this.#slots[slot] = undefined;
  }

  /** A picture of the screen as a PNG file. */
  async screenshot(file: string, budget: Budget): Promise<void> {
    await this.#qmp.execute('screendump', { filename: file, format: 'png' }, budget);
  }

  /** Where every processor is, whether it waits, and what its interrupt controller and timer have pending. */
  readonly describeProcessors = (budget: Budget): Promise<string> => describeProcessors(this.#qmp, budget);

  /** Writes the state of the running machine to a file, for `BootSource.from = 'state'`, and leaves it paused. */
  async saveState(file: string, budget: Budget): Promise<void> {
    await this.until(saveMachineState(this.#qmp, file, budget), budget);
  }

  /** Processor time of QEMU so far, user and system; after the end, until shortly before it. */
  get processorMs(): number {
    this.#lastProcessorMs = processorMs(this.#qemu.pid) ?? this.#lastProcessorMs;
    return this.#lastProcessorMs;
  }

  /** Cuts the power and removes everything of this machine but its disks. */
  async stop(): Promise<void> {
    this.#lastProcessorMs = this.processorMs;
    this.#stopping = true;
    this.#endShell();
    await this.#cleanup.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Ends the shell; the agent in the machine then greets again. */
  #endShell(): void {
    this.#shell?.close();
    this.#shell = undefined;
    this.#port.reset();
  }

  /** Time for ending things, whatever became of the run. */
  static stopBudget(): Budget {
    return Budget.start('the machine to stop', STOP_MS, new AbortController().signal);
  }
}

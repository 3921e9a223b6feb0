import { copyFile } from 'node:fs/promises';
import path from 'node:path';

import { Budget, Cleanup, HarnessError, type Lock, type Redactor, takeLease } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import type { Accelerator } from './accelerator.js';
import { AgentPort } from './agent-port.js';
import { type ConsoleLine, MachineConsole } from './console.js';
import { chooseFirmwareCode } from './firmware-code.js';
import { writeFirmwareStrings } from './firmware-strings.js';
import { JournalRecorder } from './journal.js';
import type { ConsoleJudge, MachineDisk, MachineFault, MachineSpec } from './machine-spec.js';
import type { MachineKeys, MachineShell } from './shell.js';
import { listenOn } from './socket.js';
import type { Hypervisor, HypervisorEvent, Target } from './target.js';
import { type RunningTpm, startTpm } from './tpm.js';

/**
 * The hypervisor starts, connects the machine's lines and answers within this; nothing of the guest is in it. libvirt
 * first asks a QEMU that it does not know what it can do.
 */
const START_MS = 60_000;
const STOP_MS = 10_000;
/** libvirt tells of a machine's end only after all that belongs to it has gone. */
const LAST_WORDS_MS = 10_000;
/** Asking for the processor time must not hold anything up. */
const PROCESSOR_TIME_MS = 2000;

export interface MachineHost {
  readonly target: Target;
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
  /** Of the state that it starts from; released when the machine has ended. */
  readonly reservation?: Lock;
}

/** A machine from power-on until it is stopped, on any target. */
export class Machine implements AsyncDisposable {
  readonly console: MachineConsole;
  readonly nvramFile: string;
  /** A Unix socket on which a VNC viewer sees the screen; absent: nobody asked for one. */
  readonly vncSocket: string | undefined;
  readonly #hypervisor: Hypervisor;
  readonly #port: AgentPort;
  readonly #keys: MachineKeys;
  readonly #cleanup: Cleanup;
  readonly #fault: Promise<never>;
  #raiseFault: (error: HarnessError) => void = () => undefined;
  readonly #resets = new Set<() => void>();
  readonly #poweredOff: Promise<void>;
  #noteOff: () => void = () => undefined;
  #shell: MachineShell | undefined;
  #stopping = false;
  #lastProcessorMs = 0;

  private constructor(parts: {
    readonly console: MachineConsole;
    readonly hypervisor: Hypervisor;
    readonly port: AgentPort;
    readonly keys: MachineKeys;
    readonly cleanup: Cleanup;
    readonly nvramFile: string;
    readonly vncSocket: string | undefined;
  }) {
    this.console = parts.console;
    this.nvramFile = parts.nvramFile;
    this.vncSocket = parts.vncSocket;
    this.#hypervisor = parts.hypervisor;
    this.#port = parts.port;
    this.#keys = parts.keys;
    this.#cleanup = parts.cleanup;
    this.#fault = new Promise<never>((_resolve, reject) => {
      this.#raiseFault = reject;
    });
    this.#fault.catch(() => undefined);
    this.#poweredOff = new Promise((resolve) => {
      this.#noteOff = resolve;
    });
  }

  /**
   * Powers a machine on.
   *
   * @throws {HarnessError} MACHINE_DIED with the hypervisor's own words when it does not start.
   */
  static async start(host: MachineHost, spec: MachineSpec, options: StartOptions): Promise<Machine> {
    const cleanup = new Cleanup(options.onCleanupError);
    try {
      const { reservation } = options;
      if (reservation !== undefined) cleanup.push('giving the state back', () => reservation.release());
      const lease = await takeLease(host.workDir);
      cleanup.push('removing the work folder', () => lease.release());
      const sockets = await listenOn(lease.dir, ['serial', 'journal', 'agent'], cleanup);
      const nvramFile = spec.nvramFile ?? path.join(lease.dir, 'nvram.fd');
      const vncSocket = spec.vnc === true ? path.join(lease.dir, 'vnc') : undefined;
      if (spec.nvramFile === undefined) await copyFile(host.toolbox.firmwareVars, nvramFile);
      const budget = options.budget.part('the machine to be put together', START_MS);
      // On before the machine, off after it.
      const tpm =
        spec.tpmDir === undefined
          ? undefined
          : await startTpm(host.toolbox, { stateDir: spec.tpmDir, lease, budget });
      if (tpm !== undefined) cleanup.push('stopping the TPM', () => tpm.stop());
      // Closed after the machine has ended, and therefore pushed before it: what it said last is then still read.
      let machineConsole: MachineConsole | undefined = undefined;
      let journal: JournalRecorder | undefined = undefined;
      cleanup.push('closing the console', () => machineConsole?.close());
      cleanup.push('closing the journal', () => journal?.close());
      let machine: Machine | undefined = undefined;
      // Of what comes before there is a machine to tell, only its end is of interest.
      let see: (event: HypervisorEvent) => void = () => undefined;
      let tellEnd: (error: HarnessError) => void = () => undefined;
      const ended = new Promise<never>((_resolve, reject) => {
        tellEnd = reject;
      });
      ended.catch(() => undefined);
      const hypervisor = await host.target.powerOn(spec, {
        lease,
        lines: { serial: sockets.serial.path, journal: sockets.journal.path, agent: sockets.agent.path },
        firmwareCode: chooseFirmwareCode(host.toolbox, spec),
        nvramFile,
        ...(vncSocket === undefined ? {} : { vncSocket }),
        ...(tpm === undefined ? {} : { tpmSocket: tpm.socket }),
        firmwareStrings: await writeFirmwareStrings(lease.dir, spec, options.keys),
        keys: options.keys,
        cleanup,
        budget,
        onEvent: (event) => {
          if (event.kind === 'ended') tellEnd(event.error);
          see(event);
        },
      });
      const orEnd = <T>(promise: Promise<T>): Promise<T> => budget.race(Promise.race([promise, ended]));
      machineConsole = new MachineConsole(await orEnd(sockets.serial.accept(budget)), {
        logFile: options.consoleFile,
        redactor: options.redactor,
        onLine: (line) => {
          options.onConsoleLine?.(line);
          const fault = options.judge?.(line);
          if (fault !== undefined) machine?.fail(fault);
        },
      });
      journal = new JournalRecorder(await orEnd(sockets.journal.accept(budget)), {
        logFile: options.journalFile,
        redactor: options.redactor,
        ...(options.onJournalLine === undefined ? {} : { onLine: options.onJournalLine }),
      });
      const port = new AgentPort(await orEnd(sockets.agent.accept(budget)));
      const { keys } = options;
      machine = new Machine({
        console: machineConsole,
        hypervisor,
        port,
        keys,
        cleanup,
        nvramFile,
        vncSocket,
      });
      const started = machine;
      see = (event) => {
        started.#see(event);
      };
      machine.#watch(ended);
      if (tpm !== undefined) machine.#watchTpm(tpm, ended);
      await machine.until(hypervisor.run(options.budget), options.budget);
      return machine;
    } catch (error) {
      await cleanup.release();
      throw error;
    }
  }

  /** Waits for `promise`; the end of the machine or a fault on its console ends the wait at once. */
  until<T>(promise: Promise<T>, budget: Budget): Promise<T> {
    // A line that closes is only how a death is noticed first; the hypervisor's own words follow with its end.
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

  /** Settles when the agent in the machine waits to be asked. */
  waitForAgent(budget: Budget): Promise<void> {
    return this.until(this.#port.waitForGreeting(budget), budget);
  }

  /** Root's shell that is open in it; undefined before the agent was asked, and after a reset. */
  get shell(): MachineShell | undefined {
    return this.#shell;
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
    // Where the hypervisor forgets a machine that is off, nobody can be asked afterwards.
    await this.#noteProcessorTime();
    await shell.execute(command, budget).catch((error: unknown) => {
      if (!(error instanceof HarnessError) || error.code !== 'MACHINE_UNREACHABLE') throw error;
    });
  }

  /**
   * Has the next reset by the guest end the machine, as its powering off does.
   *
   * @returns Whether it will; a real machine goes on.
   */
  async endAtReset(budget: Budget): Promise<boolean> {
    if (this.#hypervisor.endAtReset === undefined) return false;
    await this.until(this.#hypervisor.endAtReset(budget), budget);
    return true;
  }

  /** Settles at the next reset of the machine. Call it before causing the reset. */
  async waitForReset(budget: Budget): Promise<void> {
    let note: () => void = () => undefined;
    const reset = new Promise<void>((resolve) => {
      note = resolve;
      this.#resets.add(resolve);
    });
    try {
      await this.until(reset, budget);
    } finally {
      this.#resets.delete(note);
    }
  }

  /** Settles when the guest has powered itself off and all that it wrote is in the files of its disks. */
  async waitForPowerOff(budget: Budget): Promise<void> {
    await this.until(this.#poweredOff, budget);
  }

  /** What the machine starts after its next shutdown. */
  async bootInto(place: 'installer' | 'system', budget: Budget): Promise<void> {
    await this.#hypervisor.bootInto?.(place, budget);
  }

  /** Plugs a disk into the running machine. */
  attachDisk(disk: MachineDisk, budget: Budget): Promise<void> {
    return this.until(this.#hypervisor.attachDisk(disk, budget), budget);
  }

  /** Unplugs a disk and closes its file. */
  detachDisk(name: string, budget: Budget): Promise<void> {
    const part = budget.part(`the machine to let go of the disk ${name}`, budget.remainingMs);
    return this.until(this.#hypervisor.detachDisk(name, part), part);
  }

  /** A picture of the screen as a PNG file. */
  screenshot(file: string, budget: Budget): Promise<void> {
    return this.#hypervisor.takeScreenshot(file, budget);
  }

  /** Where every processor is, whether it waits, and what its interrupt controller and timer have pending. */
  readonly describeProcessors = (budget: Budget): Promise<string> =>
    this.#hypervisor.describeProcessors(budget);

  /** Writes the state of the running machine to a file, for `BootSource.from = 'state'`. The machine does not go on. */
  async saveState(file: string, budget: Budget): Promise<void> {
    await this.until(this.#hypervisor.saveState(file, budget), budget);
  }

  /** Processor time that the machine took, user and system; of one that has ended, until shortly before its end. */
  get processorMs(): number {
    return this.#lastProcessorMs;
  }

  /** Cuts the power and removes everything of this machine but its disks. */
  async stop(): Promise<void> {
    await this.#noteProcessorTime();
    this.#stopping = true;
    this.#endShell();
    await this.#cleanup.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #see(event: HypervisorEvent): void {
    if (event.kind === 'fault') this.fail(event.fault);
    if (event.kind === 'powered-off') this.#noteOff();
    if (event.kind !== 'reset') return;
    this.#endShell();
    for (const note of [...this.#resets]) note();
  }

  /** What ends the machine ends every wait on it, with the console shown. */
  #watch(end: Promise<never>): void {
    end.catch((error: unknown) => {
      if (this.#stopping || !(error instanceof HarnessError)) return;
      const details = [error.details ?? '', this.console.tail()].filter((text) => text !== '').join('\n');
      const hint = error.hint === undefined ? {} : { hint: error.hint };
      this.#raiseFault(new HarnessError(error.code, error.message, { ...hint, details }));
    });
  }

  /** A machine that loses its TPM is no longer the one under test. One that ends loses it, too, and says so itself. */
  #watchTpm(tpm: RunningTpm, ended: Promise<never>): void {
    void tpm.ended.then(async (error) => {
      if (this.#stopping) return;
      const budget = Budget.start('the machine to tell its end', LAST_WORDS_MS, new AbortController().signal);
      const isItsEnd = await budget.race(Promise.race([this.#poweredOff, ended])).then(
        () => true,
        (thrown: unknown) => thrown instanceof HarnessError && thrown.code !== 'TIMEOUT',
      );
      if (!isItsEnd) this.#watch(Promise.reject(error));
    });
  }

  async #noteProcessorTime(): Promise<void> {
    const budget = Budget.start('the processor time', PROCESSOR_TIME_MS, new AbortController().signal);
    const usedMs = await this.#hypervisor.readProcessorMs(budget).catch(() => undefined);
    this.#lastProcessorMs = usedMs ?? this.#lastProcessorMs;
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

import path from 'node:path';

import { type Budget, describeFailure, HarnessError, wallClockMs } from '../core/index.js';
import type { ConsoleWatch } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { Machine } from '../target/index.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { makeIdentity, type MachineIdentity } from './identity.js';
import type { MachineParts } from './machine-parts.js';
import { specAtPowerOn } from './power-on-spec.js';
import { watchSilence } from './silence.js';

interface PoweredMachine extends MachineIdentity {
  readonly machine: Machine;
  /** How far its clock is off; absent: it is right. */
  readonly clockShiftMs?: number;
}

/** The power switch of the machine under test. Its disks and its firmware variables outlast every power cut. */
export class MachinePower {
  /** Processor time of the machines that have ended. */
  usedMs = 0;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #watch: ConsoleWatch;
  #powered: PoweredMachine | undefined;
  #asleep: MachineIdentity | undefined;
  #isOverlooked = false;
  readonly #watchers = new Set<(line: string) => void>();

  constructor(scenario: Scenario, context: VariantContext, watch: ConsoleWatch) {
    this.#scenario = scenario;
    this.#context = context;
    this.#watch = watch;
  }

  get machine(): Machine {
    return this.#running.machine;
  }

  get isOn(): boolean {
    return this.#powered !== undefined;
  }

  /** What the running machine has to answer when asked who it is. */
  get nonce(): string {
    return this.#running.nonce;
  }

  /** The console's last lines, empty when the power is off. */
  readonly consoleTail = (): string => this.#powered?.machine.console.tail() ?? '';

  async on(parts: MachineParts): Promise<void> {
    await this.#start(parts, parts.identity ?? makeIdentity());
  }

  /** @param onLine Receives every line of the console and of the forwarded journal. @returns To be called at the end. */
  watch(onLine: (line: string) => void): () => void {
    this.#watchers.add(onLine);
    return () => this.#watchers.delete(onLine);
  }

  /**
   * What the running machine says from now on is no failure of its: its power is about to go, and how far it comes until then is
   * chance.
   */
  overlook(): void {
    this.#isOverlooked = true;
  }

  /** Puts the system to sleep on its disk. The machine is off afterwards. */
  async hibernate(boot: number): Promise<void> {
    const { machine, keys, nonce } = this.#running;
    await this.#shutDown(boot, 'hibernate', (part) => machine.waitForPowerOff(part));
    await this.cut();
    this.#asleep = { keys, nonce };
  }

  /**
   * Powers on a machine whose system sleeps on its disk. The system knows what it was told when it booted, so that is
   * told again.
   */
  async resume(parts: MachineParts): Promise<void> {
    if (this.#asleep === undefined) throw new HarnessError('INTERNAL', 'Internal error: nothing hibernates');
    await this.#start(parts, this.#asleep);
  }

  async #start(parts: MachineParts, identity: MachineIdentity): Promise<void> {
    const { keys, nonce } = identity;
    const tell = (line: string): void => {
      for (const watcher of [...this.#watchers]) watcher(line);
    };
    this.#isOverlooked = false;
    const { host, folder, redactor, emit, variant, timeScale, budget, hands, hardware: real } = this.#context;
    const { machine: hardware, system } = this.#scenario;
    const nowMs = wallClockMs();
    const spec = specAtPowerOn(parts, {
      hardware,
      secureBoot: system.secureBoot !== undefined,
      nonce,
      timeScale,
      vnc: hands?.vnc === true,
      nowMs,
    });
    const machine = await Machine.start(host, spec, {
      budget,
      keys,
      redactor,
      consoleFile: path.join(folder, 'console.log'),
      journalFile: path.join(folder, 'journal.log'),
      judge: (line) => {
        const finding = this.#isOverlooked ? undefined : this.#watch.see(line);
        return finding?.severity === 'fatal' && finding.allowed === undefined
          ? { kind: finding.class, text: finding.text }
          : undefined;
      },
      onConsoleLine: (line) => {
        emit({ type: 'console', variant, line: line.text });
        tell(line.text);
      },
      onJournalLine: tell,
      onCleanupError: (what, error) => {
        emit({ type: 'note', level: 'warn', text: `${what}: ${describeFailure(error)}` });
      },
    });
    const clockShiftMs = spec.clockMs === undefined ? undefined : spec.clockMs - nowMs;
    this.#powered = { machine, keys, nonce, ...(clockShiftMs === undefined ? {} : { clockShiftMs }) };
    // A real machine whose console nobody shows us says nothing, ever.
    if (real !== undefined && real.host.console === undefined) return;
    watchSilence(machine, {
      folder,
      isOver: () => this.#powered?.machine !== machine,
      isHeld: () => budget.isStopped,
      onSilence: (silentMs, lastLine) => {
        emit({ type: 'silence', variant, seconds: Math.round(silentMs / 1000), lastLine });
      },
    });
  }

  /** Ends the machine at once, as when its power fails. Nothing happens when it is off. */
  async cut(): Promise<void> {
    const powered = this.#powered;
    this.#powered = undefined;
    if (powered === undefined) return;
    await powered.machine.stop();
    this.usedMs += powered.machine.processorMs;
  }

  /**
   * An orderly reboot, up to the moment at which the firmware takes over, or at which that is noticed: a real machine may
   * be further by then.
   *
   * A virtual machine ends when its guest resets it, and is started anew with what outlasts a reset. In place, an emulated one
   * finds its memory full of code that it has translated, and takes up to 40 s in the firmware instead of 2.
   *
   * @returns Where on the console the next boot is to be looked for.
   */
  async reboot(boot: number, parts: MachineParts): Promise<number> {
    const { machine, clockShiftMs } = this.#running;
    const { position } = machine.console;
    if (!(await machine.endAtReset(this.#context.budget))) {
      await this.#shutDown(boot, 'reboot', (part) => machine.waitForReset(part));
      return position;
    }
    await this.#shutDown(boot, 'reboot', (part) => machine.waitForPowerOff(part));
    await this.cut();
    // No power was lost: the clock goes on as it was.
    const faults =
      clockShiftMs === undefined ? parts.faults : { ...parts.faults, clock: { shiftMs: clockShiftMs } };
    await this.on({ ...parts, faults });
    return 0;
  }

  /** An orderly end. The machine is off afterwards. */
  async off(boot: number): Promise<void> {
    const { machine } = this.#running;
    const { offVerb } = this.#context.host.target;
    await machine.bootInto('installer', this.#context.budget);
    await this.#shutDown(boot, offVerb, (part) => machine.waitForPowerOff(part));
    await this.cut();
  }

  get #running(): PoweredMachine {
    if (this.#powered === undefined) throw new HarnessError('INTERNAL', 'Internal error: the machine is off');
    return this.#powered;
  }

  /** Tells the system to go, and waits until the machine has. */
  async #shutDown(
    boot: number,
    verb: 'reboot' | 'poweroff' | 'hibernate',
    waitForEnd: (budget: Budget) => Promise<void>,
  ): Promise<void> {
    const { budget, phases, timeScale, hardware } = this.#context;
    await phases.run(
      'shutdown',
      async () => {
        const limitMs = LIMITS_MS.shutdown + (hardware === undefined ? 0 : LIMITS_MS.realBoot);
        const part = budget.part(`the machine to ${verb}`, limitMs * timeScale, {
          lastSeen: this.consoleTail,
        });
        const ended = waitForEnd(part);
        // Either may come first: the machine goes while the command still runs.
        await Promise.race([ended, this.machine.sendCommand(`systemctl ${verb}`, part)]);
        await ended;
      },
      boot,
    );
  }
}

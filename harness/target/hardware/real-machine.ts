import { Budget, HarnessError } from '../../core/index.js';
import type { HardwareHost } from '../../scenario/index.js';
import type { MachineKeys, MachineShell } from '../shell.js';
import {
  type BootVariables,
  readBootVariables,
  removeEntry,
  setBootNext,
  setBootOrder,
} from './boot-variables.js';
import { connectHost, openSocket } from './connect.js';
import { runHostCommand } from './programs.js';

/** Whoever switches a machine off or on: a switch and its network, no more. */
const SWITCH_MS = 60_000;

/** As long as a machine without power is asked whether it is there. */
const STILL_MS = 2000;

/** What is known of the machine between two visits. */
export type Whereabouts =
  | 'installer'
  | 'system'
  | 'off'
  /** It may run, hang, or wait for somebody. */
  | 'unknown';

/** What is asked of the installer before anything is planned. */
export interface HardwareFacts {
  /** Vendor and name, as the firmware tells them. */
  readonly model: string;
  readonly firmware: string;
  readonly memoryMiB: number;
  readonly variables: BootVariables;
  readonly bootId: string;
  readonly hasTpm: boolean;
}

export type InstallerKeys = Pick<MachineKeys, 'clientPrivate' | 'hostPublic'>;

/** A machine whose installer has answered. */
export interface AskedHost {
  readonly host: HardwareHost;
  readonly keys: InstallerKeys;
  readonly facts: HardwareFacts;
}

/**
 * A real machine. It is one machine for a whole run, so one variant at a time; and it has to come back by itself: the
 * installer stays the first that its firmware starts, and what is under test is started once at a time (BootNext). A
 * machine that hangs and loses its power is in its installer again.
 */
export class RealMachine {
  readonly host: HardwareHost;
  readonly facts: HardwareFacts;
  readonly installerKeys: InstallerKeys;
  /** It is in its installer on the way to the system under test. */
  isOnDetour = false;
  /** Tells a person what to do. */
  onNote: (text: string) => void = () => undefined;
  readonly #bootIds = new Map<'installer' | 'system', string>();
  /** It starts the system under test the next time, whoever resets it. */
  #isArmed = false;
  #whereabouts: Whereabouts = 'installer';
  /** The firmware's entry of the system under test, while there is one. */
  #entry: string | undefined;

  constructor({ host, facts, keys }: AskedHost) {
    this.host = host;
    this.facts = facts;
    this.installerKeys = keys;
    this.#bootIds.set('installer', facts.bootId);
  }

  get whereabouts(): Whereabouts {
    return this.#whereabouts;
  }

  /** What the firmware starts by itself. */
  get installerEntry(): string {
    return this.facts.variables.current;
  }

  /** The firmware's entry of the installed system. */
  get systemEntry(): string {
    if (this.#entry === undefined)
      throw new HarnessError('INTERNAL', 'Internal error: nothing is installed on the machine');
    return this.#entry;
  }

  /**
   * Learns which entry the boot loader's installer has made, and puts the installer before it again.
   *
   * @param shell Of the installer, after the install.
   * @throws {HarnessError} INSTALL_FAILED when there is no new entry.
   */
  async noteInstalled(shell: MachineShell, budget: Budget): Promise<void> {
    const now = await readBootVariables(shell, budget);
    const known = new Set(this.facts.variables.entries);
    const entry = now.order.find((each) => !known.has(each)) ?? now.entries.find((each) => !known.has(each));
    if (entry === undefined) {
      throw new HarnessError(
        'INSTALL_FAILED',
        'The firmware has no entry for the installed system: it kept none of what the boot loader wrote',
        { hint: 'Is its variable store full or read-only? `efibootmgr -v` in the installer shows it.' },
      );
    }
    this.#entry = entry;
    const rest = now.order.filter((each) => each !== this.installerEntry);
    await setBootOrder([this.installerEntry, ...rest], shell, budget);
  }

  /** Gives the firmware its own order back, without the entry of the system under test. @param shell Of the installer. */
  async restoreFirmware(shell: MachineShell, budget: Budget): Promise<void> {
    if (this.#entry === undefined) return;
    await removeEntry(this.#entry, shell, budget);
    await setBootOrder(this.facts.variables.order, shell, budget);
    this.#entry = undefined;
  }

  /** Lets the machine start towards a place. It has not come up when this settles. */
  async start(place: 'installer' | 'system', budget: Budget): Promise<void> {
    const { power } = this.host;
    if (place === this.#whereabouts) return;
    this.isOnDetour = false;
    if (this.#whereabouts === 'installer') {
      const shell = await connectHost(this.host, budget);
      try {
        await setBootNext(this.systemEntry, shell, budget);
        await shell.execute('systemctl reboot || reboot', budget).catch(ignoreEnd);
      } finally {
        shell.close();
      }
    } else if (power !== undefined) {
      if (this.#whereabouts !== 'off') await this.#switch('off');
      // Once it has its power again, it starts what it was told last; told nothing, its installer.
      this.isOnDetour = place === 'system' && !this.#isArmed;
      await this.#switch('on');
    } else {
      this.onNote(
        `${this.host.address} does not come back by itself, and ${this.host.file} names no power switch. Reset it by hand: it starts its installer, and imperm goes on as soon as that answers.`,
      );
    }
    this.#isArmed = false;
    this.#whereabouts = 'unknown';
  }

  /**
   * The machine answers from a place.
   *
   * @returns Whether it is in another boot than when it last answered from there.
   */
  arrive(place: 'installer' | 'system', bootId: string): boolean {
    const isNew = this.#bootIds.get(place) !== bootId;
    this.#bootIds.set(place, bootId);
    if (isNew) this.#whereabouts = place;
    return isNew;
  }

  /** The next boot is one of the system under test again. @param shell Of that system. */
  async arm(shell: MachineShell, budget: Budget): Promise<void> {
    await setBootNext(this.systemEntry, shell, budget);
    this.#isArmed = true;
  }

  /** Nobody knows any more what it does. */
  lose(): void {
    this.#whereabouts = 'unknown';
  }

  /**
   * Takes the power away, where there is a switch.
   *
   * @throws {HarnessError} HOST_UNFIT when the machine answers all the same; TOOL_FAILED; TIMEOUT.
   */
  async cutPower(budget: Budget): Promise<void> {
    this.#whereabouts = 'unknown';
    if (this.host.power === undefined) return;
    await this.#switch('off');
    const answers = await openSocket(this.host.system, budget.part('nobody to answer', STILL_MS)).then(
      (socket) => {
        socket.destroy();
        return true;
      },
      () => false,
    );
    if (answers)
      throw new HarnessError(
        'HOST_UNFIT',
        `power.off of ${this.host.file} succeeded, and the machine still answers: it has its power`,
        { hint: 'power.off has to take the power away at once, and must not end before it is gone.' },
      );
    this.#whereabouts = 'off';
  }

  async #switch(to: 'off' | 'on'): Promise<void> {
    const command = this.host.power?.[to] ?? [];
    const budget = Budget.start(`power.${to} to end`, SWITCH_MS, new AbortController().signal);
    await runHostCommand(`power.${to}`, this.host, { command, budget });
  }
}

/** A reboot that is under way ends the connection. */
export function ignoreEnd(error: unknown): void {
  if (!(error instanceof HarnessError) || error.code !== 'MACHINE_UNREACHABLE') throw error;
}

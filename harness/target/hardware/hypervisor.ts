import type { Socket } from 'node:net';

import { Budget, HarnessError } from '../../core/index.js';
import { MachineShell } from '../shell.js';
import type { Hypervisor, MachineWiring } from '../target.js';
import type { AgentLine } from './agent-line.js';
import { setBootNext } from './boot-variables.js';
import { type Endpoint, openSocket } from './connect.js';
import { ignoreEnd, type RealMachine } from './real-machine.js';

/** A machine that is there takes a connection at once, and may take its time to speak. */
const CONNECT_MS = 3000;
const TRY_MS = 15_000;
/** Between two tries. A machine on the network announces nothing by itself. */
const TRY_EVERY_MS = 1000;
const STOP_MS = 120_000;
/**
 * The journal from stage 1 on, as journald forwards it to the console of a virtual machine. As a service it ends before
 * the file system that the journal lies on: whoever still reads it there keeps it from being unmounted.
 */
const JOURNAL =
  'systemd-run --quiet --pipe --collect --unit=imperm-journal --property=RequiresMountsFor=/var/log/journal journalctl --quiet --boot --lines=all --follow --output=short-monotonic --no-hostname';

type Place = 'installer' | 'system';

/**
 * A real machine from the moment it is let go until it is left. Whether it runs is told by a connection of our own, which
 * ends when it goes down; which boot it is in, by its boot id.
 */
export class HardwareHypervisor implements Hypervisor {
  readonly #real: RealMachine;
  readonly #goal: Place;
  readonly #agent: AgentLine;
  readonly #journal: Socket;
  readonly #wiring: MachineWiring;
  #budget: Budget;
  #watch: MachineShell | undefined;
  /** Where the next reboot leads. */
  #next: Place;
  #isLeaving = false;

  constructor(parts: {
    readonly real: RealMachine;
    readonly goal: Place;
    readonly agent: AgentLine;
    readonly journal: Socket;
    readonly wiring: MachineWiring;
  }) {
    this.#real = parts.real;
    this.#goal = parts.goal;
    this.#next = parts.goal;
    this.#agent = parts.agent;
    this.#journal = parts.journal;
    this.#wiring = parts.wiring;
    this.#budget = parts.wiring.budget;
  }

  async run(budget: Budget): Promise<void> {
    this.#budget = budget;
    const isThere = this.#real.whereabouts === this.#goal;
    await this.#real.start(this.#goal, budget);
    this.#follow({ isThere }).catch((error: unknown) => {
      if (!this.#isLeaving && error instanceof HarnessError) this.#wiring.onEvent({ kind: 'ended', error });
    });
  }

  /** What the machine starts after its next shutdown. */
  async bootInto(place: Place, budget: Budget): Promise<void> {
    if (this.#watch === undefined)
      throw new HarnessError('MACHINE_UNREACHABLE', 'There is no connection to the machine');
    const { installerEntry, systemEntry } = this.#real;
    await setBootNext(place === 'installer' ? installerEntry : systemEntry, this.#watch, budget);
    this.#next = place;
  }

  /** Lets go of the machine. One that is under test loses its power, where there is a switch. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#agent.forget();
    this.#watch?.close();
    this.#watch = undefined;
    if (this.#goal === 'installer' || this.#real.whereabouts === 'installer') return;
    await this.#real.cutPower(Budget.start('the power to go', STOP_MS, new AbortController().signal));
  }

  attachDisk(): Promise<void> {
    return refuse('plugs disks into a real machine');
  }

  detachDisk(): Promise<void> {
    return refuse('pulls disks out of a real machine');
  }

  saveState(): Promise<void> {
    return refuse('saves the state of a real machine');
  }

  takeScreenshot(): Promise<void> {
    return Promise.reject(new HarnessError('HOST_UNFIT', 'a real machine shows its screen to nobody'));
  }

  describeProcessors(): Promise<string> {
    return Promise.reject(new HarnessError('HOST_UNFIT', 'a real machine does not show its processors'));
  }

  readProcessorMs(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** One boot after the other, until the machine has reached its last place. */
  async #follow({ isThere }: { readonly isThere: boolean }): Promise<void> {
    let wasThere = isThere;
    for (;;) {
      const arrived = await this.#awaitBoot(this.#next, { wasThere });
      wasThere = false;
      if (arrived === 'elsewhere') return;
      const { shell, endpoint } = arrived;
      this.#watch = shell;
      const isUnderTest = this.#next === 'system';
      if (isUnderTest) {
        await this.#real.arm(shell, this.#budget);
        const journal = await shell.stream(JOURNAL, this.#budget);
        journal.on('error', () => undefined);
        journal.on('data', (chunk: Buffer) => this.#journal.write(chunk));
      } else if (this.#goal === 'system') {
        this.#wiring.onEvent({ kind: 'powered-off' });
        return;
      }
      this.#agent.greet(endpoint, this.#budget);
      await shell.broken.catch(() => undefined);
      if (this.#watch !== shell) return;
      this.#watch = undefined;
      this.#agent.forget();
      this.#real.lose();
      if (!isUnderTest)
        throw new HarnessError('MACHINE_DIED', 'The installer does not answer any more', {
          hint: 'Has somebody reset the machine, or pulled its cable?',
        });
      if (this.#next === 'system') this.#wiring.onEvent({ kind: 'reset' });
    }
  }

  /** Looks for the machine until it answers from another boot than before. */
  async #awaitBoot(
    place: Place,
    { wasThere }: { readonly wasThere: boolean },
  ): Promise<{ shell: MachineShell; endpoint: Endpoint } | 'elsewhere'> {
    const real = this.#real;
    return this.#budget.poll(async () => {
      if (this.#isLeaving) return 'elsewhere' as const;
      const found = await this.#tryPlace(place, { wasThere });
      if (found !== undefined) return found;
      if (place === 'installer') return undefined;
      const back = await this.#tryPlace('installer', { wasThere: false });
      if (back === undefined) return undefined;
      back.shell.close();
      if (real.isOnDetour) {
        await real.start('system', this.#budget).catch(ignoreEnd);
        return undefined;
      }
      this.#wiring.onEvent({
        kind: 'fault',
        fault: {
          kind: 'back-in-installer',
          text: 'The machine is in its installer again: the firmware did not start the installed system, or that one reset the machine before it answered',
        },
      });
      return 'elsewhere' as const;
    }, TRY_EVERY_MS);
  }

  /** @returns Undefined when the machine does not answer there, or still from the boot before. */
  async #tryPlace(
    place: Place,
    { wasThere }: { readonly wasThere: boolean },
  ): Promise<{ shell: MachineShell; endpoint: Endpoint } | undefined> {
    const real = this.#real;
    const budget = this.#budget.part('the machine to answer', TRY_MS * real.host.timeScale);
    const endpoint = place === 'installer' ? real.host : real.host.system;
    const keys = place === 'installer' ? real.installerKeys : this.#wiring.keys;
    try {
      const socket = await openSocket(endpoint, budget.part('the machine to be there', CONNECT_MS));
      const shell = await MachineShell.connect(socket, keys, budget, { keepAlive: true }).catch(
        (error: unknown) => {
          socket.destroy();
          throw error;
        },
      );
      const bootId = (await shell.run('cat /proc/sys/kernel/random/boot_id', budget)).trim();
      if (real.arrive(place, bootId) || wasThere) return { shell, endpoint };
      shell.close();
      return undefined;
    } catch (error) {
      this.#budget.check();
      // Somebody else at this port is the other one of the two systems, or not this machine: not the one that is waited for.
      if (error instanceof HarnessError && error.code !== 'INTERRUPTED') return undefined;
      throw error;
    }
  }
}

function refuse(what: string): Promise<never> {
  return Promise.reject(new HarnessError('INTERNAL', `Internal error: nobody ${what}`));
}

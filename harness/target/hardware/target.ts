import { connect, type Socket } from 'node:net';

import type { Accelerator } from '../accelerator.js';
import type { MachineSpec } from '../machine-spec.js';
import type { Hypervisor, MachineWiring, Target } from '../target.js';
import { AgentLine } from './agent-line.js';
import { HardwareHypervisor } from './hypervisor.js';
import { attachConsole } from './programs.js';
import type { RealMachine } from './real-machine.js';

/** One real machine, and nothing between it and the system under test. */
export class HardwareTarget implements Target {
  readonly name = 'hardware';
  readonly offVerb = 'reboot';
  readonly #machine: RealMachine;

  constructor(machine: RealMachine) {
    this.#machine = machine;
  }

  get version(): string {
    return this.#machine.facts.model;
  }

  /** Nothing of a real machine is saved. */
  describeShape(): string {
    return '';
  }

  async powerOn(spec: MachineSpec, wiring: MachineWiring): Promise<Hypervisor> {
    const { lease, lines, cleanup, budget } = wiring;
    const line = async (file: string): Promise<Socket> => {
      const socket = connect({ path: file });
      socket.on('error', () => undefined);
      cleanup.push('closing a line', () => {
        socket.destroy();
      });
      await budget.race(new Promise<void>((resolve) => socket.once('connect', resolve)));
      return socket;
    };
    const serial = await line(lines.serial);
    const journal = await line(lines.journal);
    const agent = new AgentLine(await line(lines.agent));
    const hypervisor = new HardwareHypervisor({
      real: this.#machine,
      goal: spec.boot.from === 'installer' ? 'installer' : 'system',
      agent,
      journal,
      wiring,
    });
    cleanup.push('leaving the machine', () => hypervisor.leave());
    const { host } = this.#machine;
    if (host.console !== undefined) {
      await attachConsole(host.console.command, serial, {
        host,
        lease,
        cleanup,
        onEnd: (error) => {
          wiring.onEvent({ kind: 'ended', error });
        },
      });
    }
    return hypervisor;
  }
}

/** In the place of an accelerator. */
export function realAccelerator({ host }: RealMachine): Accelerator {
  return { kind: 'none', reason: 'a real machine', timeScale: host.timeScale };
}

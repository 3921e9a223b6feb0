import { open, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError } from '../../core/index.js';
import type { MachineDisk, MachineSpec } from '../machine-spec.js';
import { describeProcessors } from '../processor-state.js';
import type { Hypervisor, HypervisorEvent, MachineWiring } from '../target.js';
import { diskAlias, renderDisk } from './domain-xml.js';
import type { DomainEvent, DomainEvents } from './events.js';
import type { MachinePlace } from './place.js';
import type { Virsh } from './virsh.js';

const PNG_START = Buffer.from('\x89PNG', 'latin1');

/** A domain of libvirt that was created and does not run yet. */
export class LibvirtHypervisor implements Hypervisor {
  readonly #virsh: Virsh;
  readonly #id: string;
  readonly #events: DomainEvents;
  readonly #dir: string;
  readonly #place: MachinePlace;
  /** The index is that of the target: vda, vdb … */
  readonly #disks: (MachineDisk | undefined)[];

  /** @param parts.id UUID of the domain. */
  constructor(
    spec: MachineSpec,
    parts: {
      readonly virsh: Virsh;
      readonly id: string;
      readonly events: DomainEvents;
      readonly place: MachinePlace;
      readonly wiring: MachineWiring;
    },
  ) {
    this.#virsh = parts.virsh;
    this.#id = parts.id;
    this.#events = parts.events;
    this.#dir = parts.wiring.lease.dir;
    this.#place = parts.place;
    this.#disks = [...spec.disks];
    parts.events.on((event) => {
      for (const told of translate(event)) parts.wiring.onEvent(told);
    });
  }

  async run(budget: Budget): Promise<void> {
    await this.#virsh.run(['resume', this.#id], budget);
  }

  async endAtReset(budget: Budget): Promise<void> {
    await this.#virsh.run(['set-lifecycle-action', '--live', this.#id, 'reboot', 'destroy'], budget);
  }

  async attachDisk(disk: MachineDisk, budget: Budget): Promise<void> {
    const free = this.#disks.indexOf(undefined);
    const index = free < 0 ? this.#disks.length : free;
    const file = path.join(this.#dir, `disk-${disk.name}.xml`);
    await writeFile(file, renderDisk(await this.#place.bringDisk(disk, budget), index));
    await this.#virsh.run(['attach-device', '--live', this.#id, file], budget);
    this.#disks[index] = disk;
  }

  async detachDisk(name: string, budget: Budget): Promise<void> {
    const index = this.#disks.findIndex((disk) => disk?.name === name);
    const disk = this.#disks[index];
    if (disk === undefined)
      throw new HarnessError('INTERNAL', `Internal error: the disk ${name} is not attached`);
    const alias = diskAlias(name);
    const gone = this.#events.waitFor(({ kind, text }) => kind === 'device-removed' && text === alias);
    await this.#virsh.run(['detach-device-alias', '--live', this.#id, alias], budget);
    await budget.race(gone);
    this.#disks[index] = undefined;
    await this.#place.takeBack(disk, budget);
  }

  async takeScreenshot(file: string, budget: Budget): Promise<void> {
    await this.#virsh.run(['screenshot', this.#id, '--file', file], budget);
    const picture = await open(file);
    try {
      const { buffer } = await picture.read(Buffer.alloc(PNG_START.length), 0, PNG_START.length, 0);
      if (!buffer.equals(PNG_START))
        throw new HarnessError(
          'TOOL_FAILED',
          `libvirt wrote a picture to ${file} that is not PNG (PPM, most likely)`,
        );
    } finally {
      await picture.close();
    }
  }

  describeProcessors(budget: Budget): Promise<string> {
    return describeProcessors((command) =>
      this.#virsh.run(['qemu-monitor-command', this.#id, '--hmp', command], budget),
    );
  }

  async saveState(file: string, budget: Budget): Promise<void> {
    await this.#virsh.run(['save', this.#id, await this.#place.prepare(file, budget)], budget);
    await this.#place.fetch(file, budget);
  }

  async readProcessorMs(budget: Budget): Promise<number | undefined> {
    const nanoseconds = /^\s*cpu\.time=(\d+)/m.exec(
      await this.#virsh.run(['domstats', '--cpu-total', this.#id], budget),
    )?.[1];
    return nanoseconds === undefined ? undefined : Math.round(Number(nanoseconds) / 1e6);
  }
}

/** What an event of libvirt means for the machine. */
export function translate({ kind, text }: DomainEvent): HypervisorEvent[] {
  if (kind === 'reboot') return [{ kind: 'reset' }];
  if (kind === 'io-error' && !text.endsWith('report')) {
    return [{ kind: 'fault', fault: { kind: 'disk-error', text: `A disk of the machine failed: ${text}` } }];
  }
  if (kind !== 'lifecycle') return [];
  const ended = (how: string): HypervisorEvent => ({
    kind: 'ended',
    error: new HarnessError('MACHINE_DIED', how),
  });
  switch (text) {
    case 'Stopped Shutdown':
      // libvirt then has no machine any more: whoever still waits for something in it waits in vain.
      return [{ kind: 'powered-off' }, ended('The machine has powered itself off')];
    case 'Stopped Destroyed':
      return [ended('Somebody else ended the machine (virsh destroy)')];
    case 'Stopped Crashed':
    case 'Stopped Failed':
      return [ended(`QEMU ended by itself (libvirt: ${text})`)];
    case 'Crashed Panicked':
      return [{ kind: 'fault', fault: { kind: 'kernel-panic', text: 'The kernel panicked' } }];
    default:
      return [];
  }
}

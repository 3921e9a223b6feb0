import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Budget, HarnessError, type Lock, tryTakeLock } from '../../core/index.js';
import type { Accelerator } from '../accelerator.js';
import type { MachineSpec } from '../machine-spec.js';
import type { Hypervisor, MachineWiring, Target } from '../target.js';
import { cutPower } from './cut-power.js';
import { type DomainIdentity, type DomainOptions, renderDomain } from './domain-xml.js';
import { DomainEvents } from './events.js';
import type { LibvirtFacts } from './facts.js';
import { LibvirtHypervisor } from './hypervisor.js';
import { destroyDomain, makeLabel } from './label.js';
import { MachinePlace } from './place.js';
import { readSavedIdentity } from './saved-state.js';
import type { Virsh } from './virsh.js';

const STOP_MS = 30_000;
/** Several imperms may look for a free name at the same moment. */
const NAME_ATTEMPTS = 10;

/** A libvirt daemon. Its machines go on when we die; their label tells `imperm reap` whose they were. */
export class LibvirtTarget implements Target {
  readonly name = 'libvirt';
  readonly offVerb = 'poweroff';
  readonly #virsh: Virsh;
  readonly #facts: LibvirtFacts;
  readonly #accelerator: Accelerator;

  constructor(virsh: Virsh, facts: LibvirtFacts, accelerator: Accelerator) {
    this.#virsh = virsh;
    this.#facts = facts;
    this.#accelerator = accelerator;
  }

  get connect(): string {
    return this.#virsh.uri;
  }

  get version(): string {
    return `${this.#facts.qemuVersion} (libvirt ${this.#facts.version}, ${this.#virsh.uri})`;
  }

  describeShape(spec: MachineSpec): string {
    return renderDomain(
      { ...spec, nonce: '' },
      {
        ...this.#shared,
        identity: { name: '', uuid: '' },
        label: { run: '', owner: '', host: '', user: '' },
        firmwareCode: '',
        nvramFile: '',
        lines: { serial: '', journal: '', agent: '' },
        firmwareStrings: [],
      },
    );
  }

  /** libvirt restores a domain under its saved name only, so one at a time. */
  reserveState(stateFile: string, budget: Budget): Promise<Lock | undefined> {
    return tryTakeLock(`${stateFile}.lock`, budget);
  }

  async powerOn(here: MachineSpec, given: MachineWiring): Promise<Hypervisor> {
    const { lease, cleanup, budget } = given;
    const virsh = this.#virsh;
    await lease.noteHypervisor(virsh.uri);
    const label = await makeLabel(lease.dir);
    const place = await MachinePlace.open(virsh.uri, { ...given, label });
    const { spec, wiring } = await place.bringMachine(here, given);
    const { boot } = spec;
    const saved = boot.from === 'state' ? await readSavedIdentity(virsh, boot.stateFile, budget) : undefined;
    // Whoever had the state before us and still shows it is dead: the reservation is ours.
    if (saved !== undefined) await destroyDomain(virsh, saved.uuid, budget);
    const uuid = saved?.uuid ?? randomUUID();
    let isStopping = false;
    cleanup.push('stopping the domain', async () => {
      isStopping = true;
      const machine = { host: place.host, uuid };
      await cutPower(
        virsh,
        machine,
        Budget.start('the domain to stop', STOP_MS, new AbortController().signal),
      );
    });
    const start = async (identity: DomainIdentity): Promise<void> => {
      const file = path.join(lease.dir, 'domain.xml');
      await writeFile(file, renderDomain(spec, { ...this.#shared, ...wiring, identity, label }));
      await (boot.from === 'state'
        ? virsh.run(['restore', '--paused', '--xml', file, boot.stateFile], budget)
        : virsh.run(['create', '--paused', file], budget));
    };
    const name =
      saved?.name ?? (await this.#startUnderFreeName(spec, wiring, (free) => start({ name: free, uuid })));
    if (saved !== undefined) await start(saved).catch(refuse);
    const events = await DomainEvents.listen(virsh, { domain: name, lease });
    cleanup.push('closing the events of libvirt', () => events.close());
    const onEvent: MachineWiring['onEvent'] = (event) => {
      if (!isStopping) wiring.onEvent(event);
    };
    const hypervisor = new LibvirtHypervisor(here, {
      virsh,
      place,
      id: uuid,
      events,
      wiring: { ...wiring, onEvent },
    });
    await events.waitUntilHeard(
      () => virsh.run(['desc', uuid, '--live', '--title', `imperm ${path.basename(lease.dir)}`], budget),
      budget,
    );
    events.over.catch((error: unknown) => {
      if (error instanceof HarnessError) onEvent({ kind: 'ended', error });
    });
    return hypervisor;
  }

  get #shared(): Pick<DomainOptions, 'accelerator' | 'securityModels' | 'fileOwner'> {
    const { securityModels, fileOwner } = this.#facts;
    return { accelerator: this.#accelerator, securityModels, fileOwner };
  }

  /**
   * libvirt keeps a log for each name. Where a machine powers itself off nothing removes it, so the machines under test
   * share few names: imperm-1, imperm-2 … An installer, which has no disks at first, is ended by us, and a saved one must
   * have a name to itself.
   *
   * @returns The name.
   */
  async #startUnderFreeName(
    { disks }: MachineSpec,
    { lease, budget }: MachineWiring,
    start: (name: string) => Promise<void>,
  ): Promise<string> {
    if (disks.length === 0) {
      const name = `imperm-${path.basename(lease.dir)}`;
      await start(name).catch(refuse);
      return name;
    }
    for (let attempt = 1; ; attempt += 1) {
      const names = (await this.#virsh.run(['list', '--all', '--name'], budget)).split('\n');
      let number = 1;
      while (names.includes(`imperm-${String(number)}`)) number += 1;
      const name = `imperm-${String(number)}`;
      try {
        await start(name);
        return name;
      } catch (error) {
        const isTaken =
          error instanceof HarnessError && /domain .*already exists|domain is already/.test(error.message);
        if (!isTaken || attempt === NAME_ATTEMPTS) return refuse(error);
      }
    }
  }
}

/** libvirt's refusal to start a machine is that machine's end. */
function refuse(error: unknown): never {
  if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED') throw error;
  throw new HarnessError('MACHINE_DIED', `libvirt did not start the machine: ${error.message}`, {
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}

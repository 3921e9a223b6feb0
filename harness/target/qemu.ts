import { readFile } from 'node:fs/promises';
import path from 'node:path';

import {
  Budget,
  HarnessError,
  lastLines,
  type ProgramEnd,
  type RunningProgram,
  startProgram,
} from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import type { Accelerator } from './accelerator.js';
import type { MachineDisk, MachineSpec } from './machine-spec.js';
import { restoreMachineState, saveMachineState } from './machine-state.js';
import { describeProcessors } from './processor-state.js';
import { processorMs } from './processor-time.js';
import {
  blockNode,
  deviceName,
  DISK_SLOTS,
  diskDevice,
  machineShape,
  nodeName,
  qemuArguments,
} from './qemu-arguments.js';
import { QmpClient, type QmpEvent } from './qmp.js';
import { listenOn } from './socket.js';
import type { Hypervisor, HypervisorEvent, MachineWiring, Target } from './target.js';

/** As long as a slow disk may take. */
const SETTLE_MS = 60_000;

/** QEMU, started by ourselves: it ends with us, however we end. */
export class QemuTarget implements Target {
  readonly name = 'qemu';
  readonly offVerb = 'poweroff';
  readonly #toolbox: Toolbox;
  readonly #accelerator: Accelerator;

  constructor(toolbox: Toolbox, accelerator: Accelerator) {
    this.#toolbox = toolbox;
    this.#accelerator = accelerator;
  }

  get version(): string {
    return this.#toolbox.qemuVersion;
  }

  describeShape(spec: MachineSpec): string {
    return machineShape(spec, this.#accelerator);
  }

  async powerOn(spec: MachineSpec, wiring: MachineWiring): Promise<Hypervisor> {
    const { lease, lines, cleanup, budget } = wiring;
    const sockets = await listenOn(lease.dir, ['qmp'], cleanup);
    const logFile = path.join(lease.dir, 'qemu.log');
    const { args, env } = this.#toolbox.command(
      'qemu-system-x86_64',
      qemuArguments(spec, {
        ...wiring,
        accelerator: this.#accelerator,
        sockets: { ...lines, qmp: sockets.qmp.path },
      }),
    );
    const qemu = startProgram(args, { logFile, env });
    let isStopping = false;
    cleanup.push('stopping QEMU', async () => {
      isStopping = true;
      qemu.kill('SIGKILL');
      await qemu.ended;
    });
    await lease.noteProcess(qemu.pid);
    const explain = async (what: string, end: ProgramEnd): Promise<HarnessError> =>
      new HarnessError('MACHINE_DIED', `${what} (${end.signal ?? `exit code ${String(end.exitCode)}`})`, {
        details: lastLines(await readFile(logFile, 'utf8').catch(() => ''), 10),
      });
    const died = qemu.ended.then(async (end) => {
      throw await explain('QEMU did not start', end);
    });
    died.catch(() => undefined);
    // A channel that closes is only how a death is noticed first; QEMU's own words follow with its end.
    const connected = sockets.qmp.accept(budget).then((socket) => QmpClient.start(socket, budget));
    const qmp = await Promise.race([connected, died]).catch((error: unknown) =>
      error instanceof HarnessError && error.code === 'MACHINE_DIED'
        ? budget.race(died)
        : Promise.reject(error as Error),
    );
    cleanup.push('closing the control channel', () => {
      qmp.close();
    });
    void qemu.ended.then(async (end) => {
      if (!isStopping) wiring.onEvent({ kind: 'ended', error: await explain('QEMU ended by itself', end) });
    });
    return new QemuHypervisor(spec, { qmp, qemu, onEvent: wiring.onEvent });
  }
}

class QemuHypervisor implements Hypervisor {
  readonly #spec: MachineSpec;
  readonly #qmp: QmpClient;
  readonly #qemu: RunningProgram;
  readonly #slots: (string | undefined)[];
  readonly #onEvent: (event: HypervisorEvent) => void;

  constructor(
    spec: MachineSpec,
    parts: {
      readonly qmp: QmpClient;
      readonly qemu: RunningProgram;
      readonly onEvent: (event: HypervisorEvent) => void;
    },
  ) {
    this.#spec = spec;
    this.#qmp = parts.qmp;
    this.#qemu = parts.qemu;
    this.#onEvent = parts.onEvent;
    this.#slots = Array.from({ length: DISK_SLOTS }, (_, slot) => spec.disks[slot]?.name);
    this.#qmp.onEvent((event) => {
      this.#pass(event);
    });
  }

  /** QEMU runs from its start; only a machine that waits for a state is still to be filled. */
  async run(budget: Budget): Promise<void> {
    const { boot } = this.#spec;
    if (boot.from === 'state') await restoreMachineState(this.#qmp, boot.stateFile, budget);
  }

  async endAtReset(budget: Budget): Promise<void> {
    await this.#qmp.execute('set-action', { reboot: 'shutdown' }, budget);
  }

  async attachDisk(disk: MachineDisk, budget: Budget): Promise<void> {
    const slot = this.#slots.indexOf(undefined);
    if (slot < 0)
      throw new HarnessError('INTERNAL', `Internal error: no slot left for the disk ${disk.name}`);
    await this.#qmp.execute('blockdev-add', blockNode(disk), budget);
    await this.#qmp.execute('device_add', diskDevice(disk, slot), budget);
    this.#slots[slot] = disk.name;
  }

  async detachDisk(name: string, budget: Budget): Promise<void> {
    const slot = this.#slots.indexOf(name);
    if (slot < 0) throw new HarnessError('INTERNAL', `Internal error: the disk ${name} is not attached`);
    const gone = this.#qmp.waitForEvent(
      ({ event, data }) => event === 'DEVICE_DELETED' && data['device'] === deviceName(name),
    );
    await this.#qmp.execute('device_del', { id: deviceName(name) }, budget);
    await budget.race(gone);
    await this.#qmp.execute('blockdev-del', { 'node-name': nodeName(name) }, budget);
    this.#slots[slot] = undefined;
  }

  async takeScreenshot(file: string, budget: Budget): Promise<void> {
    await this.#qmp.execute('screendump', { filename: file, format: 'png' }, budget);
  }

  describeProcessors(budget: Budget): Promise<string> {
    return describeProcessors(async (command) =>
      String(await this.#qmp.execute('human-monitor-command', { 'command-line': command }, budget)),
    );
  }

  async saveState(file: string, budget: Budget): Promise<void> {
    await saveMachineState(this.#qmp, file, budget);
  }

  readProcessorMs(): Promise<number | undefined> {
    return Promise.resolve(processorMs(this.#qemu.pid));
  }

  #pass({ event, data }: QmpEvent): void {
    if (event === 'RESET') this.#onEvent({ kind: 'reset' });
    if (event === 'SHUTDOWN') void this.#settle();
    if (event === 'GUEST_PANICKED')
      this.#onEvent({ kind: 'fault', fault: { kind: 'kernel-panic', text: 'The kernel panicked' } });
    if (event === 'BLOCK_IO_ERROR') {
      const text = `A disk of the machine failed: ${String(data['reason'])}`;
      this.#onEvent({ kind: 'fault', fault: { kind: 'disk-error', text } });
    }
  }

  /**
   * QEMU tells of the end before it writes out what it holds of the disks, and answers afterwards: a kernel that
   * hibernates does not ask its disk to flush.
   */
  async #settle(): Promise<void> {
    const budget = Budget.start('QEMU to write out its disks', SETTLE_MS, new AbortController().signal);
    await this.#qmp.execute('query-status', {}, budget).then(
      () => {
        this.#onEvent({ kind: 'powered-off' });
      },
      // It has ended in between, which tells of itself.
      () => undefined,
    );
  }
}

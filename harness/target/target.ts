import type { Budget, Cleanup, HarnessError, Lease, Lock } from '../core/index.js';
import type { MachineDisk, MachineFault, MachineSpec } from './machine-spec.js';
import type { MachineKeys } from './shell.js';

/** Where machines run. */
export type TargetName = 'qemu' | 'libvirt' | 'hardware';

/** What a hypervisor tells of a machine by itself. */
export type HypervisorEvent =
  | { readonly kind: 'reset' }
  /** The guest has powered itself off, and all that it wrote is in the files of its disks. */
  | { readonly kind: 'powered-off' }
  /** The machine under test is no longer what it was. */
  | { readonly kind: 'fault'; readonly fault: MachineFault }
  /** The hypervisor let go of the machine, unasked; the error holds its own words. */
  | { readonly kind: 'ended'; readonly error: HarnessError };

/** Ends of the lines on which the harness listens; the machine connects to them. */
export interface LinePaths {
  readonly serial: string;
  readonly journal: string;
  readonly agent: string;
}

/** What a machine is described with besides its specification: paths. */
export interface MachineFiles {
  readonly firmwareCode: string;
  readonly nvramFile: string;
  /** Socket of the machine's TPM, when it has one. */
  readonly tpmSocket?: string;
  /** Where a VNC viewer is to be let in: a Unix socket in a folder that is its owner's alone. Absent: nowhere. */
  readonly vncSocket?: string;
  /** One file per firmware string: credentials stay out of the process list. */
  readonly firmwareStrings: readonly string[];
}

/** What a machine is put together with; everything exists before its power is on. */
export interface MachineWiring extends MachineFiles {
  /** The machine's folder. */
  readonly lease: Lease;
  readonly lines: LinePaths;
  /** Who may come into the machine, and what it proves itself with. */
  readonly keys: MachineKeys;
  /** Receives how to end what was begun. */
  readonly cleanup: Cleanup;
  readonly budget: Budget;
  readonly onEvent: (event: HypervisorEvent) => void;
}

/** A machine as its hypervisor sees it, from power-on to its end: all that differs between targets. */
export interface Hypervisor {
  /** Lets the machine go, once every line is connected. A saved state is restored by then. */
  run(budget: Budget): Promise<void>;
  /** What the machine starts after its next shutdown. Absent: always what is on its disk. */
  bootInto?(place: 'installer' | 'system', budget: Budget): Promise<void>;
  /** Has the next reset by the guest end the machine, as its powering off does. Absent: a reset is all there is. */
  endAtReset?(budget: Budget): Promise<void>;
  /** Plugs a disk into a free slot. */
  attachDisk(disk: MachineDisk, budget: Budget): Promise<void>;
  /** Settles when the guest has let go of the disk and its file is closed. */
  detachDisk(name: string, budget: Budget): Promise<void>;
  /** Writes a picture of the screen, PNG. */
  takeScreenshot(file: string, budget: Budget): Promise<void>;
  /** What the processors do, as text without secrets. */
  describeProcessors(budget: Budget): Promise<string>;
  /** Writes the state of the running machine to a file. The machine does not go on. */
  saveState(file: string, budget: Budget): Promise<void>;
  /** Processor time of the machine so far, user and system; undefined when it has ended. */
  readProcessorMs(budget: Budget): Promise<number | undefined>;
}

/** What can power machines on. */
export interface Target {
  readonly name: TargetName;
  /**
   * What ends a system for good. A machine that nobody switches on again is rebooted, into its installer; it counts as
   * powered off once that answers.
   */
  readonly offVerb: 'poweroff' | 'reboot';
  /** Address of the libvirt that has the machines. Absent: none has. */
  readonly connect?: string;
  /** Of all that a saved state depends on: `10.0.13 (Debian …)`. */
  readonly version: string;
  /** Everything that a saved state has to have in common with the machine it is restored in. */
  describeShape(spec: MachineSpec): string;
  /**
   * Powers a machine on. It may still wait for `run`. Who calls releases `wiring.cleanup`, also when this throws.
   *
   * @throws {HarnessError} MACHINE_DIED with the hypervisor's own words when it does not start.
   */
  powerOn(spec: MachineSpec, wiring: MachineWiring): Promise<Hypervisor>;
  /**
   * Asks for a saved state. Absent: any number of machines may have it at the same time.
   *
   * @returns To be released with the machine; undefined when another machine has it.
   */
  reserveState?(stateFile: string, budget: Budget): Promise<Lock | undefined>;
}

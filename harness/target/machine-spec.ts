import type { ConsoleLine } from './console.js';

/** How fast a disk may be. */
export interface DiskRate {
  readonly bytesPerSecond?: number;
  readonly operationsPerSecond?: number;
}

/** A disk as the machine sees it. */
export interface MachineDisk {
  /** Unique among the machine's disks; also the disk's serial number, so at most 20 letters, digits and dashes. */
  readonly name: string;
  readonly bus: 'virtio' | 'nvme';
  /** Bytes in a logical and physical sector; default 512. */
  readonly sectorBytes?: number;
  /** The disk is this namespace of another NVMe disk's controller. Only from power-on. */
  readonly namespace?: { readonly of: string; readonly number: number };
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  /** What shows through where nothing was written; in the same folder, and only read. */
  readonly backingFile?: string;
  readonly readOnly?: boolean;
  /** Of reading and writing together, from power-on. Absent: as fast as it can. */
  readonly rate?: DiskRate;
  /** Position in the firmware's boot order; absent: not booted from. */
  readonly bootIndex?: number;
}

/** What a machine begins with. */
export type ColdBoot =
  /** The firmware looks for something to boot: on a CD, then on the disks. */
  | { readonly from: 'disk' }
  | {
      readonly from: 'kernel';
      readonly kernel: string;
      readonly initrd: string;
      readonly commandLine: string;
    };

/** What the machine starts. */
export type BootSource =
  | ColdBoot
  /** A state saved by `saveState` of a machine with the same specification, which began with `began`. */
  | { readonly from: 'state'; readonly stateFile: string; readonly began: ColdBoot }
  /** Only of a real machine: what it starts by itself. */
  | { readonly from: 'installer' };

/**
 * Processors of a machine of which nobody says how many: two, or one when it is emulated. There a second one is little faster
 * when the machine is alone, slower when it is not, and its timer stops now and then while it boots: the kernel then waits
 * for ever ("rcu_preempt kthread timer wakeup didn't happen").
 */
export function ordinaryCpus(isAccelerated: boolean): number {
  return isAccelerated ? 2 : 1;
}

export interface MachineSpec {
  readonly memoryMiB: number;
  /** Absent: `ordinaryCpus`. */
  readonly cpus?: number;
  readonly boot: BootSource;
  readonly disks: readonly MachineDisk[];
  /** An ISO image in the machine's CD drive. With `boot.from` "disk" the firmware tries it first. Absent: no drive. */
  readonly cdrom?: string;
  /** The firmware's variable store; written by the machine. Absent: a fresh one. */
  readonly nvramFile?: string;
  /** The firmware knows Secure Boot; whether it has keys is told by its variables. Default false. */
  readonly secureBoot?: boolean;
  /** Where the machine's TPM keeps what outlasts its power. Absent: the machine has no TPM. */
  readonly tpmDir?: string;
  /** systemd credentials, handed in through firmware tables. */
  readonly credentials?: Readonly<Record<string, string>>;
  /** Added to the kernel command line by systemd-boot, without a change on the disk. */
  readonly extraCommandLine?: string;
  /** What its clock shows at power-on, in milliseconds since 1970. Absent: the time. */
  readonly clockMs?: number;
  /**
   * Its screen is shown to VNC viewers. One that is powered on, not restored, then has a USB keyboard. Only of QEMU that is
   * started by ourselves. Default false.
   */
  readonly vnc?: boolean;
  /** Told to the machine and read back from it. */
  readonly nonce: string;
}

/** Why a machine cannot be waited for any longer. */
export interface MachineFault {
  /** `kernel-panic`, `emergency-shell` … */
  readonly kind: string;
  /** As a sentence. */
  readonly text: string;
}

/** Looks at every console line of a machine; a fault ends every wait on it at once. */
export type ConsoleJudge = (line: ConsoleLine) => MachineFault | undefined;

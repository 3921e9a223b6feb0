import type { Machine, MachineShell } from '../target/index.js';
import type { Secrets } from './secrets.js';

/** When a machine is kept: whenever it is no pass (and not as declared), or always. */
export type KeepWhen = 'fail' | 'always';

/** A machine that somebody looks at. */
export interface HeldMachine {
  readonly variant: string;
  /** Why now, as a sentence. */
  readonly why: string;
  /** `installer`: the system under test is off, and this is a copy of the installer with its disks. */
  readonly what: 'system' | 'installer';
  readonly machine: Machine;
  /** Root's; absent: there is only the serial console. */
  readonly shell?: MachineShell;
  readonly secrets: Secrets;
}

/** What a person wants of the machines of a run, besides verdicts. */
export interface Hands {
  /** Absent: disks are removed. */
  readonly keep?: KeepWhen;
  /** Machines are held for a person with the first broken promise, and when a boot is stuck. */
  readonly shellOnFail: boolean;
  /** Held at the end of this step of the plan, as `findStep` takes it. Absent: at none. */
  readonly pauseAt?: string;
  /** Machines show their screens to VNC viewers. */
  readonly vnc: boolean;
  /** Gives a machine to the person. Settles when they have let it go. */
  readonly hold: (held: HeldMachine, signal: AbortSignal) => Promise<void>;
}

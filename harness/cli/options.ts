import type { TargetName } from '../target/index.js';

/** Options of every command that starts machines. */
export interface HostOptions {
  readonly accel: 'auto' | 'kvm' | 'tcg';
  readonly tools: 'private' | 'host';
  readonly yes: boolean;
  /** Where machines run. Default `qemu`. */
  readonly target?: TargetName;
  /** Address of libvirt. Default `qemu:///system`. */
  readonly connect?: string;
}

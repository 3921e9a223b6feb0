import type { TargetName } from '../target/index.js';

/** Where machines run. */
export interface TargetOptions {
  /** Default `qemu`. */
  readonly target?: TargetName;
  /** Addresses of libvirt. Default `qemu:///system`. */
  readonly connect?: readonly string[];
  /** Host file of a real machine. */
  readonly host?: string;
}

/** Options of every command that starts machines. */
export interface HostOptions extends TargetOptions {
  readonly accel: 'auto' | 'kvm' | 'tcg';
  readonly tools: 'private' | 'host';
  readonly yes: boolean;
}

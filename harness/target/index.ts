export { chooseAccelerator, type Accelerator, type ChooseAcceleratorOptions } from './accelerator.js';
export { type ConsoleLine, type ConsoleMatch, MachineConsole } from './console.js';
export type {
  BootSource,
  ColdBoot,
  ConsoleJudge,
  DiskRate,
  MachineDisk,
  MachineFault,
  MachineSpec,
} from './machine-spec.js';
export { ordinaryCpus } from './machine-spec.js';
export { Machine, type MachineHost, type StartOptions } from './machine.js';
export { connectHost, realAccelerator, type RealMachine } from './hardware/index.js';
export { LibvirtHost, reapDomains, Virsh } from './libvirt/index.js';
export { makeNonce } from './nonce.js';
export { openTarget, type OpenTarget, type TargetChoice } from './open-target.js';
export type { CommandResult } from './command-result.js';
export type { RemoteSession, SessionEnd, TerminalKind, TerminalSize } from './remote-session.js';
export { makeMachineKeys, type MachineKeys, type MachineShell } from './shell.js';
export type { TargetName } from './target.js';

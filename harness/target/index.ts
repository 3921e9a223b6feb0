export { chooseAccelerator, type Accelerator, type ChooseAcceleratorOptions } from './accelerator.js';
export type { ConsoleLine, MachineConsole } from './console.js';
export type {
  BootSource,
  ColdBoot,
  ConsoleJudge,
  MachineDisk,
  MachineFault,
  MachineSpec,
} from './machine-spec.js';
export { Machine, type MachineHost, type StartOptions } from './machine.js';
export { makeNonce } from './nonce.js';
export { QemuTarget } from './qemu.js';
export { makeMachineKeys, type CommandResult, type MachineKeys, type MachineShell } from './shell.js';
export type { Target, TargetName } from './target.js';

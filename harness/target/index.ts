export { chooseAccelerator, type Accelerator, type ChooseAcceleratorOptions } from './accelerator.js';
export type { ConsoleLine, MachineConsole } from './console.js';
export type {
  BootSource,
  ColdBoot,
  ConsoleJudge,
  MachineDisk,
  MachineFault,
  MachineSpec,
} from './machine.js';
export { connectHost } from './connect-host.js';
export { makeNonce } from './nonce.js';
export { machineShape } from './qemu-arguments.js';
export { QemuMachine, type QemuHost, type StartOptions } from './qemu.js';
export { makeMachineKeys, type CommandResult, type MachineKeys, type MachineShell } from './shell.js';

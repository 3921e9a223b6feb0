export {
  type GuestChoice,
  type PreparedHost,
  prepareHost,
  prepareRun,
  type PrepareOptions,
} from './prepare.js';
export type { Hands, HeldMachine, KeepWhen } from './hands.js';
export { KEPT_DIR, type KeptMachine, readKept, readKeptSecrets } from './kept-machine.js';
export { openKeptInstaller, powerOnKept, type OpenedKept } from './open-kept.js';
export { runVariant, type RunVariantOptions } from './run-variant.js';
export type { RunContext } from './context.js';
export { readDisks } from './real-disks.js';
export { openInstaller } from './installer.js';
export { PASSPHRASE_FILE } from './install.js';

export { type GuestChoice, prepareRun, type PrepareOptions } from './prepare.js';
export { runVariant, type RunVariantOptions } from './run-variant.js';
export type { RunContext } from './context.js';
export { readDisks } from './real-disks.js';
export { openInstaller } from './installer.js';

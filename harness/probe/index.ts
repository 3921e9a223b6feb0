export { isCanaryPath, planCanaries, type CanaryPlan } from './canary.js';
export { checkBoot } from './check-boot.js';
export { checkDisk } from './check-disk.js';
export { collectBootEvidence, collectPlanted, type Collection } from './collect.js';
export type { BootEvidence, DiskEvidence, PlantedEvidence, Subvolume } from './evidence.js';
export { type BootContext, type DiskContext, type Finding } from './finding.js';
export { CONSOLE_CLASSES, ConsoleWatch, type ConsoleFinding } from './console-classes.js';
export { collectInstallEvidence, inspectDisk } from './inspect.js';
export type { InstallEvidence } from './evidence.js';

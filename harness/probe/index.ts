export * from './hardware/index.js';
export { planCanaries, type CanaryPlan } from './canary.js';
export { checkBoot, checkFailedBoot } from './check-boot.js';
export { checkLogins } from './check-session.js';
export { checkImage } from './check-image.js';
export { collectChecks, renderScript } from './collect-checks.js';
export { checkDisk } from './check-disk.js';
export { collectBootEvidence, collectPlanted, type Collection } from './collect.js';
export type { BootEvidence, DiskEvidence, PlantedEvidence, Subvolume } from './evidence.js';
export {
  type BootContext,
  type DiskContext,
  type Finding,
  type LoginEvidence,
  type SessionEvidence,
} from './finding.js';
export { CONSOLE_CLASSES, ConsoleWatch, type ConsoleFinding } from './console-classes.js';
export { collectHeaders, collectImageEvidence, collectInstallEvidence, inspectDisk } from './inspect.js';
export type { Foreigner, InstallEvidence } from './evidence.js';
export { parseForwardedJournal } from './forwarded-journal.js';
export { parseStageOneConsole } from './stage-one-log.js';
export { type DiskTree, planDiskTrees, ROOT_TREE } from './disk-trees.js';
export { findLeaks } from './find-leaks.js';
export type { Leak, LeakEvidence, Leaks } from './leak.js';
export { collectOwners, type OwnerEvidence } from './owners.js';
export { collectRoot } from './root-tree.js';
export type { Tree } from './tree.js';
export { explainFailedRollback, explainStuckBoot } from './explain-stuck.js';
export { parseSections, renderSections } from './sections.js';

export type * from './model.js';
export { CONSOLE_CLASS_NAMES, type ConsoleClassName } from './console-class.js';
export type * from './promise.js';
export type { Services } from './services-schema.js';
export { type DiskFault, type Fault, isPowerOnFault, type PowerOnFault } from './fault.js';
export { nameOfScript, type Script } from './script.js';
export { AFTER_RESUME, canHibernate } from './can-hibernate.js';
export { findHolder, findRoot, isAlwaysNeededForBoot, isAtOrBelow } from './mount-tree.js';
export {
  type DiskIdentity,
  type HardwareHost,
  type HardwareNetwork,
  loadHost,
  parseNetwork,
} from './load-host.js';
export { findScenarios, loadScenario, loadScenarios } from './load.js';
export { listScenarioFiles } from './scenario-files.js';
export { openScenario, type ScenarioSource } from './source.js';
export type { ScenarioEdit } from './edit.js';
export { promisedSystem } from './promised-system.js';
export { scenarioJsonSchema } from './json-schema.js';
export { selectVariants, type VariantFilter, type VariantSpread } from './variant.js';
export { parseTmpfilesRule } from './tmpfiles-rule.js';
export { escapeUnitPath } from './unit-name.js';
export { suggest } from './problem.js';
export { whyNotLine, whyNotName, whyNotPath } from './check-answer.js';
export { DISK_BUSES, listAxisValues, LUKS_KINDS, STAGE1_HOOKS, STAGE1_KINDS } from './axes.js';
export type { AxisValues, LuksKind, SectorSize, StageOneHook, StageOneKind } from './axes.js';
export { whyNotNixos } from './nixos-limits.js';

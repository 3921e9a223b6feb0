export type * from './model.js';
export { CONSOLE_CLASS_NAMES, type ConsoleClassName } from './console-class.js';
export type * from './promise.js';
export { findHolder, isAtOrBelow } from './mount-tree.js';
export { findScenarios, loadScenario, loadScenarios } from './load.js';
export { scenarioJsonSchema } from './json-schema.js';
export { expandVariants, type VariantFilter } from './variant.js';

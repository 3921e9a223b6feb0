export { readShell } from './shell.js';
export { LINTS, lintScenario, type LintFinding } from './lint-scenario.js';
export { lintFile, UNUSED_EXCEPTION, type FileFinding } from './lint-file.js';

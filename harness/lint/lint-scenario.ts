import type { Place } from '../core/index.js';
import { findRoot, type Scenario } from '../scenario/index.js';
import { DISK_LINTS } from './disk-lints.js';
import { IDENTITY_LINTS } from './identity-lints.js';
import type { Lint, LintSubject } from './lint.js';
import { readRollbackScript } from './rollback-script.js';
import { SCRIPT_LINTS } from './script-lints.js';
import { UNIT_LINTS } from './unit-lints.js';

/** Every lint, in the order in which they are shown. */
export const LINTS: readonly Lint[] = [...UNIT_LINTS, ...SCRIPT_LINTS, ...DISK_LINTS, ...IDENTITY_LINTS];

/** A fault of a layout that can be told from its files alone. */
export interface LintFinding {
  /** The lint's name. */
  readonly lint: string;
  /** In the scenario, or in a script that it names. */
  readonly place: Place;
  /** What is wrong, in one sentence without a full stop. */
  readonly message: string;
  /** Why it matters. */
  readonly reason: string;
  /** What to do about it. */
  readonly advice: string;
}

/**
 * Looks for known faults in one variant of a scenario. Nothing of it is run, and what the scenario says about lints
 * (`lint.without`, `expect`) is not heeded.
 */
export function lintScenario(scenario: Scenario): readonly LintFinding[] {
  const subject = makeSubject(scenario);
  return LINTS.flatMap(({ name, reason, advice, find }) =>
    find(subject).map((hit) => ({ lint: name, reason, advice, ...hit })),
  );
}

function makeSubject(scenario: Scenario): LintSubject {
  const { system } = scenario;
  const { rollback } = system;
  const script = rollback === undefined ? undefined : readRollbackScript(rollback, system);
  const root = findRoot(system.fileSystems);
  return {
    scenario,
    system,
    ...(rollback === undefined ? {} : { rollback }),
    ...(script === undefined ? {} : { script }),
    isWiped: rollback !== undefined || root?.fsType === 'tmpfs',
  };
}

import path from 'node:path';

import { HarnessError } from '../core/index.js';
import type { Scenario, ScenarioSource, SystemModel, Variant } from '../scenario/index.js';
import { loadEdited, type Mutant, type Original } from './mutant.js';

/** A scenario that brings a layout into harder circumstances, with promises of its own. */
export interface Trial {
  readonly source: ScenarioSource;
  readonly variant: Variant;
}

/**
 * Whether two scenarios are one layout, with other promises and in other circumstances: the same system, installed by the same
 * script.
 */
export function isSameLayout(one: Scenario, other: Scenario): boolean {
  return formOf(one.system) === formOf(other.system) && one.install?.text === other.install?.text;
}

/**
 * Whether a scenario is a trial of a layout: it is the same one, or extends it by something, like swap that is encrypted, with the
 * same rollback.
 */
export function isTrialOf({ scenario: layout }: Original, { source, variant: { scenario } }: Trial): boolean {
  if (isSameLayout(layout, scenario)) return true;
  const [one, other] = [layout.system, scenario.system];
  return (
    source.files.includes(path.resolve(layout.file)) &&
    one.stage1 === other.stage1 &&
    formOf(one.rollback) === formOf(other.rollback)
  );
}

/**
 * A mutant in the circumstances of a trial, with all that is done and promised there.
 *
 * @param options.mutated The mutant's own scenario.
 * @returns Nothing when the trial does not have what the mutant breaks, or not as the layout has it.
 */
export async function trialScenario(
  trial: Trial,
  options: { readonly original: Original; readonly mutant: Mutant; readonly mutated: Scenario },
): Promise<Scenario | undefined> {
  const { original, mutant, mutated } = options;
  const { source, variant } = trial;
  const { scenario } = variant;
  const promised = scenario.system;
  if (isSameLayout(original.scenario, scenario)) {
    const { system, install } = mutated;
    return { ...scenario, system, promised, ...(install === undefined ? {} : { install }) };
  }
  const isThere = mutant.edits.every(
    ({ at: [top, part] }) =>
      top === 'system' &&
      typeof part === 'string' &&
      part in promised &&
      formOf(promised[part as keyof SystemModel]) ===
        formOf(original.scenario.system[part as keyof SystemModel]),
  );
  if (!isThere) return undefined;
  try {
    return { ...(await loadEdited(mutant.edits, { source, axes: variant.axes })), promised };
  } catch (thrown) {
    // What the loader says of the layout alone it has said already.
    if (thrown instanceof HarnessError && thrown.code === 'SCENARIO_INVALID') return undefined;
    throw thrown;
  }
}

/** Everything of a system, or of a part of it, but where it is written. */
function formOf(part: unknown): string {
  return JSON.stringify(part, (key, value: unknown) =>
    key === 'place' || key === 'file' || key === 'unitPlaces' ? undefined : value,
  );
}

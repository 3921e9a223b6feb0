import { HarnessError, type Place } from '../core/index.js';
import type { Scenario, ScenarioEdit, ScenarioSource, Variant } from '../scenario/index.js';

/** A layout with one difference that a harness should notice. */
export interface Mutant {
  /** `rollback/script:7/drop`: the same as long as what it changes stays where it is. Unique in a layout. */
  readonly id: string;
  /** What is different, as a sentence without a full stop. */
  readonly title: string;
  /** What would have to be promised so that it cannot get through: goes on after "Nobody promises that". */
  readonly missing: string;
  /** What is changed. */
  readonly place: Place;
  readonly edits: readonly ScenarioEdit[];
  /** Why it is no other layout at all; absent when nobody can say so without running it. */
  readonly equivalent?: string;
}

/** The layout that mutants are made of. */
export interface Original {
  readonly source: ScenarioSource;
  /** Of one variant. */
  readonly scenario: Scenario;
  /** The variant's. */
  readonly axes: Variant['axes'];
}

/**
 * Loads the variant of a scenario as if its file were written with differences.
 *
 * @throws {HarnessError} `SCENARIO_INVALID` when it could not be used then.
 */
export async function loadEdited(
  edits: readonly ScenarioEdit[],
  { source, axes }: Pick<Original, 'source' | 'axes'>,
): Promise<Scenario> {
  const { variants } = await source.load(edits);
  const variant = variants.find((each) =>
    Object.entries(axes).every(([axis, value]) => each.axes[axis as keyof typeof axes] === value),
  );
  if (variant === undefined)
    throw new HarnessError('INTERNAL', 'Internal error: a mutant lacks the variant of its original');
  return variant.scenario;
}

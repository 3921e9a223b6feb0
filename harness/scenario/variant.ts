import { HarnessError } from '../core/index.js';
import { choosePairs } from './axes.js';
import type { ScenarioFile, Variant } from './model.js';

/** Axis name to the one value wanted; axes it does not name keep all their values. */
export type VariantFilter = Readonly<Record<string, string>>;

/**
 * How many of a scenario's variants are wanted: `once` the first, `pairs` so many that every pair of values of two axes
 * occurs, `full` all.
 */
export type VariantSpread = 'once' | 'pairs' | 'full';

/**
 * Chooses variants of a scenario.
 *
 * @param scenario A loaded scenario.
 * @param options.filter Keeps only the variants with these values; default all.
 * @param options.spread How many of those; default `pairs`.
 * @returns At least one variant, in the order of the file's values.
 * @throws {HarnessError} `USAGE` when the filter names an axis that does not exist.
 * @throws {HarnessError} `USAGE` when the filter names a value that the scenario's axis does not have.
 * @throws {HarnessError} `USAGE` when the values of the filter cannot be together.
 */
export function selectVariants(
  scenario: ScenarioFile,
  options: { readonly filter?: VariantFilter; readonly spread?: VariantSpread } = {},
): readonly Variant[] {
  const { filter = {}, spread = 'pairs' } = options;
  checkFilter(scenario, filter);
  const wanted = scenario.variants.filter(({ axes }) =>
    Object.entries(filter).every(([axis, value]) =>
      Object.entries(axes).some(([name, own]) => name === axis && own === value),
    ),
  );
  const [first] = wanted;
  if (first === undefined) {
    const values = Object.entries(filter).map(([axis, value]) => `${axis}=${value}`);
    throw new HarnessError('USAGE', `${scenario.name} has no variant with ${values.join(' and ')}.`, {
      hint: 'NixOS has no such combination. `imperm list` shows those that can be.',
    });
  }
  if (spread === 'once') return [first];
  if (spread === 'full') return wanted;
  const chosen = choosePairs(wanted.map(({ axes }) => axes));
  return wanted.filter(({ axes }) => chosen.includes(axes));
}

function checkFilter(scenario: ScenarioFile, filter: VariantFilter): void {
  const axes = Object.entries(scenario.axes);
  for (const [axis, value] of Object.entries(filter)) {
    const values = axes.find(([name]) => name === axis)?.[1].map(String);
    if (values === undefined) {
      throw new HarnessError(
        'USAGE',
        `Cannot choose variants of ${scenario.name}: there is no axis "${axis}".`,
        {
          hint: `The axes are: ${axes.map(([name]) => name).join(', ')}.`,
        },
      );
    }
    if (!values.includes(value)) {
      throw new HarnessError(
        'USAGE',
        `Cannot choose variants of ${scenario.name}: its axis "${axis}" has no value "${value}".`,
        {
          hint: `Its values are: ${values.join(', ')}. More can be added under \`matrix\` in ${scenario.file}.`,
        },
      );
    }
  }
}

import { HarnessError } from '../core/index.js';
import { choosePairs } from './axes.js';
import type { ScenarioFile, Variant } from './model.js';

/** Axis name to the one value wanted; axes it does not name keep all their values. */
export type VariantFilter = Readonly<Record<string, string>>;

/**
 * How many variants are wanted: `once` the first of each scenario; `pairs` so many that every pair of values of two axes
 * occurs in one of them, the scenario being an axis, too; `full` all.
 */
export type VariantSpread = 'once' | 'pairs' | 'full';

/**
 * Chooses variants of scenarios.
 *
 * @param scenarios Loaded scenarios.
 * @param options.filter Keeps only the variants with these values; default all.
 * @param options.spread How many of those; default `pairs`.
 * @param options.prefer Leaves out the others of a scenario that has some of these.
 * @returns At least one variant of each scenario, in the order of the scenarios and of their files' values.
 * @throws {HarnessError} `USAGE` when the filter names an axis that does not exist.
 * @throws {HarnessError} `USAGE` when the filter names a value that a scenario's axis does not have.
 * @throws {HarnessError} `USAGE` when the values of the filter cannot be together.
 */
export function selectVariants(
  scenarios: readonly ScenarioFile[],
  options: {
    readonly filter?: VariantFilter;
    readonly spread?: VariantSpread;
    readonly prefer?: (variant: Variant) => boolean;
  } = {},
): readonly Variant[] {
  const { filter = {}, spread = 'pairs', prefer = () => true } = options;
  const wanted = scenarios.map((scenario) => {
    const variants = filterVariants(scenario, filter);
    const preferred = variants.filter(prefer);
    return preferred.length > 0 ? preferred : variants;
  });
  if (spread === 'once') return wanted.flatMap((variants) => variants.slice(0, 1));
  if (spread === 'full') return wanted.flat();
  const points = wanted.flatMap((variants, index) =>
    variants.map((variant) => ({ variant, point: { ...variant.axes, scenario: String(index) } })),
  );
  const chosen = choosePairs(points.map(({ point }) => point));
  return points.filter(({ point }) => chosen.includes(point)).map(({ variant }) => variant);
}

function filterVariants(scenario: ScenarioFile, filter: VariantFilter): readonly Variant[] {
  checkFilter(scenario, filter);
  const wanted = scenario.variants.filter(({ axes }) =>
    Object.entries(filter).every(([axis, value]) =>
      Object.entries(axes).some(([name, own]) => name === axis && own === value),
    ),
  );
  if (wanted.length > 0) return wanted;
  const values = Object.entries(filter).map(([axis, value]) => `${axis}=${value}`);
  throw new HarnessError('USAGE', `${scenario.name} has no variant with ${values.join(' and ')}.`, {
    hint: 'NixOS has no such combination. `imperm list` shows those that can be.',
  });
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

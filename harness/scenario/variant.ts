import { HarnessError } from '../core/index.js';
import type { DiskBus, Scenario, Variant } from './model.js';

/** Axis name to the one value wanted; axes it does not name keep all their values. */
export type VariantFilter = Readonly<Record<string, string>>;

/**
 * Lists the variants of a scenario: one for each combination of its axes' values, in the file's order.
 *
 * @param scenario A loaded scenario.
 * @param filter Keeps only the variants with these values; default all.
 * @returns At least one variant. Disks of each have the variant's bus.
 * @throws {HarnessError} `USAGE` when the filter names an axis that does not exist.
 * @throws {HarnessError} `USAGE` when the filter names a value that the scenario's axis does not have.
 */
export function expandVariants(scenario: Scenario, filter: VariantFilter = {}): readonly Variant[] {
  const axes = Object.entries(scenario.axes);
  for (const [axis, value] of Object.entries(filter)) {
    const values = axes.find(([name]) => name === axis)?.[1] as readonly string[] | undefined;
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
  return scenario.axes.disk
    .filter((bus) => filter['disk'] === undefined || filter['disk'] === bus)
    .map((bus) => variantOf(scenario, bus));
}

function variantOf(scenario: Scenario, disk: DiskBus): Variant {
  return {
    id: `${scenario.name}[disk=${disk}]`,
    axes: { disk },
    scenario: { ...scenario, disks: scenario.disks.map((each) => ({ ...each, bus: disk })) },
  };
}

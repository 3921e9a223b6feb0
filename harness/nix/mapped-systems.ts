import type { ScenarioFile, SystemModel } from '../scenario/index.js';
import { nixSystemNames } from './document.js';
import type { MappedSystem, Mapping } from './evaluate.js';

/** A system of a scenario, with what the mapping makes of it. */
export interface SystemAndMapped {
  readonly name: string;
  readonly system: SystemModel;
  readonly mapped: MappedSystem;
}

/**
 * Every system of the scenarios, once.
 *
 * @throws {Error} when the mapping lacks one.
 */
export function pairWithMapping(
  scenarios: readonly ScenarioFile[],
  mapping: Mapping,
): readonly SystemAndMapped[] {
  return scenarios.flatMap((scenario) => {
    const names = nixSystemNames(scenario);
    return scenario.variants.flatMap(({ scenario: { system } }, index) => {
      const name = names[index];
      if (name === undefined) return [];
      const mapped = mapping[scenario.name]?.[name];
      if (mapped === undefined) throw new Error(`the mapping has no ${name}`);
      return names.indexOf(name) === index ? [{ name, system, mapped }] : [];
    });
  });
}

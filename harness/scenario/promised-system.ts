import type { Scenario, SystemModel } from './model.js';

/** The system that the promises of a scenario speak of: where canaries lie and what is looked at follows from it. */
export function promisedSystem(scenario: Scenario): SystemModel {
  return scenario.promised ?? scenario.system;
}

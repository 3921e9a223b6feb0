import { HarnessError } from '../core/index.js';
import { loadScenarios } from '../scenario/index.js';
import { makeNixDocument, renderNixDocument } from '../nix/index.js';
import { findScenario } from './select.js';

/**
 * Prints what nix/ makes NixOS systems of.
 *
 * @throws {HarnessError} USAGE when no variant of the scenario can be a NixOS system.
 */
export async function nix(name: string): Promise<void> {
  for (const scenario of await loadScenarios([await findScenario(name)])) {
    const document = makeNixDocument(scenario);
    if (Object.keys(document.systems).length === 0)
      throw new HarnessError('USAGE', `${scenario.name} cannot be a NixOS system.`, {
        details: Object.entries(document.notMapped)
          .map(([axes, reason]) => `${axes}: ${reason}`)
          .join('\n'),
      });
    process.stdout.write(renderNixDocument(document));
  }
}

import { loadScenarios } from '../scenario/index.js';
import { makeNixDocument, renderNixDocument } from '../nix/index.js';
import { findScenario } from './select.js';

/** Prints what nix/ makes NixOS systems of. */
export async function nix(name: string): Promise<void> {
  const scenarios = await loadScenarios([await findScenario(name)]);
  for (const scenario of scenarios) process.stdout.write(renderNixDocument(makeNixDocument(scenario)));
}

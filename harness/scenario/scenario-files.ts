import path from 'node:path';

import type { ScenarioFile } from './model.js';

/**
 * The files that a scenario is made of: its own, those that it extends as far as they say anything of it, and the scripts
 * and modules that they name.
 *
 * @returns As the scenario names them, each once, its own first.
 */
export function listScenarioFiles(scenario: ScenarioFile): readonly string[] {
  const files = new Set<string>([scenario.file]);
  const seen = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    const entries = value instanceof Map ? [...value.values()] : Object.values(value);
    for (const entry of entries) visit(entry);
    // A place in a file, or a script with its text.
    const { file, line, text } = value as { file?: unknown; line?: unknown; text?: unknown };
    if (typeof file === 'string' && (typeof line === 'number' || typeof text === 'string'))
      files.add(path.normalize(file));
  };
  visit(scenario);
  return [...files];
}

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { HarnessError } from '../core/index.js';
import type { Scenario, ScenarioFile } from './model.js';
import { problemsError } from './problem.js';
import { readChain } from './read-chain.js';
import { resolveChain, SCENARIO_FILE } from './resolve-chain.js';

/**
 * Loads a scenario and everything that it extends. Nothing of it is run.
 *
 * @param file Path of the scenario file.
 * @returns The scenario at the first point of its matrix, with all defaults filled in.
 * @throws {HarnessError} `SCENARIO_INVALID` when it cannot be used, with all problems in `details`.
 */
export async function loadScenario(file: string): Promise<Scenario> {
  const [loaded] = await loadScenarios([file]);
  const scenario = loaded?.variants[0]?.scenario;
  if (scenario === undefined) throw new HarnessError('INTERNAL', `Internal error: ${file} gave no scenario.`);
  return scenario;
}

/**
 * Loads several scenarios, and shows the problems of all of them at once.
 *
 * @param files Paths of scenario files.
 * @returns The scenarios, in the order of the files.
 * @throws {HarnessError} `SCENARIO_INVALID` when one cannot be used or two have one name, with all problems in
 * `details`.
 */
export async function loadScenarios(files: readonly string[]): Promise<readonly ScenarioFile[]> {
  const loaded = await Promise.all(files.map(async (file) => resolveChain(file, await readChain(file))));
  const problems = loaded.flatMap((each) => each.problems);
  const scenarios = loaded.flatMap(({ scenario }) => (scenario === undefined ? [] : [scenario]));
  const byName = new Map<string, ScenarioFile>();
  for (const scenario of scenarios) {
    const other = byName.get(scenario.name);
    byName.set(scenario.name, other ?? scenario);
    if (other === undefined) continue;
    const message = `the name ${scenario.name} is taken by ${other.file}; reports would not tell them apart`;
    problems.push({ place: { file: scenario.file, line: 1, col: 1 }, message });
  }
  if (problems.length > 0) throw problemsError(problems);
  return scenarios;
}

/**
 * Finds the scenarios of a folder: the file `scenario.yaml` in each folder directly below it.
 *
 * @param folder Such as `scenarios`.
 * @returns Paths of the files, sorted by name.
 * @throws {HarnessError} `USAGE` when the folder cannot be read.
 */
export async function findScenarios(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    const contents = await Promise.all(names.map((name) => readdir(path.join(folder, name))));
    return names
      .filter((_, index) => contents[index]?.includes(SCENARIO_FILE))
      .sort()
      .map((name) => path.join(folder, name, SCENARIO_FILE));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new HarnessError('USAGE', `Cannot look for scenarios in ${folder}: ${code}.`, {
      hint: 'Name the file of a scenario, or call imperm in a folder that has a folder "scenarios".',
      cause: error,
    });
  }
}

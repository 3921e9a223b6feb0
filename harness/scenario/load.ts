import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { HarnessError } from '../core/index.js';
import { checkScenario } from './check-scenario.js';
import { checkShape } from './check-shape.js';
import type { Scenario, ScenarioFile } from './model.js';
import { problemsError, type Problem } from './problem.js';
import { readChain, showFile } from './read-chain.js';
import { readScripts } from './read-scripts.js';
import { resolvePoints, resolveVariants } from './resolve-points.js';
import { RuleContext } from './rule-context.js';
import { scenarioSchema, type ScenarioInput } from './schema.js';

/** The name of the file that gives a scenario its folder's name. */
const SCENARIO_FILE = 'scenario.yaml';

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
  const loaded = await Promise.all(files.map(loadOne));
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

interface Loaded {
  readonly scenario?: ScenarioFile;
  readonly problems: Problem[];
}

async function loadOne(file: string): Promise<Loaded> {
  const shown = showFile(file);
  const chain = await readChain(file);
  const problems = [...chain.problems];
  const name = nameOf(file);
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) {
    const message = `the scenario's name would be "${name}"; it must consist of a-z, 0-9, ".", "-" and "_"`;
    problems.push({ place: { file: shown, line: 1, col: 1 }, message });
  }
  const { root, folders } = chain;
  if (root === undefined) return { problems };

  const shape = checkShape(root, { schema: scenarioSchema, name: 'scenario' });
  const { input } = shape;
  const rules = new RuleContext(root, shape.removed);
  checkScenario(input, rules);
  problems.push(...shape.problems);

  const scripts = await readScripts(input, { root, folders, rules });
  problems.push(...rules.problems);

  // The promises that follow from a broken system would only be in the way of its own problems.
  const isSystemUsable =
    rules.isWhole(['system']) &&
    rules.isWhole(['image']) &&
    (scripts.rollback !== undefined || input.system?.rollback === null);
  if (input.system === undefined || input.promises === undefined || !isSystemUsable) return { problems };
  const resolved = resolvePoints(
    {
      matrix: input.matrix,
      system: input.system,
      disks: input.disks,
      image: input.image,
      promises: input.promises,
      expect: input.expect,
    },
    { root, scripts },
  );
  problems.push(...resolved.problems);
  if (problems.length > 0) return { problems };
  return {
    problems,
    scenario: resolveVariants(input as ScenarioInput, {
      name,
      file: shown,
      root,
      scripts,
      resolved,
    }),
  };
}

function nameOf(file: string): string {
  const { base, name, dir } = path.parse(path.resolve(file));
  return base === SCENARIO_FILE ? path.basename(dir) : name;
}

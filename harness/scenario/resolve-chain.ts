import path from 'node:path';
import { checkScenario } from './check-scenario.js';
import { checkShape } from './check-shape.js';
import type { ScenarioFile } from './model.js';
import type { Problem } from './problem.js';
import { type ScenarioChain, showFile } from './read-chain.js';
import { readScripts } from './read-scripts.js';
import { resolvePoints, resolveVariants } from './resolve-points.js';
import { RuleContext } from './rule-context.js';
import { scenarioSchema, type ScenarioInput } from './schema.js';

/** The name of the file that gives a scenario its folder's name. */
export const SCENARIO_FILE = 'scenario.yaml';

/** A scenario file after all checks. */
export interface Resolved {
  /** Absent when there are problems. */
  readonly scenario?: ScenarioFile;
  readonly problems: Problem[];
}

/**
 * Checks a scenario file that has been read, and makes its variants.
 *
 * @param file Path of the file.
 * @param chain What it holds, with all that it extends. What is malformed is taken out of its tree.
 */
export async function resolveChain(file: string, chain: ScenarioChain): Promise<Resolved> {
  const shown = showFile(file);
  const problems = [...chain.problems];
  const name = nameOf(file);
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) {
    const message = `the scenario's name would be "${name}"; it must consist of a-z, 0-9, ".", "-" and "_"`;
    problems.push({ place: { file: shown, line: 1, col: 1 }, message });
  }
  const { root, files } = chain;
  if (root === undefined) return { problems };

  const shape = checkShape(root, { schema: scenarioSchema, name: 'scenario' });
  const { input } = shape;
  const rules = new RuleContext(root, shape.removed);
  checkScenario(input, rules);
  problems.push(...shape.problems);

  const scripts = await readScripts(input, { root, folders: files.map((each) => path.dirname(each)), rules });
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

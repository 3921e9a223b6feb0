import type { Place } from '../core/index.js';
import { editLocated, type ScenarioEdit } from './edit.js';
import { locate, placeOf, plainOf, type Path } from './located.js';
import type { ScenarioFile } from './model.js';
import { problemsError } from './problem.js';
import { readChain } from './read-chain.js';
import { resolveChain } from './resolve-chain.js';

/** A scenario file that can also be loaded with differences. Files are never written. */
export interface ScenarioSource {
  /** As it is. */
  readonly scenario: ScenarioFile;
  /** Absolute paths of the file and of all that it extends, in this order. */
  readonly files: readonly string[];
  /** What the file says at a path, all that it extends included; undefined when nothing. */
  valueAt(path: Path): unknown;
  /** Where it says so, or the nearest thing above. */
  placeAt(path: Path): Place;
  /**
   * Loads the file as if it were written with differences.
   *
   * @throws {HarnessError} `SCENARIO_INVALID` when it could not be used then, with all problems in `details`.
   */
  load(edits: readonly ScenarioEdit[]): Promise<ScenarioFile>;
}

/**
 * Reads a scenario and everything that it extends, once for all its differences. Nothing of it is run.
 *
 * @param file Path of the scenario file.
 * @throws {HarnessError} `SCENARIO_INVALID` when it cannot be used.
 */
export async function openScenario(file: string): Promise<ScenarioSource> {
  const chain = await readChain(file);
  const load = async (edits: readonly ScenarioEdit[]): Promise<ScenarioFile> => {
    const changed = chain.root === undefined ? {} : { root: editLocated(chain.root, edits) };
    const { scenario, problems } = await resolveChain(file, { ...chain, ...changed });
    if (scenario === undefined) throw problemsError(problems);
    return scenario;
  };
  const scenario = await load([]);
  const { root, files } = chain;
  return {
    scenario,
    files,
    load,
    valueAt: (path) => {
      const node = root === undefined ? undefined : locate(root, path);
      return node === undefined ? undefined : plainOf(node);
    },
    placeAt: (path) => (root === undefined ? { file, line: 1, col: 1 } : placeOf(root, path)),
  };
}

import { stat } from 'node:fs/promises';
import path from 'node:path';

import { distance } from 'fastest-levenshtein';

import { HarnessError, repositoryRoot } from '../core/index.js';
import type { TargetOptions } from './options.js';
import {
  findScenarios,
  loadScenarios,
  selectVariants as chooseVariants,
  type Variant,
  type VariantSpread,
} from '../scenario/index.js';

export const SCENARIOS_DIR = path.join(repositoryRoot, 'scenarios');
/** What `npm start` runs. */
const DEFAULT_SCENARIO = 'btrfs-luks-rollback';

export interface SelectOptions {
  readonly all?: boolean;
  /** `axis=value`, several times. */
  readonly variant?: readonly string[];
  /** The first variant of each scenario. */
  readonly once?: boolean;
  /** Every variant. Neither: so many that every pair of values occurs. */
  readonly full?: boolean;
}

/**
 * The variants that were asked for.
 *
 * @throws {HarnessError} USAGE for a name that is neither a scenario nor a file; SCENARIO_INVALID.
 */
export async function selectVariants(
  names: readonly string[],
  options: SelectOptions & Pick<TargetOptions, 'target'>,
): Promise<readonly Variant[]> {
  const files =
    options.all === true
      ? await findScenarios(SCENARIOS_DIR)
      : (await Promise.all((names.length === 0 ? [DEFAULT_SCENARIO] : names).map(findFiles))).flat();
  const scenarios = await loadScenarios(files);
  const filter = readFilter(options.variant ?? []);
  if (options.once === true && options.full === true)
    throw new HarnessError('USAGE', '--once and --full cannot be together');
  const spread: VariantSpread = options.once === true ? 'once' : options.full === true ? 'full' : 'pairs';
  // The disks of a real machine are what they are.
  const prefer = ({ choices }: Variant): boolean =>
    options.target !== 'hardware' || !choices.includes('disk=virtio');
  return chooseVariants(scenarios, { filter, spread, prefer });
}

/** The files that a name stands for: that of a scenario, or all in a folder of scenarios, such as `bugs`. */
async function findFiles(name: string): Promise<readonly string[]> {
  for (const folder of [name, path.join(SCENARIOS_DIR, name)]) {
    const info = await stat(folder).catch(() => undefined);
    const own = await stat(path.join(folder, 'scenario.yaml')).catch(() => undefined);
    if (info?.isDirectory() !== true || own !== undefined) continue;
    const found = await findScenarios(folder);
    if (found.length > 0) return found;
  }
  return [await findScenario(name)];
}

/**
 * Reads `axis=value`.
 *
 * @throws {HarnessError} USAGE for anything else.
 */
export function readFilter(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const [axis = '', value] = text.split('=');
      if (value === undefined) throw new HarnessError('USAGE', `--variant takes axis=value, not "${text}"`);
      return [axis, value];
    }),
  );
}

/**
 * The file of a scenario.
 *
 * @param name A name below scenarios/, or a path. Default: the scenario that is run when none is named.
 * @throws {HarnessError} USAGE when there is none.
 */
export async function findScenario(name = DEFAULT_SCENARIO): Promise<string> {
  const candidates = [
    name,
    path.join(name, 'scenario.yaml'),
    path.join(SCENARIOS_DIR, name, 'scenario.yaml'),
    path.join(SCENARIOS_DIR, `${name}.yaml`),
  ];
  for (const candidate of candidates) {
    const info = await stat(candidate).catch(() => undefined);
    if (info?.isFile() === true) return candidate;
  }
  const known = (await findScenarios(SCENARIOS_DIR)).map((file) => path.basename(path.dirname(file)));
  const [closest] = [...known].sort((a, b) => distance(a, name) - distance(b, name));
  throw new HarnessError('USAGE', `There is no scenario or file "${name}"`, {
    hint:
      closest !== undefined && distance(closest, name) <= 4
        ? `Did you mean ${closest}? \`imperm list\` shows all.`
        : '`imperm list` shows all scenarios; a file is named by its path.',
  });
}

import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { repositoryRoot } from '../core/index.js';
import type { ScenarioFile } from '../scenario/index.js';
import type { Mapping } from './evaluate.js';

/** The reviewed results of the mapping, one file for each scenario. */
export const GOLDEN_DIR = path.join(repositoryRoot, 'harness/nix/golden');

type Values = Readonly<Record<string, unknown>>;

/** A system as it is reviewed: whole, or as a JSON merge patch (RFC 7396) of the one that it is most like. */
type Reviewed = Values | { readonly like: string; readonly but: Values };

/**
 * Makes what is reviewed of the mapping. It tells apart whatever the mapping tells apart, and shows of a broken layout
 * what is broken in it. The texts for stage 1 are left out: they are compared with those of the debian guest.
 *
 * @returns By scenario, by system.
 */
export async function summarizeMapping(
  mapping: Mapping,
  scenarios: readonly ScenarioFile[],
): Promise<Readonly<Record<string, Readonly<Record<string, Reviewed>>>>> {
  const parents = new Map(
    await Promise.all(scenarios.map(async (each) => [each.name, await readParent(each)] as const)),
  );
  const optionsOf = (scenario = ''): [string, Values][] =>
    Object.entries(mapping[scenario] ?? {}).map(([name, { options, persistence }]) => [
      name,
      { options, persistence },
    ]);
  return Object.fromEntries(
    Object.keys(mapping).map((scenario) => {
      const known = optionsOf(parents.get(scenario));
      const reviewed = optionsOf(scenario).map(([name, values]) => {
        const [shortest] = known
          .map(([like, from]) => ({ like, but: diff(from, values) }))
          .sort((a, b) => JSON.stringify(a).length - JSON.stringify(b).length);
        known.push([name, values]);
        return [name, shortest ?? values] as const;
      });
      return [scenario, Object.fromEntries(reviewed)];
    }),
  );
}

/** The name of the scenario that a scenario extends. */
async function readParent({ file }: ScenarioFile): Promise<string | undefined> {
  const [, parent] = /^extends: (.+)$/m.exec(await readFile(file, 'utf8')) ?? [];
  return parent === undefined
    ? undefined
    : path.basename(path.dirname(path.resolve(path.dirname(file), parent)));
}

/** The JSON merge patch that makes one object another. */
function diff(from: Values, to: Values): Values {
  const removed = Object.keys(from).filter((key) => !(key in to));
  const changed = Object.entries(to).flatMap(([key, value]): [string, unknown][] => {
    const before = from[key];
    if (JSON.stringify(before) === JSON.stringify(value)) return [];
    return [[key, isValues(before) && isValues(value) ? diff(before, value) : value]];
  });
  return Object.fromEntries([...removed.map((key) => [key, null] as const), ...changed]);
}

function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

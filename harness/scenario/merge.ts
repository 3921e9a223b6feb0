import { formatPath, type Located, type LocatedMap, type Path } from './located.js';
import type { Problem } from './problem.js';

/**
 * Lays a scenario over the one that it extends: maps merge deeply, lists and scalars replace, null removes a key.
 * A merged map has the place of the upper one; everything else keeps its own.
 *
 * @param lower The scenario that is extended.
 * @param upper The difference to it.
 * @returns The whole scenario, and a problem for each removal of a key that is not there: it is most likely
 * misspelt, and the layout would silently be another one.
 */
export function mergeLocated(
  lower: Located,
  upper: Located,
): { merged: Located; problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const merged = mergeValues(lower, upper, []);
  return { merged, problems };

  function mergeValues(below: Located | undefined, above: Located, path: Path): Located {
    if (!(above.value instanceof Map)) return above;
    const result: LocatedMap = new Map(below?.value instanceof Map ? below.value : []);
    for (const [key, value] of above.value) {
      const keyPath = [...path, key];
      if (value.value !== null || value.isRefused === true) {
        result.set(key, mergeValues(result.get(key), value, keyPath));
      } else if (!result.delete(key)) {
        const place = value.keyPlace ?? value.place;
        problems.push({ place, message: `${formatPath(keyPath)} is null, but there is nothing to remove` });
      }
    }
    return { ...above, value: result };
  }
}

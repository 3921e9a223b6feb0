import { HarnessError } from '../core/index.js';
import { formatPath, locate, type Located, type LocatedMap, type Path } from './located.js';

/** One difference to what a scenario file says, all that it extends included. */
export type ScenarioEdit =
  /** Puts a plain value (texts, numbers, lists, maps) at a path, in the place of what is there. */
  | { readonly at: Path; readonly set: unknown }
  | { readonly at: Path; readonly remove: true }
  /** Gives the key at the end of a path another name. */
  | { readonly at: Path; readonly rename: string };

/**
 * Makes a changed copy of a scenario. What is changed has the place of what it stands for, so that messages lead to lines
 * that exist.
 *
 * @param root Stays as it is.
 * @param edits Done in their order. `set` may add a key to a map; a key that is not there need not be removed.
 * @throws {HarnessError} `INTERNAL` when a path leads nowhere: the copy would be no other scenario.
 */
export function editLocated(root: Located, edits: readonly ScenarioEdit[]): Located {
  const copy = copyOf(root);
  for (const edit of edits) {
    const parent = locate(copy, edit.at.slice(0, -1));
    const last = edit.at.at(-1);
    if (parent?.value instanceof Map) editMap(parent, parent.value, String(last), edit);
    else if (Array.isArray(parent?.value) && typeof last === 'number' && last < parent.value.length)
      editList(parent, parent.value, last, edit);
    else
      throw new HarnessError('INTERNAL', `Internal error: nothing can be changed at ${formatPath(edit.at)}`);
  }
  return copy;
}

function editMap(parent: Located, map: LocatedMap, key: string, edit: ScenarioEdit): void {
  const old = map.get(key);
  if ('set' in edit) map.set(key, locatedOf(edit.set, old ?? parent));
  else if ('remove' in edit) map.delete(key);
  else if (old !== undefined) {
    // The order of keys is the order of mounts, disks and users.
    const entries = [...map].map(([name, value]) => [name === key ? edit.rename : name, value] as const);
    map.clear();
    for (const [name, value] of entries) map.set(name, value);
  }
}

function editList(parent: Located, list: Located[], index: number, edit: ScenarioEdit): void {
  if ('set' in edit) list[index] = locatedOf(edit.set, list[index] ?? parent);
  else if ('remove' in edit) list.splice(index, 1);
}

function copyOf(node: Located): Located {
  const { value } = node;
  if (Array.isArray(value)) return { ...node, value: value.map(copyOf) };
  if (value instanceof Map)
    return { ...node, value: new Map([...value].map(([key, each]) => [key, copyOf(each)])) };
  return { ...node };
}

function locatedOf(plain: unknown, old: Located): Located {
  const { place, folder, keyPlace } = old;
  const base = { place, folder, ...(keyPlace === undefined ? {} : { keyPlace }) };
  if (Array.isArray(plain)) return { ...base, value: plain.map((each) => locatedOf(each, old)) };
  if (typeof plain === 'object' && plain !== null)
    return {
      ...base,
      value: new Map(Object.entries(plain).map(([key, each]) => [key, locatedOf(each, old)])),
    };
  return { ...base, value: plain as string | number | boolean | null };
}

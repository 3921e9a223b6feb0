import type { Place } from '../core/index.js';

/** A value of a scenario file that still knows where it was written. */
export interface Located {
  readonly value: LocatedValue;
  /** Where the value begins. */
  readonly place: Place;
  /** Where its key begins, for the values of a map. */
  readonly keyPlace?: Place;
  /** Absolute path of the folder of the file that the value was written in. */
  readonly folder: string;
  /** A scalar as written: `0700`, where the value is the number 700. */
  readonly source?: string;
  /** Stands for a value that was not read, with a problem noted; its form says nothing more. */
  readonly isRefused?: boolean;
}

export type LocatedMap = Map<string, Located>;
export type LocatedValue = string | number | boolean | null | Located[] | LocatedMap;

/** Keys and list indices from the root of a scenario to a value. */
export type Path = readonly (string | number)[];

/**
 * Follows a path.
 *
 * @returns The value there; undefined when there is none.
 */
export function locate(root: Located, path: Path): Located | undefined {
  let node: Located | undefined = root;
  for (const step of path) {
    if (node?.value instanceof Map) node = node.value.get(String(step));
    else if (Array.isArray(node?.value) && typeof step === 'number') node = node.value[step];
    else return undefined;
  }
  return node;
}

/**
 * Finds the place to show for a path: of a map or list its key, of a scalar the scalar itself. When there is
 * nothing at the path, the place of the nearest value above it.
 *
 * @param of `key` asks for the key of a scalar, too.
 */
export function placeOf(root: Located, path: Path, of: 'declaration' | 'key' = 'declaration'): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = locate(root, path.slice(0, length));
    if (node === undefined) continue;
    const isScalar = node.value !== null && typeof node.value !== 'object';
    return isScalar && of === 'declaration' ? node.place : (node.keyPlace ?? node.place);
  }
  return root.place;
}

/** Takes the value at a path out of the tree; what is after it in a list moves up. */
export function removeAt(root: Located, path: Path): void {
  const parent = locate(root, path.slice(0, -1));
  const last = path.at(-1);
  if (parent?.value instanceof Map) parent.value.delete(String(last));
  else if (Array.isArray(parent?.value) && typeof last === 'number') parent.value.splice(last, 1);
}

/** The bare value, without places. */
export function plainOf(node: Located): unknown {
  if (Array.isArray(node.value)) return node.value.map(plainOf);
  if (node.value instanceof Map) {
    return Object.fromEntries([...node.value].map(([key, value]) => [key, plainOf(value)]));
  }
  return node.value;
}

/** A path as NixOS users write it: `system.fileSystems."/persist".options[0]`. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${String(step)}]`;
      const name = /^[A-Za-z_][A-Za-z0-9_-]*$/.test(step) ? step : JSON.stringify(step);
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

import { placeOf, type Located, type Path } from './located.js';
import type { Problem } from './problem.js';

/** What a rule about several values of a scenario needs. */
export class RuleContext {
  readonly problems: Problem[] = [];
  readonly #root: Located;
  readonly #removed: readonly Path[];

  constructor(root: Located, removed: readonly Path[]) {
    this.#root = root;
    this.#removed = removed;
  }

  /** Notes a problem at the value, or for a map or list at its key. */
  report(path: Path, message: string): void {
    this.problems.push({ place: placeOf(this.#root, path), message });
  }

  /** Notes a problem at a key whose value may be right. */
  reportKey(path: Path, message: string): void {
    this.problems.push({ place: placeOf(this.#root, path, 'key'), message });
  }

  /** False when something at or below the path was malformed: then nothing can be said to be missing there. */
  isWhole(path: Path): boolean {
    return !this.#removed.some((removed) => {
      const length = Math.min(path.length, removed.length);
      return path.slice(0, length).every((step, index) => step === removed[index]);
    });
  }
}

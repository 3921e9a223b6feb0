import { mutateInstall } from './install-mutants.js';
import { mutateMounts } from './mount-mutants.js';
import type { Mutant, Original } from './mutant.js';
import { mutateDevices, mutateIdentity } from './other-mutants.js';
import { mutatePersistence } from './persistence-mutants.js';
import { mutateRollback } from './rollback-mutants.js';

/**
 * Makes every mutant of a layout. Pure: nothing is run, and the same layout always gives the same mutants.
 *
 * @returns Those of the rollback first; their ids are unique.
 */
export function makeMutants(original: Original): readonly Mutant[] {
  const all = [
    ...mutateRollback(original),
    ...mutateInstall(original),
    ...mutateMounts(original),
    ...mutatePersistence(original),
    ...mutateIdentity(original),
    ...mutateDevices(original),
  ];
  const seen = new Map<string, number>();
  return all.map((mutant) => {
    const count = (seen.get(mutant.id) ?? 0) + 1;
    seen.set(mutant.id, count);
    return count === 1 ? mutant : { ...mutant, id: `${mutant.id}#${String(count)}` };
  });
}

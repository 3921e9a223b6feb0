import { isAtOrBelow, type Scenario } from '../scenario/index.js';
import { collapse, type Collapsed, comparePaths, NEW } from './collapse.js';
import { compareRoots, isCanary, modeOf, nameOwner } from './compare-roots.js';
import { findOrphans } from './find-orphans.js';
import type { Leak, LeakEvidence, Leaks } from './leak.js';
import { renderNix } from './leak-nix.js';
import type { Listing } from './listing.js';
import { findOwner, type OwnerEvidence } from './owners.js';

type RootLeaks = Pick<Leaks, 'lost' | 'remade' | 'nix' | 'missing'>;

/** What the next boot would lose, what every boot makes anew, and what is kept although nothing declares it. */
export function findLeaks(scenario: Scenario, evidence: LeakEvidence): Leaks {
  const root = findRootLeaks(scenario, evidence);
  const stores = [...evidence.stores];
  const problems = stores.flatMap(([path, { problem }]) =>
    problem === undefined ? [] : [`What lies in ${path} could not be read: ${problem}`],
  );
  const orphans = stores.flatMap(([path, { entries }]) =>
    entries === undefined ? [] : orphansIn(scenario, path, { entries, owners: evidence.owners }),
  );
  const owners = evidence.owners === undefined ? ['The system was not asked which unit owns what.'] : [];
  return {
    version: 1,
    view: evidence.end.view,
    ...root,
    ...(problems.length > 0 ? {} : { orphans }),
    stores: stores.map(([path]) => path),
    missing: [...root.missing, ...problems, ...owners],
  };
}

function findRootLeaks(scenario: Scenario, evidence: LeakEvidence): RootLeaks {
  const { fresh, lastBoot, end, owners } = evidence;
  const unknown = (why: string): RootLeaks => ({ missing: [why], nix: '' });
  const own = fresh.get(lastBoot);
  const boot = String(lastBoot);
  if (own === undefined) return unknown(`The root was not listed at the start of boot ${boot}.`);
  if (own.entries === undefined)
    return unknown(`The root could not be listed at the start of boot ${boot}: ${own.problem}`);
  if (end.tree.entries === undefined)
    return unknown(`The root could not be listed at the end of boot ${boot}: ${end.tree.problem}`);
  if ([...own.entries.keys()].some(isCanary))
    return unknown(
      `What was planted on the root in an earlier boot was still there at the start of boot ${boot}: the root is not wiped, so that nothing on it is lost.`,
    );
  const others = [...fresh]
    .filter(([number]) => number !== lastBoot)
    .flatMap(([, { entries }]) => (entries === undefined ? [] : [entries]));
  const names = owners === undefined ? {} : { names: owners };
  const compared = compareRoots(end.tree.entries, { own: own.entries, others, ...names });
  const tell = (found: ReadonlyMap<string, readonly string[]>): Leak[] =>
    collapse(found, compared.end).map((each) => describeLeak(each, each.facts.path, owners));
  const lost = tell(compared.lost);
  const nixOf = (leaks: readonly Leak[]): string => renderNix(leaks, { scenario, end: compared.end, owners });
  if (others.length === 0) {
    const missing = ['There was only one boot: what each boot makes anew cannot be told.'];
    return { lost, missing, nix: nixOf(lost) };
  }
  const remade = tell(compared.remade);
  return { lost, remade, missing: [], nix: nixOf([...lost, ...remade]) };
}

function orphansIn(
  scenario: Scenario,
  store: string,
  { entries, owners }: { readonly entries: Listing; readonly owners: OwnerEvidence | undefined },
): Leak[] {
  const { all, orphans } = findOrphans(scenario, store, entries);
  const found = new Map([...orphans].map((path) => [path, [NEW]]));
  const roots = scenario.system.persistence.map(({ root }) => root).sort((a, b) => b.length - a.length);
  return collapse(found, all, { onlyNew: true })
    .map((each) => {
      const { path } = each.facts;
      const root = roots.find((one) => isAtOrBelow(path, one) && one !== '/');
      // In the store things lie at the path at which the system would have them.
      const place = path.slice((root ?? store).length);
      return describeLeak({ ...each, changes: ['not declared'] }, place, owners);
    })
    .sort((a, b) => comparePaths(a.path, b.path));
}

/** @param place The path in the system by which its owner is known. */
function describeLeak(
  { facts, kind, changes, content }: Collapsed,
  place: string,
  owners: OwnerEvidence | undefined,
): Leak {
  const owner = findOwner(place, owners?.owners ?? []);
  return {
    path: facts.path,
    kind,
    changes,
    mode: modeOf(facts),
    ...nameOwner(facts, owners),
    ...(kind === 'file' ? { sizeBytes: facts.sizeBytes } : {}),
    ...(kind === 'link' ? { target: facts.target } : {}),
    ...(content === undefined ? {} : { content }),
    owner: owner?.name ?? 'unknown',
    ...(owner === undefined ? {} : { because: owner.because }),
  };
}

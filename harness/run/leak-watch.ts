import { asHarnessError } from '../core/index.js';
import {
  type BootEvidence,
  type Collection,
  collectOwners,
  collectRoot,
  type DiskTree,
  findLeaks,
  type Leaks,
  type OwnerEvidence,
  planDiskTrees,
  ROOT_TREE,
  type Tree,
} from '../probe/index.js';
import { LEAKS_FILE, summarizeLeaks } from '../record/index.js';
import { findRoot, type Scenario } from '../scenario/index.js';
import { makeBoundary } from './boundary.js';
import type { VariantContext } from './context.js';
import type { FindingLog } from './findings.js';

/** Asks the running system. */
type Ask = <T>(collection: Collection<T>, label: string) => Promise<T>;

/**
 * Gathers over the boots of a variant what leaks are found by. It is information beside the promises: what cannot be
 * read is said in its result, and never costs the variant its verdict.
 */
export class LeakWatch {
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #fresh = new Map<number, Tree>();
  #last: BootEvidence | undefined;
  #end: Tree | undefined;
  #owners: OwnerEvidence | undefined;

  constructor(scenario: Scenario, context: VariantContext) {
    this.#scenario = scenario;
    this.#context = context;
  }

  /** Lists the root of a boot in which nobody has done anything yet. */
  async lookAtStart(evidence: BootEvidence, ask: Ask): Promise<void> {
    // Nothing is known of any boot then, so that nobody looks at the end of the last one or at the disk either.
    if (this.#context.brief === true) return;
    const { boot } = evidence;
    const tree = await this.#list(ask, evidence, `the root at the start of boot ${String(boot)}`);
    this.#last = evidence;
    this.#fresh.set(boot, tree);
  }

  /** What only the running system can tell: who owns what, and a root that is gone when the power is off. */
  async lookAtEnd(boot: number, ask: Ask): Promise<void> {
    const last = this.#last;
    if (last === undefined) return;
    await this.#context.phases.run(
      'look-at-end',
      async () => {
        if (!this.#isRootOnDisk)
          this.#end = await this.#list(ask, last, 'the root at the end of the last boot');
        try {
          this.#owners = await ask(collectOwners({ boundary: makeBoundary() }), 'the owners of paths');
        } catch (thrown) {
          this.#passOnInterruption(thrown);
        }
      },
      boot,
    );
  }

  /** What the inspector has to list. */
  get diskTrees(): readonly DiskTree[] {
    return this.#last === undefined ? [] : planDiskTrees(this.#scenario, this.#last);
  }

  /**
   * Tells what leaked.
   *
   * @param trees From the powered-off disk.
   * @param wasCut The last boot did not come up, or did not come to its end.
   */
  async report(trees: ReadonlyMap<string, Tree>, log: FindingLog, wasCut: boolean): Promise<void> {
    const { emit, variant, brief } = this.#context;
    if (brief === true) return;
    for (const [boot, tree] of this.#fresh) await log.save(`root-${String(boot)}.json`, printTree(tree));
    const onDisk = trees.get(ROOT_TREE);
    const end = onDisk ?? this.#end ?? { problem: 'it was not looked at' };
    await log.save('root-end.json', printTree(end));
    const stores = new Map([...trees].filter(([name]) => name !== ROOT_TREE));
    const leaks: Leaks = wasCut
      ? {
          version: 1,
          view: 'disk',
          stores: [],
          missing: ['The last boot did not come up or to its end, so that there is nothing to compare.'],
          nix: '',
        }
      : findLeaks(this.#scenario, {
          fresh: this.#fresh,
          lastBoot: this.#last?.boot ?? 0,
          end: { view: onDisk === undefined ? 'running' : 'disk', tree: end },
          stores,
          ...(this.#owners === undefined ? {} : { owners: this.#owners }),
        });
    await log.save(LEAKS_FILE, leaks);
    emit({ type: 'leaks', variant, leaks: summarizeLeaks(leaks) });
  }

  get #isRootOnDisk(): boolean {
    const root = findRoot(this.#scenario.system.fileSystems);
    return root?.device.startsWith('/dev/') === true;
  }

  async #list(ask: Ask, evidence: BootEvidence, label: string): Promise<Tree> {
    try {
      return await ask(collectRoot(evidence, { boundary: makeBoundary() }), label);
    } catch (thrown) {
      this.#passOnInterruption(thrown);
      return { problem: asHarnessError(thrown).message };
    }
  }

  #passOnInterruption(thrown: unknown): void {
    if (this.#context.signal.aborted) throw thrown;
  }
}

/** One line for each path, so that two files can be compared by eye. */
function printTree(tree: Tree): unknown {
  if (tree.entries === undefined) return tree;
  return Object.fromEntries(
    [...tree.entries.values()]
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map(({ path, type, mode, uid, gid, sizeBytes, mtime, target, digest }) => [
        path,
        [type, mode, `${String(uid)}:${String(gid)}`, sizeBytes, mtime, digest ?? target].join(' '),
      ]),
  );
}

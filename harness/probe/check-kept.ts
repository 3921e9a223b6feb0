import { distance } from 'fastest-levenshtein';

import type { KeptPromise } from '../scenario/index.js';
import { describeOtherOwner } from './accounts.js';
import { type BootContext, count, type Finding, findMount } from './finding.js';
import type { FileFacts } from './listing.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;

/** What is at or below a path came through unchanged, and lies where the layout says it is kept. */
export function checkKept(promise: KeptPromise, context: BootContext): Outcome {
  const misplaced = findMisplaced(promise, context);
  if (promise.of === 'file') return misplaced ?? checkFile(promise, context);
  const folders = context.planted.map(({ plan, evidence }) => ({
    boot: plan.boot,
    folder: plan.kept.get(promise.id) ?? '',
    canaries: evidence.canaries,
  }));
  const expected = folders.flatMap(({ boot, folder, canaries }) =>
    [...canaries.values()]
      .filter(({ path }) => path === folder || path.startsWith(`${folder}/`))
      .map((facts) => ({ boot, facts })),
  );
  const damage = expected.flatMap(({ boot, facts }) =>
    describeDamage(facts, context.evidence.canaries.get(facts.path)).map((text) => ({
      boot,
      text,
      path: facts.path,
    })),
  );
  const [first] = damage;
  if (first === undefined) {
    if (misplaced !== undefined) return misplaced;
    return {
      status: 'pass',
      found:
        expected.length === 0
          ? describePlace(promise, context)
          : `${count(expected.length, 'thing')} of ${count(folders.length, 'earlier boot')} unchanged in content, owner, mode, time, links and attributes`,
    };
  }
  return {
    status: 'fail',
    expected: `${count(expected.length, 'thing')} planted in ${count(folders.length, 'earlier boot')} below ${promise.path} are unchanged`,
    found: `${first.text}${damage.length > 1 ? ` (and ${count(damage.length - 1, 'more difference')})` : ''}; planted in boot ${String(first.boot)}`,
    cause: explainLoss(promise, context),
    evidence: damage.slice(0, 8).map(({ text }) => text),
  };
}

const APPLIED_ONCE =
  'Owner and mode are applied only when the directory is made in the persistent store; it was there before, or its parent was made first by somebody else.';

/** A persisted path has to be the same file as its source in the persistent store. */
function findMisplaced(promise: KeptPromise, context: BootContext): Outcome | undefined {
  if (promise.source === undefined) return undefined;
  const here = context.evidence.paths.get(promise.path);
  const there = context.evidence.paths.get(promise.source);
  const expected = `${promise.path} is ${promise.source}`;
  if (there === undefined)
    return {
      status: 'fail',
      expected,
      found: `${promise.source} does not exist`,
      cause:
        here?.type === 'l'
          ? `${promise.path} is a link to it, as declared, and nobody has made the file yet. Put it there in the install script, or let a step of the scenario write it.`
          : explainLoss(promise, context),
    };
  if (here === undefined)
    return {
      status: 'fail',
      expected,
      found: `${promise.path} does not exist`,
      cause: explainLoss(promise, context),
    };
  const linked = here.type === 'l' && here.target === (promise.link ?? promise.source);
  if (!linked && here.inode !== there.inode) {
    return {
      status: 'fail',
      expected,
      found: `${promise.path} and ${promise.source} are two different files`,
      cause: explainLoss(promise, context),
    };
  }
  if (promise.bound === true && here.type === 'l' && context.evidence.boot > 1) {
    return {
      status: 'fail',
      expected: `${promise.path} is bound to ${promise.source}`,
      found: 'it is a link',
      cause:
        'Programs that write a new file and rename it replace the link, and what they write is lost with the root (impermanence#175). A bind mount refuses that.',
    };
  }
  const owner = describeOtherOwner(promise, there, context.evidence.accounts);
  if (owner !== undefined)
    return {
      status: 'fail',
      expected: `${promise.source} has the ${owner.expected}`,
      found: `it has the ${owner.found}`,
      cause: APPLIED_ONCE,
    };
  if (promise.mode !== undefined && there.mode.padStart(4, '0') !== promise.mode) {
    return {
      status: 'fail',
      expected: `mode ${promise.mode}`,
      found: `${promise.source} has mode ${there.mode.padStart(4, '0')}`,
      cause: APPLIED_ONCE,
    };
  }
  return undefined;
}

function checkFile(promise: KeptPromise, context: BootContext): Outcome {
  const now = context.evidence.paths.get(promise.source ?? promise.path);
  const before = context.previous?.paths.get(promise.source ?? promise.path);
  if (now?.digest === undefined) {
    return {
      status: 'fail',
      expected: `${promise.path} exists`,
      found: 'it does not, or it is no regular file',
      cause: explainLoss(promise, context),
    };
  }
  if (before !== undefined && before.digest !== now.digest) {
    return {
      status: 'fail',
      expected: `the content of boot ${String(context.previous?.boot)}`,
      found: `${promise.path} has another content (SHA-256 ${now.digest.slice(0, 12)}…, before ${before.digest?.slice(0, 12) ?? 'none'}…)`,
      cause: 'Something writes the file anew at boot, or replaced it and the replacement was not kept.',
    };
  }
  return {
    status: 'pass',
    found:
      before === undefined
        ? describePlace(promise, context)
        : `same content as in boot ${String(context.previous?.boot)}`,
  };
}

function describePlace(promise: KeptPromise, context: BootContext): string {
  const mount = findMount(context.evidence.mounts, promise.source ?? promise.path);
  return `on ${mount?.source ?? 'nothing'}${mount === undefined || mount.root === '/' ? '' : ` (${mount.root})`}`;
}

/** Differences between what was planted and what is there, one text each. */
export function describeDamage(planted: FileFacts, now: FileFacts | undefined): string[] {
  const name = JSON.stringify(planted.path);
  if (now === undefined) return [`${name} is gone`];
  const fields: [string, string | number, string | number][] = [
    ['type', planted.type, now.type],
    ['mode', planted.mode, now.mode],
    ['owner', `${String(planted.uid)}:${String(planted.gid)}`, `${String(now.uid)}:${String(now.gid)}`],
    ['modification time', planted.mtime, now.mtime],
    ['link target', planted.target, now.target],
    ['number of links', planted.links, now.links],
    ['content', planted.digest ?? '', now.digest ?? ''],
    ['extended attributes', planted.attributes.join(' '), now.attributes.join(' ')],
  ];
  return fields
    .filter(([, before, after]) => before !== after)
    .map(([field, before, after]) => `${name}: ${field} was ${String(before)}, is ${String(after)}`);
}

/** The place of the path explains nearly every loss. */
function explainLoss(promise: KeptPromise, context: BootContext): string {
  const mount = findMount(context.evidence.mounts, promise.path);
  const { persistence, fileSystems } = context.scenario.system;
  const declared = persistence.flatMap(({ directories, files }) => [...directories, ...files]);
  if (mount !== undefined && mount.mountPoint !== '/') {
    const isBind = declared.some(({ path }) => path === mount.mountPoint);
    const from = `${mount.source}${mount.root === '/' ? '' : ` (${mount.root})`}`;
    return isBind
      ? `${promise.path} is bound from ${from}, as declared, and was lost there: a script or a service deletes or replaces it, or what it is kept on was rolled back, too.`
      : `${promise.path} lies on ${mount.mountPoint}, mounted from ${from}: is that wiped, or did something delete it there?`;
  }
  if (declared.some(({ path }) => path === promise.path)) {
    return `${promise.path} is declared, but not mounted from the persistent store in this boot: it lies on the root, which is wiped. The unit that mounts it, or activation, failed.`;
  }
  if (fileSystems.some(({ mountPoint }) => mountPoint === promise.path)) {
    return `${promise.path} is declared as a file system, but is not mounted in this boot.`;
  }
  const [closest] = declared
    .map(({ path }) => path)
    .sort((a, b) => distance(a, promise.path) - distance(b, promise.path));
  const near = closest !== undefined && distance(closest, promise.path) <= 3;
  return `${promise.path} lies on the root, which is wiped at every boot: nothing declares it in environment.persistence.${near ? ` Declared is ${closest}: is it misspelt?` : ''}`;
}

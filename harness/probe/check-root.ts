import { findRoot, type GonePromise, type RootWipedPromise } from '../scenario/index.js';
import { explainNoWipe, orderEvidence, rollbackLines } from './check-rollback.js';
import type { Subvolume } from './evidence.js';
import { type BootContext, count, type Finding, findMount } from './finding.js';

/** Clocks of stage 1 and of the disk differ by less than this. */
const CLOCK_TOLERANCE_S = 3;

type Outcome = Omit<Finding, 'promise' | 'boot'>;

/** `/` is a file system that this boot has made. */
export function checkRootWiped(promise: RootWipedPromise, context: BootContext): Outcome {
  const { evidence } = context;
  const root = findMount(evidence.mounts, '/');
  if (promise.by === 'tmpfs') {
    return root?.fsType === 'tmpfs'
      ? { status: 'pass', found: '/ is a tmpfs, new with every boot' }
      : {
          status: 'fail',
          expected: '/ is a tmpfs',
          found: `/ is ${root?.fsType ?? 'not mounted'} from ${root?.source ?? 'nowhere'}`,
        };
  }
  const expected = '/ is a subvolume that the rollback of this boot has made';
  const subvolume = evidence.rootSubvolume;
  if (subvolume === undefined) {
    return {
      status: 'fail',
      expected,
      found: `/ is ${root?.fsType ?? 'not mounted'} from ${root?.source ?? 'nowhere'}, no btrfs subvolume`,
    };
  }
  if (root?.root.endsWith('//deleted') === true) {
    return {
      status: 'fail',
      expected,
      found: `/ is the subvolume ${root.root.replace('//deleted', '')}, which has been deleted: everything written to it is lost at the next boot, and nothing of the new root is used`,
      cause: `The rollback deleted the root after it was mounted. ${context.scenario.system.stage1 === 'scripted' ? 'It belongs into boot.initrd.postResumeCommands.' : 'It has to be ordered before sysroot.mount.'}`,
      evidence: orderEvidence(context),
    };
  }
  const before = context.previous?.rootSubvolume?.uuid ?? findRootOf(context.installed, context)?.uuid;
  if (before === subvolume.uuid) {
    return {
      status: 'fail',
      expected,
      found: `/ is still the subvolume of ${context.previous === undefined ? 'the install' : `boot ${String(context.previous.boot)}`} (UUID ${subvolume.uuid}); it was not replaced`,
      cause: explainNoWipe(context),
      evidence: rollbackLines(context),
    };
  }
  const bootStartS = evidence.clockS - evidence.uptimeS;
  if (!(subvolume.createdS >= bootStartS - CLOCK_TOLERANCE_S)) {
    return {
      status: 'fail',
      expected,
      found: `/ is another subvolume than before (UUID ${subvolume.uuid}), but it was made at ${formatTime(subvolume.createdS)}, before this boot began at ${formatTime(bootStartS)}`,
      cause: 'Something moved an older subvolume into the place of the root instead of making a new one.',
    };
  }
  if (promise.blank !== undefined) {
    const blank = evidence.subvolumes.find(({ path }) => path === promise.blank);
    if (blank?.uuid !== subvolume.parentUuid) {
      return {
        status: 'fail',
        expected: `/ is a snapshot of ${promise.blank}`,
        found:
          blank === undefined
            ? `there is no subvolume ${promise.blank}`
            : `/ is a snapshot of ${subvolume.parentUuid === '-' ? 'nothing' : `the subvolume with the UUID ${subvolume.parentUuid}`}, ${promise.blank} has ${blank.uuid}`,
        cause: 'The rollback made the root of something else than the blank snapshot.',
      };
    }
  }
  return {
    status: 'pass',
    found: `UUID ${subvolume.uuid.slice(0, 8)}… made ${(subvolume.createdS - bootStartS).toFixed(0)} s into this boot${before === undefined ? '' : `, before it was ${before.slice(0, 8)}…`}`,
  };
}

function findRootOf(subvolumes: readonly Subvolume[], context: BootContext): Subvolume | undefined {
  const path = findRoot(context.scenario.system.fileSystems)?.subvolume;
  return subvolumes.find((subvolume) => subvolume.path === path);
}

/** What was planted on the root in earlier boots is not there. */
export function checkGone(promise: GonePromise, context: BootContext): Outcome | undefined {
  const planted = context.planted.flatMap(({ plan, evidence }) =>
    [...evidence.canaries.keys()].filter(
      (path) => plan.doomed.some((folder) => isBelow(path, folder)) && isBelow(path, promise.path),
    ),
  );
  if (planted.length === 0) return undefined;
  const survivors = planted.filter((path) => context.evidence.canaries.has(path));
  if (survivors.length === 0) {
    return {
      status: 'pass',
      found: `${count(planted.length, 'thing')} planted in ${count(context.planted.length, 'earlier boot')} gone, nested subvolumes, open and immutable files among them`,
    };
  }
  const first = survivors[0] ?? '';
  const mount = findMount(context.evidence.mounts, first);
  return {
    status: 'fail',
    expected: `nothing of the ${count(planted.length, 'thing')} planted below ${promise.path} in earlier boots is left`,
    found: `${String(survivors.length)} of ${count(planted.length, 'thing')} survived: ${survivors.slice(0, 4).map(printable).join(', ')}${survivors.length > 4 ? ' …' : ''}`,
    cause:
      mount === undefined || mount.mountPoint === '/'
        ? explainNoWipe(context)
        : `${first} lies on ${mount.mountPoint}, mounted from ${mount.source}${mount.root === '/' ? '' : ` (${mount.root})`}, which nothing wipes.`,
  };
}

function formatTime(seconds: number): string {
  return Number.isFinite(seconds) ? new Date(seconds * 1000).toISOString() : 'an unknown time';
}

function isBelow(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

function printable(path: string): string {
  return /[^\x20-\x7e]/.test(path) ? JSON.stringify(path) : path;
}

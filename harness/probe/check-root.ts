import type {
  GonePromise,
  RollbackLogPromise,
  RollbackOrderPromise,
  RootWipedPromise,
} from '../scenario/index.js';
import type { JournalLine, Subvolume } from './evidence.js';
import { type BootContext, count, type Finding, findMount } from './finding.js';

export const UNIT_STARTING = '7d4958e842da4a758f6c1cdc7b36dcc5';
export const UNIT_STARTED = '39f53479d3a045ac8e11786248231fbf';
export const UNIT_FAILED = 'be02cf6855d2428ba40df7e9d022f03d';

/** Clocks of stage 1 and of the disk differ by less than this. */
const CLOCK_TOLERANCE_S = 3;

type Outcome = Omit<Finding, 'promise' | 'boot'>;

/** What the order of units is judged by; also known of a boot that never came up. */
type StageOneContext = Pick<BootContext, 'scenario'> & {
  readonly evidence: Pick<BootContext['evidence'], 'journal'>;
};

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
      cause: 'The rollback deleted the root after it was mounted. It has to be ordered before sysroot.mount.',
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
      evidence: rollbackLines(context).map(formatJournalLine),
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
  const path = context.scenario.system.fileSystems.find(({ mountPoint }) => mountPoint === '/')?.subvolume;
  return subvolumes.find((subvolume) => subvolume.path === path);
}

function explainNoWipe(context: StageOneContext): string {
  const { rollback } = context.scenario.system;
  if (rollback === undefined) {
    return 'The layout declares no rollback (boot.initrd.systemd.services.rollback), and / is no tmpfs: nothing ever empties it.';
  }
  const lines = rollbackLines(context);
  if (lines.length === 0) {
    return `${rollback.unit} did not run: the journal of this boot has no line of it. Stage 1 starts only what a target wants (wantedBy = [ "initrd.target" ]).`;
  }
  if (lines.some(({ messageId }) => messageId === UNIT_FAILED)) {
    return `${rollback.unit} failed, and the boot went on: being wanted by a target does not make it required. Its lines are below.`;
  }
  return `${rollback.unit} ran to its end without making the root anew. Its lines are below.`;
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

/** The rollback's own lines are in the journal of the new boot, and what they claim is true on the disk. */
export function checkRollbackLog(promise: RollbackLogPromise, context: BootContext): Outcome {
  const lines = context.evidence.journal.filter(({ writer }) => writer === promise.unit);
  const shown = lines.map(formatJournalLine);
  if (lines.length === 0) {
    return {
      status: 'fail',
      expected: `lines written by ${promise.unit} in the journal of this boot`,
      found: 'there is none',
      cause: `${promise.unit} did not run in this boot, or it wrote nothing.`,
    };
  }
  let position = 0;
  for (const wanted of promise.lines) {
    const at = lines.findIndex(({ message }, index) => index >= position && message.includes(wanted));
    if (at < 0) {
      return {
        status: 'fail',
        expected: `a line with "${wanted}"${position === 0 ? '' : ' after the ones before it'}`,
        found: `${count(lines.length, 'line')} of ${promise.unit}, none of them`,
        evidence: shown,
      };
    }
    position = at + 1;
  }
  const lie = findLie(lines, context);
  if (lie !== undefined) {
    return {
      status: 'fail',
      expected: 'what the log calls deleted is not there any more',
      found: `the log says "${lie.line.message}", but the subvolume ${lie.subvolume.path} with the same UUID (${lie.subvolume.uuid}) is still on the disk`,
      cause:
        'The script writes its line before it knows whether the deletion works, or does not look at the result.',
      evidence: shown,
    };
  }
  return {
    status: 'pass',
    found: `${count(lines.length, 'line')}, in agreement with the subvolumes on the disk`,
  };
}

/** A line that claims the deletion of a subvolume which still exists. */
function findLie(
  lines: readonly JournalLine[],
  context: BootContext,
): { line: JournalLine; subvolume: Subvolume } | undefined {
  const before = context.planted.at(-1)?.evidence.subvolumes ?? context.installed;
  const now = new Set(context.evidence.subvolumes.map(({ uuid }) => uuid));
  for (const line of lines.filter(({ message }) => /delet/i.test(message))) {
    const subvolume = before.find(
      ({ path, uuid }) =>
        now.has(uuid) && new RegExp(`/${escapePattern(path)}(?=['"\\s.…]*$)`).test(line.message.trimEnd()),
    );
    if (subvolume !== undefined) return { line, subvolume };
  }
  return undefined;
}

/** Each unit was done before the next one began. */
export function checkRollbackOrder(promise: RollbackOrderPromise, context: StageOneContext): Outcome {
  const times = promise.units.map((unit) => ({ unit, ...unitTimes(context.evidence.journal, unit) }));
  const evidence = orderEvidence(context);
  const expected = promise.units.join(' < ');
  const absent = times.find(({ begin }) => begin === undefined);
  if (absent !== undefined) {
    return {
      status: 'fail',
      expected,
      found: `${absent.unit} left no trace in the journal of this boot: it did not run`,
      evidence,
      cause: explainAbsent(absent.unit, context),
    };
  }
  // The last two are the rollback and the mount of the root; whatever unlocks the root stands before them.
  const rollback = times.at(-2);
  for (const [first, second] of [
    ...times.slice(0, -2).map((unlock) => [unlock, rollback] as const),
    [rollback, times.at(-1)] as const,
  ]) {
    if (first?.end === undefined || second?.begin === undefined || first.end > second.begin) {
      return {
        status: 'fail',
        expected,
        found: `${second?.unit ?? ''} began at ${formatUs(second?.begin)}, ${first?.end === undefined ? `but ${first?.unit ?? ''} never finished` : `before ${first.unit} was done at ${formatUs(first.end)}`}`,
        cause: explainOrder(first?.unit ?? '', second?.unit ?? '', context),
        evidence,
      };
    }
  }
  return {
    status: 'pass',
    found: times.map(({ unit, begin, end }) => `${unit} ${formatUs(begin)}–${formatUs(end)}`).join(', '),
  };
}

function explainAbsent(unit: string, context: StageOneContext): string {
  return unit === context.scenario.system.rollback?.unit
    ? explainNoWipe(context)
    : `No unit of that name ran in stage 1. Is the LUKS device named as the mount needs it?`;
}

function explainOrder(first: string, second: string, context: StageOneContext): string {
  const { rollback } = context.scenario.system;
  if (second === 'sysroot.mount' && rollback !== undefined) {
    return rollback.before.includes('sysroot.mount')
      ? `${rollback.unit} says before = [ "sysroot.mount" ], but was not done in time.`
      : `${rollback.unit} does not say before = [ "sysroot.mount" ], so systemd mounts the root without waiting for it.`;
  }
  return rollback?.after.includes(first) === true
    ? `${second} says after = [ "${first}" ].`
    : `${second} does not say after = [ "${first}" ]; a misspelt or unescaped unit name is ignored without a word.`;
}

function unitTimes(
  journal: readonly JournalLine[],
  unit: string,
): { begin: number | undefined; end: number | undefined } {
  const about = journal.filter((line) => line.about === unit);
  return {
    begin:
      about.find(({ messageId }) => messageId === UNIT_STARTING)?.monotonicUs ?? about.at(0)?.monotonicUs,
    end: about.find(({ messageId }) => messageId === UNIT_STARTED || messageId === UNIT_FAILED)?.monotonicUs,
  };
}

/** Begin and end of the units that matter, as lines. */
function orderEvidence(context: StageOneContext): string[] {
  return context.evidence.journal
    .filter(
      ({ about, messageId }) =>
        about !== undefined && [UNIT_STARTING, UNIT_STARTED, UNIT_FAILED].includes(messageId ?? ''),
    )
    .map(formatJournalLine);
}

function rollbackLines(context: StageOneContext): JournalLine[] {
  const unit = context.scenario.system.rollback?.unit;
  return context.evidence.journal.filter(
    ({ writer, about }) => unit !== undefined && (writer === unit || about === unit),
  );
}

export function formatJournalLine(line: JournalLine): string {
  return `[${(line.monotonicUs / 1e6).toFixed(3).padStart(8)}] ${line.message}`;
}

function formatUs(us: number | undefined): string {
  return us === undefined ? '?' : `${(us / 1e6).toFixed(2)} s`;
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

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

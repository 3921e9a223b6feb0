import type { RollbackOrderPromise } from '../scenario/index.js';
import type { JournalLine } from './evidence.js';
import type { Finding } from './finding.js';
import { UNIT_FAILED, UNIT_STARTED, UNIT_STARTING } from './manager-lines.js';
import { formatJournalLine, formatUs, type StageOneContext } from './stage-one-log.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;

/** Each unit was done before the next one began. */
export function checkUnitOrder(
  promise: Extract<RollbackOrderPromise, { stage1: 'systemd' }>,
  context: StageOneContext,
): Outcome {
  const times = promise.units.map((unit) => ({ unit, ...unitTimes(context.evidence.journal, unit) }));
  const evidence = unitOrderEvidence(context);
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
    ? explainUnit(context)
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
export function unitOrderEvidence(context: StageOneContext): string[] {
  return context.evidence.journal
    .filter(
      ({ about, messageId }) =>
        about !== undefined && [UNIT_STARTING, UNIT_STARTED, UNIT_FAILED].includes(messageId ?? ''),
    )
    .map(formatJournalLine);
}

/** Everything that the rollback wrote, and that was said about it. */
export function unitLines(context: StageOneContext): JournalLine[] {
  const unit = context.scenario.system.rollback?.unit;
  return context.evidence.journal.filter(
    ({ writer, about }) => unit !== undefined && (writer === unit || about === unit),
  );
}

/** Why the rollback did not make the root anew. */
export function explainUnit(context: StageOneContext): string {
  const { rollback } = context.scenario.system;
  if (rollback === undefined) {
    return 'The layout declares no rollback (boot.initrd.systemd.services.rollback), and / is no tmpfs: nothing ever empties it.';
  }
  const lines = unitLines(context);
  if (lines.length === 0) {
    return `${rollback.unit} did not run: the journal of this boot has no line of it. Stage 1 starts only what a target wants (wantedBy = [ "initrd.target" ]).`;
  }
  if (lines.some(({ messageId }) => messageId === UNIT_FAILED)) {
    return `${rollback.unit} failed, and the boot went on: being wanted by a target does not make it required. Its lines are below.`;
  }
  return `${rollback.unit} ran to its end without making the root anew. Its lines are below.`;
}

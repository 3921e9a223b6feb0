import type { RollbackLogPromise, RollbackOrderPromise } from '../scenario/index.js';
import { checkHookOrder, explainHook, hookLines, hookOrderEvidence } from './check-rollback-hook.js';
import { checkUnitOrder, explainUnit, unitLines, unitOrderEvidence } from './check-rollback-unit.js';
import type { JournalLine, Subvolume } from './evidence.js';
import { type BootContext, count, type Finding } from './finding.js';
import { formatJournalLine, type StageOneContext } from './stage-one-log.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;

function isScripted(context: StageOneContext): boolean {
  return context.scenario.system.stage1 === 'scripted';
}

/** What the rollback itself wrote. */
function writtenLines(context: StageOneContext): readonly JournalLine[] {
  if (isScripted(context)) return hookLines(context);
  const unit = context.scenario.system.rollback?.unit;
  return unitLines(context).filter(({ writer }) => writer === unit);
}

/** Everything of and about the rollback, to be shown. */
export function rollbackLines(context: StageOneContext): string[] {
  return (isScripted(context) ? hookLines(context) : unitLines(context)).map(formatJournalLine);
}

/** What was done in stage 1 in which order, to be shown. */
export function orderEvidence(context: StageOneContext): string[] {
  return isScripted(context) ? hookOrderEvidence(context) : unitOrderEvidence(context);
}

/** Why the root was not made anew, in words for who wrote the layout. */
export function explainNoWipe(context: StageOneContext): string {
  return isScripted(context) ? explainHook(context) : explainUnit(context);
}

/** The root was unlocked, then rolled back, then mounted. */
export function checkRollbackOrder(promise: RollbackOrderPromise, context: StageOneContext): Outcome {
  return promise.stage1 === 'scripted' ? checkHookOrder(promise, context) : checkUnitOrder(promise, context);
}

/** The rollback's own lines are in the journal of the new boot, and what they claim is true on the disk. */
export function checkRollbackLog(promise: RollbackLogPromise, context: BootContext): Outcome {
  const lines = writtenLines(context);
  const shown = lines.map(formatJournalLine);
  if (lines.length === 0) {
    return {
      status: 'fail',
      expected: `lines of ${promise.by} in the journal of this boot`,
      found: 'there is none',
      cause: `${promise.by} did not run in this boot, or it wrote nothing. If it is meant to be silent, say so below promises.without.`,
    };
  }
  let position = 0;
  for (const wanted of promise.lines) {
    const at = lines.findIndex(({ message }, index) => index >= position && message.includes(wanted));
    if (at < 0) {
      return {
        status: 'fail',
        expected: `a line with "${wanted}"${position === 0 ? '' : ' after the ones before it'}`,
        found: `${count(lines.length, 'line')} of ${promise.by}, none of them`,
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
    // Of root-blank and root/root-blank a line about /mnt/root/root-blank means the longer one.
    const [meant] = before
      .filter(({ path }) => new RegExp(`/${escapePattern(path)}(?=['"\\s.…]*$)`).test(line.message.trimEnd()))
      .sort((a, b) => b.path.length - a.path.length);
    if (meant !== undefined && now.has(meant.uuid)) return { line, subvolume: meant };
  }
  return undefined;
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

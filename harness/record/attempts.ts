import type { AttemptRecord, AttemptVerdict, VariantRecord, Verdict } from './record.js';

/** Whether this is what the scenario declares. What was skipped has nothing against it. */
export function isAsDeclared(verdict: Verdict): boolean {
  return verdict === 'pass' || verdict === 'known-bug' || verdict === 'skip';
}

/** Id of a variant, whichever attempt a record is of. */
export function variantIdOf({ id, repeatOf }: Pick<VariantRecord, 'id' | 'repeatOf'>): string {
  return repeatOf ?? id;
}

/**
 * One record of a variant that was run again because it was not as declared.
 *
 * - As declared in the last attempt: `flaky`, whatever spoke against it before.
 * - Else `fail` when any attempt broke a promise, because that is certain; else `error`.
 *
 * @param first The first attempt, whose id and command the record has.
 * @param later The others, in order.
 * @returns The facts of the attempt that speaks against the variant; the others are in `otherAttempts`.
 */
export function joinAttempts(first: VariantRecord, later: readonly VariantRecord[]): VariantRecord {
  if (later.length === 0) return first;
  const attempts = [first, ...later].map((record, index) => ({ record, attempt: index + 1 }));
  const against = attempts.filter(({ record }) => !isAsDeclared(record.verdict));
  const last = later.at(-1) ?? first;
  const shown = against.findLast(({ record }) => record.verdict === 'fail') ?? against.at(-1);
  const { record, attempt } = shown ?? { record: last, attempt: attempts.length };
  const others = attempts.filter((each) => each.record !== record);
  const joined: VariantRecord = {
    ...record,
    id: first.id,
    repeat: first.repeat,
    attempt,
    otherAttempts: others.map((each) => toAttempt(each.record, each.attempt)),
  };
  if (shown === undefined || !isAsDeclared(last.verdict)) return joined;
  const why = record.reason ?? record.error?.message;
  return {
    ...joined,
    verdict: 'flaky',
    reason: `not as declared in attempt ${against.map((each) => String(each.attempt)).join(', ')}, as declared in attempt ${String(attempts.length)}${why === undefined ? '' : `; attempt ${String(attempt)}: ${why}`}`,
  };
}

/** All attempts at a variant in order, that which decides among them. */
export function attemptsOf(variant: VariantRecord): readonly AttemptRecord[] {
  const own = toAttempt(variant, variant.attempt ?? 1);
  return [own, ...(variant.otherAttempts ?? [])].sort((one, other) => one.attempt - other.attempt);
}

function toAttempt(record: VariantRecord, attempt: number): AttemptRecord {
  const { reason, startedAt, durationMs, machineCpuMs, phases, boots, checks, leaks, error, kept, folder } =
    record;
  return {
    attempt,
    verdict: verdictOfAttempt(record),
    ...(reason === undefined ? {} : { reason }),
    startedAt,
    durationMs,
    machineCpuMs,
    phases,
    boots,
    checks,
    ...(leaks === undefined ? {} : { leaks }),
    ...(error === undefined ? {} : { error }),
    ...(kept === undefined ? {} : { kept }),
    folder,
  };
}

/** A flaky variant shows the facts of an attempt that was not as declared. */
function verdictOfAttempt({ verdict, error }: VariantRecord): AttemptVerdict {
  if (verdict !== 'flaky') return verdict;
  return error === undefined ? 'fail' : 'error';
}

import type { ErrorCode } from '../core/index.js';
import type { VariantRecord } from '../record/index.js';
import type { BrokenPromise, ControlResult, Outcome } from './results.js';

/** A host that has become slower than this cannot tell a boot that hangs from one that is slow. */
const MOST_SLOWDOWN = 2;

/** What the layout as it is lets be done, by the error that tells that it could not be. */
const DONE_WITH_ORIGINAL: Partial<Record<ErrorCode, string>> = {
  INSTALL_FAILED: 'installs',
  // A step waits for a line that the layout as it is writes, or runs a script that ends well there.
  STEP_FAILED: 'steps',
  CONSOLE_FAILURE: 'boots',
};

/**
 * What became of a mutant that was run.
 *
 * @param setUpMs How long the layout as it is took before its first boot. Absent: nobody knows.
 */
export function judgeMutant(record: VariantRecord, setUpMs?: number): Outcome {
  const { durationMs, folder, error } = record;
  const broken = brokenPromises(record);
  const [by] = broken;
  const slowdown = setUpMs === undefined || setUpMs === 0 ? 1 : setUpOf(record) / setUpMs;
  if (by?.promise === 'boots' && by.found.startsWith('Gave up after') && slowdown > MOST_SLOWDOWN)
    return {
      kind: 'error',
      message: `The host was ${slowdown.toFixed(1)} times slower than with the layout as it is: it cannot tell whether this boot hangs. ${by.found}`,
      durationMs,
      folder,
    };
  if (by !== undefined)
    return {
      kind: 'killed',
      by,
      broken: [...new Set(broken.map(({ promise }) => promise))],
      durationMs,
      folder,
    };
  // With the original all this can be done: it is the difference that it cannot.
  const promise = error === undefined ? undefined : DONE_WITH_ORIGINAL[error.code];
  if (error !== undefined && promise !== undefined)
    return {
      kind: 'killed',
      by: { promise, found: error.message },
      broken: [promise],
      durationMs,
      folder,
    };
  if (record.verdict !== 'pass')
    return { kind: 'error', message: error?.message ?? record.reason ?? record.verdict, durationMs, folder };
  return { kind: 'survived', trials: [], durationMs, folder };
}

/** What became of the layout as it is. */
export function judgeControl(number: number, record: VariantRecord): ControlResult {
  const { durationMs, folder, error, verdict, reason } = record;
  const falseAlarms = brokenPromises(record);
  const isUnknown = verdict !== 'pass' && falseAlarms.length === 0;
  return {
    number,
    falseAlarms,
    ...(isUnknown ? { error: error?.message ?? reason ?? verdict } : {}),
    durationMs,
    slowestMs: slowestPhaseMs(record),
    setUpMs: setUpOf(record),
    folder,
  };
}

/** How long the slowest phase of a boot took; 0 when there was no boot. */
export function slowestPhaseMs({ phases }: Pick<VariantRecord, 'phases'>): number {
  return Math.max(0, ...phases.flatMap((each) => (each.boot === undefined ? [] : [each.durationMs])));
}

function setUpOf({ phases }: VariantRecord): number {
  const first = phases.findIndex(({ boot }) => boot !== undefined);
  return phases
    .slice(0, first < 0 ? phases.length : first)
    .reduce((sum, { durationMs }) => sum + durationMs, 0);
}

/** In the order in which they were seen. */
function brokenPromises({ checks }: VariantRecord): BrokenPromise[] {
  return checks
    .filter(({ status }) => status === 'fail')
    .map(({ id, boot, found }) => ({ promise: id, found, ...(boot === undefined ? {} : { boot }) }));
}

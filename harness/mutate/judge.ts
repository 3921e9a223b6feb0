import type { VariantRecord } from '../record/index.js';
import type { BrokenPromise, ControlResult, Outcome } from './results.js';

/** What became of a mutant that was run. */
export function judgeMutant(record: VariantRecord): Outcome {
  const { durationMs, folder, error } = record;
  const broken = brokenPromises(record);
  const [by] = broken;
  if (by !== undefined)
    return {
      kind: 'killed',
      by,
      broken: [...new Set(broken.map(({ promise }) => promise))],
      durationMs,
      folder,
    };
  // The same script installs the original: it is the difference that it cannot install.
  if (error?.code === 'INSTALL_FAILED')
    return {
      kind: 'killed',
      by: { promise: 'installs', found: error.message },
      broken: ['installs'],
      durationMs,
      folder,
    };
  if (record.verdict !== 'pass')
    return { kind: 'error', message: error?.message ?? record.reason ?? record.verdict, durationMs, folder };
  return { kind: 'survived', durationMs, folder };
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
    folder,
  };
}

/** How long the slowest phase of a boot took; 0 when there was no boot. */
export function slowestPhaseMs({ phases }: Pick<VariantRecord, 'phases'>): number {
  return Math.max(0, ...phases.flatMap((each) => (each.boot === undefined ? [] : [each.durationMs])));
}

/** In the order in which they were seen. */
function brokenPromises({ checks }: VariantRecord): BrokenPromise[] {
  return checks
    .filter(({ status }) => status === 'fail')
    .map(({ id, boot, found }) => ({ promise: id, found, ...(boot === undefined ? {} : { boot }) }));
}

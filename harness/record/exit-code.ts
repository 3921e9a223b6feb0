import { EXIT } from '../core/index.js';
import type { RunRecord } from './record.js';

/**
 * The exit code that a finished run deserves.
 *
 * - Interrupted: 130, whatever was found before.
 * - A layout failed, or was as declared only when it was run again (`flaky`): 1, even when other variants could not be run,
 *   because a broken promise is certain, and on a flaky variant nobody can rely.
 * - A variant could not be run, or there was none: 69. Of more shards than there are variants some have none to run, which is
 *   as it should be.
 * - Otherwise 0: passed, failed exactly as declared, or skipped. When all were skipped this is 0 as well,
 *   because skipping is something the caller asked for; the summary says that nothing was proved.
 *
 * @returns One of `EXIT`.
 */
export function exitCodeOf(record: RunRecord): number {
  if (record.interrupted) return EXIT.interrupted;
  const verdicts = new Set(record.variants.map((variant) => variant.verdict));
  if (verdicts.has('fail') || verdicts.has('flaky')) return EXIT.layoutFailed;
  if (verdicts.has('error')) return EXIT.unavailable;
  if (verdicts.size === 0 && record.shard?.part.length !== 0) return EXIT.unavailable;
  return EXIT.ok;
}

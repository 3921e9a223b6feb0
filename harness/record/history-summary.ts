import { isAsDeclared, variantIdOf } from './attempts.js';
import { hostOf } from './host.js';
import type { HistoryEntry, HistoryPoint, HistoryRecord, RunRecord, VariantRecord } from './record.js';

/** So many earlier runs are counted. */
const RUNS = 20;

/**
 * Puts what earlier runs found into a record, so that reports can tell it.
 *
 * @param entries Of earlier runs, in any order. Those of this run, and of runs that it was merged from, are not counted.
 */
export function withHistory(record: RunRecord, entries: readonly HistoryEntry[]): RunRecord {
  const own = new Set([record.run, ...(record.mergedFrom ?? []).map(({ run }) => run)]);
  const byVariant = new Map<string, HistoryEntry[]>();
  for (const entry of [...entries].sort((one, other) => compareTexts(one.when, other.when))) {
    if (own.has(entry.run)) continue;
    const key = keyOf(entry.variant, entry);
    const known = byVariant.get(key);
    if (known === undefined) byVariant.set(key, [entry]);
    else known.push(entry);
  }
  const variants = record.variants.map((variant) => {
    const earlier = byVariant.get(keyOf(variantIdOf(variant), variant)) ?? [];
    const { history: _, ...rest } = variant;
    return earlier.length === 0 ? rest : { ...rest, history: summarize(variant, record, earlier) };
  });
  return { ...record, variants };
}

/** What is installed, and where, are part of what a variant is: others say nothing about it. */
function keyOf(
  variant: string,
  { guest, target }: { readonly guest: string; readonly target: string },
): string {
  return JSON.stringify([variant, guest, target]);
}

/** @param earlier At least one, the oldest first. */
function summarize(
  variant: VariantRecord,
  record: RunRecord,
  earlier: readonly HistoryEntry[],
): HistoryRecord {
  const counted = earlier.slice(-RUNS);
  const lastGood = earlier.findLastIndex(({ verdict }) => isAsDeclared(verdict));
  const lastAsDeclared = earlier[lastGood];
  const row = earlier.slice(lastGood + 1);
  const now: HistoryPoint = { when: variant.startedAt, run: record.run, imperm: record.imperm };
  const isFailing = !isAsDeclared(variant.verdict);
  const accelerator = hostOf(record, variant)?.accelerator;
  return {
    verdicts: counted.map(({ verdict }) => verdict),
    ...(isFailing ? { failingSince: pointOf(row[0] ?? now), failingRuns: row.length + 1 } : {}),
    ...(lastAsDeclared === undefined ? {} : { lastAsDeclared: pointOf(lastAsDeclared) }),
    durationsMs: counted
      .filter((entry) => isAsDeclared(entry.verdict) && entry.accelerator === accelerator)
      .map(({ durationMs }) => durationMs),
  };
}

function pointOf({ when, run, imperm }: HistoryPoint): HistoryPoint {
  return { when, run, imperm };
}

/** The same everywhere, whatever language the host speaks. */
function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

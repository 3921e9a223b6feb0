import { digestOf, HarnessError } from '../core/index.js';
import { medianOf, type ShardRecord } from '../record/index.js';
import type { Variant } from '../scenario/index.js';
import { readDurations } from './durations.js';

export interface ShardOptions {
  /** `i/n` */
  readonly shard?: string;
  /** File or folder that tells how long variants take. */
  readonly durations?: string;
}

/** Which part of a selection is to be run. */
export interface ShardChoice {
  /** From 1 to `count`. */
  readonly index: number;
  readonly count: number;
  /** Milliseconds, by the id of the variant; empty: nothing is known. */
  readonly durations: ReadonlyMap<string, number>;
  /** Sentences about what could not be read of the durations. */
  readonly notes: readonly string[];
}

/**
 * Reads which part of the selection is to be run.
 *
 * @returns Nothing when all is.
 * @throws {HarnessError} USAGE for anything but `i/n`, for durations without a shard, and as `readDurations`.
 */
export async function readShard({ shard, durations }: ShardOptions): Promise<ShardChoice | undefined> {
  if (shard === undefined) {
    if (durations === undefined) return undefined;
    throw new HarnessError('USAGE', '--durations says how variants are divided, and goes with --shard');
  }
  const [, index = 0, count = 0] = (/^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(shard) ?? []).map(Number);
  if (index === 0 || index > count) {
    throw new HarnessError('USAGE', `--shard takes i/n with i from 1 to n, such as 2/3, not "${shard}"`, {
      hint: 'Every one of n machines runs one part: --shard 1/3, --shard 2/3, --shard 3/3.',
    });
  }
  if (durations === undefined) return { index, count, durations: new Map(), notes: [] };
  return { index, count, ...(await readDurations(durations)) };
}

/**
 * Divides variants into parts that take about as long as one another: the longest first, each into the part that has the least
 * so far. It depends on nothing but its arguments, whatever the order of the ids, so that every machine divides alike.
 * Of what no duration is known it takes as long as the median of the others. Nothing known: the parts are dealt in
 * turn, in the order of the ids.
 *
 * @param ids Each once.
 * @param count Number of parts.
 * @param durations Milliseconds by id.
 * @returns `count` parts; all together are the ids, each once.
 */
export function divide(
  ids: readonly string[],
  count: number,
  durations: ReadonlyMap<string, number>,
): readonly (readonly string[])[] {
  const median = medianOf(ids.flatMap((id) => durations.get(id) ?? [])) ?? 1;
  const loads = [...ids]
    .map((id) => ({ id, durationMs: durations.get(id) ?? median }))
    .sort((one, other) => other.durationMs - one.durationMs || (one.id < other.id ? -1 : 1));
  const parts = Array.from({ length: count }, () => ({ ids: [] as string[], durationMs: 0 }));
  for (const { id, durationMs } of loads) {
    const least = parts.reduce((best, part) => (part.durationMs < best.durationMs ? part : best));
    least.ids.push(id);
    least.durationMs += durationMs;
  }
  return parts.map((part) => part.ids);
}

/**
 * The variants of a shard, in the order of the selection, and what its record tells of the whole.
 *
 * @param selection All variants that were selected.
 * @param settings How they are run, as far as the verdicts depend on it.
 */
export function takeShard(
  selection: readonly Variant[],
  { index, count, durations }: ShardChoice,
  settings: Readonly<Record<string, unknown>>,
): { readonly variants: readonly Variant[]; readonly shard: ShardRecord } {
  const ids = selection.map(({ id }) => id);
  const own = new Set(divide(ids, count, durations)[index - 1]);
  const variants = selection.filter(({ id }) => own.has(id));
  const part = variants.map(({ id }) => id);
  return {
    variants,
    shard: { index, count, selection: ids, part, digest: digestSelection(selection, settings) },
  };
}

/** Tells selections apart by what is in them, not by where they lie: a checkout has another path on another machine. */
function digestSelection(selection: readonly Variant[], settings: Readonly<Record<string, unknown>>): string {
  const variants = [...selection]
    .sort((one, other) => (one.id < other.id ? -1 : 1))
    .map(({ id, scenario: { system, install, promises, steps, machine, disks, knownBug } }) => {
      return { id, system, install: install?.text, promises, steps, machine, disks, knownBug };
    });
  return digestOf(JSON.stringify({ settings, variants }, withoutPaths));
}

/** A place in a file, or the text of one, says the same wherever that file lies. */
function withoutPaths(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('file' in value)) return value;
  return 'line' in value || 'text' in value ? { ...value, file: undefined } : value;
}

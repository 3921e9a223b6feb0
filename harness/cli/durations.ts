import { stat } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError } from '../core/index.js';
import { HISTORY_FILE, historyOf, medianOf, readHistory, readRecord, RECORD_FILE } from '../record/index.js';

/** So many of the newest runs of a variant say how long it takes. */
const RUNS = 5;

export interface Durations {
  /** Milliseconds, by the id of the variant. */
  readonly durations: ReadonlyMap<string, number>;
  /** Sentences about what could not be read. */
  readonly notes: readonly string[];
}

/**
 * How long variants took: of each the median of its newest runs that came to an end.
 *
 * @param from A history file, a record, or a folder with one of them (the record first).
 * @throws {HarnessError} USAGE when there is none, or a record cannot be read.
 */
export async function readDurations(from: string): Promise<Durations> {
  const file = await findFile(from);
  const isRecord = path.extname(file) === '.json';
  const { entries, notes } = isRecord
    ? { entries: historyOf(await readRecord(file)), notes: [] }
    : await readHistory(file);
  const byVariant = new Map<string, number[]>();
  const inTime = [...entries].sort((one, other) =>
    one.when < other.when ? -1 : one.when > other.when ? 1 : 0,
  );
  for (const { variant, verdict, durationMs } of inTime) {
    // What ended in an error mostly waited for its end.
    if (verdict === 'error') continue;
    byVariant.set(variant, [...(byVariant.get(variant) ?? []), durationMs].slice(-RUNS));
  }
  const durations = new Map([...byVariant].map(([variant, all]) => [variant, medianOf(all) ?? 0]));
  return { durations, notes };
}

async function findFile(from: string): Promise<string> {
  const info = await stat(from).catch(() => undefined);
  if (info?.isFile() === true) return from;
  if (info?.isDirectory() === true) {
    for (const name of [RECORD_FILE, HISTORY_FILE]) {
      const file = path.join(from, name);
      if ((await stat(file).catch(() => undefined))?.isFile() === true) return file;
    }
  }
  const why =
    info === undefined
      ? 'there is no such file or folder'
      : `it has no ${RECORD_FILE} and no ${HISTORY_FILE}`;
  throw new HarnessError('USAGE', `Could not read durations from ${from}: ${why}`, {
    hint: `Give a ${HISTORY_FILE}, a ${RECORD_FILE}, or the folder of one. Without --durations variants are dealt in turn.`,
  });
}

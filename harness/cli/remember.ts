import path from 'node:path';

import { Budget, describeFailure } from '../core/index.js';
import {
  appendHistory,
  HISTORY_FILE,
  type HistoryEntry,
  historyOf,
  readHistory,
  type RunRecord,
  withHistory,
} from '../record/index.js';

/** Another run appends in some milliseconds. */
const LOCK_MS = 30_000;

/** @param options.history As given on the command line. Default: a file in the reports folder. */
export function historyFile(options: { readonly history?: string; readonly reports: string }): string {
  return path.resolve(options.history ?? path.join(options.reports, HISTORY_FILE));
}

/**
 * Puts what earlier runs found into a record, and notes this run for later ones. A history that cannot be read or written
 * costs no run anything: it is told in the notes.
 *
 * @param own What is noted. Default: what the record tells. What the history has already is not noted again.
 */
export async function rememberRun(
  record: RunRecord,
  file: string,
  own: readonly HistoryEntry[] = historyOf(record),
): Promise<{ readonly record: RunRecord; readonly notes: readonly string[] }> {
  try {
    const { entries, notes } = await readHistory(file);
    const known = new Set(entries.map(keyOf));
    // An interrupted run is remembered, too: its signal must not end this.
    const budget = Budget.start('the history to be free', LOCK_MS, new AbortController().signal);
    const isNew = (entry: HistoryEntry): boolean => !known.has(keyOf(entry));
    const failure = await appendHistory(file, own.filter(isNew), budget).then(
      () => undefined,
      (thrown: unknown) => `Could not add this run to ${file}: ${describeFailure(thrown)}`,
    );
    return {
      record: withHistory(record, entries),
      notes: failure === undefined ? notes : [...notes, failure],
    };
  } catch (thrown) {
    return { record, notes: [describeFailure(thrown)] };
  }
}

function keyOf({ run, variant, attempt }: HistoryEntry): string {
  return JSON.stringify([run, variant, attempt]);
}

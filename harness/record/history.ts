import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError, takeLock } from '../core/index.js';
import { variantIdOf } from './attempts.js';
import { hostOf } from './host.js';
import type { HistoryEntry, RunRecord } from './record.js';
import { historyEntrySchema } from './schema.js';

export const HISTORY_FILE = 'history.jsonl';

/** At most this many lines that cannot be read are named. */
const MAX_NAMED = 5;

export interface History {
  /** In the order of the file. */
  readonly entries: readonly HistoryEntry[];
  /** Sentences about what could not be read. */
  readonly notes: readonly string[];
}

/**
 * Reads a history file. What cannot be read of it, such as a line that was being written when the power went, is left out, and
 * never costs the rest.
 *
 * @returns No entries when there is no such file.
 * @throws {HarnessError} USAGE when it is there and cannot be read at all.
 */
export async function readHistory(file: string): Promise<History> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')
      return { entries: [], notes: [] };
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HarnessError('USAGE', `Could not read the history ${file}: ${why}`, { cause: thrown });
  }
  const entries: HistoryEntry[] = [];
  const bad: number[] = [];
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const entry = readEntry(line);
    if (entry === undefined) bad.push(index + 1);
    else entries.push(entry);
  }
  return { entries, notes: describeBad(file, bad, lines.length) };
}

function readEntry(line: string): HistoryEntry | undefined {
  try {
    return historyEntrySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** @param count Lines of the file; a last one that is not empty has no end. */
function describeBad(file: string, bad: readonly number[], count: number): string[] {
  const whole = bad.filter((line) => line !== count);
  const named = whole.slice(0, MAX_NAMED).join(', ');
  const more = whole.length > MAX_NAMED ? ` and ${String(whole.length - MAX_NAMED)} more` : '';
  return [
    ...(whole.length === 0
      ? []
      : [`${file}: left out, because they are no entries that this imperm can read: lines ${named}${more}.`]),
    ...(whole.length === bad.length
      ? []
      : [`${file}: the last line is cut off and is left out; the power may have gone while it was written.`]),
  ];
}

/**
 * Appends entries. Of several runs that append at once one waits for the other, so that lines are never mixed. A line that was
 * cut off stays as it is, and what is appended begins on the next.
 *
 * @throws {HarnessError} TOOL_FAILED, TIMEOUT or INTERRUPTED when the lock cannot be had.
 * @throws {Error} What the file system says.
 */
export async function appendHistory(
  file: string,
  entries: readonly HistoryEntry[],
  budget: Budget,
): Promise<void> {
  if (entries.length === 0) return;
  await mkdir(path.dirname(file), { recursive: true });
  const lock = await takeLock(`${file}.lock`, { budget });
  try {
    const handle = await open(file, 'a+');
    try {
      const { size } = await handle.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await handle.read(last, 0, 1, size - 1);
      const isCutOff = size > 0 && last.toString() !== '\n';
      const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);
      await handle.appendFile(`${isCutOff ? '\n' : ''}${lines.join('')}`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } finally {
    await lock.release();
  }
}

/** What a run adds to the history: nothing of variants that were skipped or interrupted, because nobody looked. */
export function historyOf(record: RunRecord): HistoryEntry[] {
  const { run, imperm } = record;
  return record.variants.flatMap((variant) => {
    const host = hostOf(record, variant);
    const { verdict, startedAt, durationMs, checks, error, guest, target, attempt, repeatOf } = variant;
    if (verdict === 'skip' || error?.code === 'INTERRUPTED') return [];
    const broken = checks.find(({ status }) => status === 'fail')?.id;
    return [
      {
        version: 1 as const,
        when: startedAt,
        run,
        imperm,
        variant: variantIdOf(variant),
        ...(repeatOf === undefined || attempt === undefined ? {} : { attempt }),
        verdict,
        durationMs: Math.round(durationMs),
        ...(broken === undefined ? {} : { broken }),
        ...(error === undefined ? {} : { error: error.code }),
        guest,
        target,
        ...(host === undefined ? {} : { accelerator: host.accelerator }),
      },
    ];
  });
}

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError } from '../core/index.js';
import { RECORD_VERSION, type RunRecord } from './record.js';
import { recordVersionSchema, runRecordSchema } from './schema.js';

export const RECORD_FILE = 'record.json';
const LATEST_LINK = 'latest';

/** At most this many problems of a broken record are named. */
const MAX_PROBLEMS = 5;

/**
 * Writes `record.json` into the run's folder, which is made if need be. A reader sees the old file or the new
 * one, never half of it.
 *
 * @returns The path of the file.
 * @throws {Error} What the file system says when the folder cannot be written.
 */
export async function writeRecord(record: RunRecord, folder: string): Promise<string> {
  const file = path.join(folder, RECORD_FILE);
  await writeAtomically(file, `${JSON.stringify(record, undefined, 2)}\n`);
  return file;
}

/**
 * Writes a text file in one step: first beside it, then renamed over it.
 *
 * @throws {Error} What the file system says.
 */
export async function writeAtomically(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await replaceFile(file, (draft) => writeFile(draft, text));
}

/**
 * Makes `latest`, beside the run's folder, point at it. The link is relative, so that the reports folder can be
 * moved.
 *
 * @param folder The run's folder, `reports/<run>`.
 * @returns The path of the link.
 * @throws {HarnessError} USAGE when something that is not a link lies in its place.
 */
export async function linkLatest(folder: string): Promise<string> {
  const link = path.join(path.dirname(path.resolve(folder)), LATEST_LINK);
  try {
    await replaceFile(link, (draft) => symlink(path.basename(path.resolve(folder)), draft));
  } catch (thrown) {
    if (!isSystemError(thrown) || thrown.code !== 'EISDIR') throw thrown;
    throw new HarnessError('USAGE', `Could not point ${link} at the newest run: a folder has that name.`, {
      hint: `Rename or delete ${link}.`,
      cause: thrown,
    });
  }
  return link;
}

/**
 * Reads and validates a record.
 *
 * @param file Path of a `record.json`.
 * @throws {HarnessError} USAGE when the file cannot be read.
 * @throws {HarnessError} USAGE when it is not JSON (cut off, or something else).
 * @throws {HarnessError} USAGE when it is of another version.
 * @throws {HarnessError} USAGE when it has not the form of a record.
 */
export async function readRecord(file: string): Promise<RunRecord> {
  const refuse = (why: string, hint: string, cause?: unknown): HarnessError =>
    new HarnessError('USAGE', `Could not read the record ${file}: ${why}`, { hint, cause });

  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw refuse(
      why,
      `Give the path of a ${RECORD_FILE}; the newest run's is reports/latest/${RECORD_FILE}.`,
      thrown,
    );
  }

  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw refuse(
      `it is not JSON (${why}).`,
      'The file is cut off or is something else. Run the scenario again.',
      thrown,
    );
  }

  const version = recordVersionSchema.safeParse(json);
  if (version.success && version.data.version !== RECORD_VERSION) {
    const found = String(version.data.version);
    throw refuse(
      `it has version ${found}, and this imperm reads version ${String(RECORD_VERSION)}.`,
      'Read it with the imperm that wrote it, or run the scenario again.',
    );
  }

  const parsed = runRecordSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${formatKeys(issue.path)}: ${issue.message}`);
  const shown = problems.slice(0, MAX_PROBLEMS);
  if (problems.length > shown.length) shown.push(`and ${String(problems.length - shown.length)} more`);
  throw refuse(
    `it is not a record of version ${String(RECORD_VERSION)}: ${shown.join('; ')}.`,
    'The file was changed or is something else. Run the scenario again.',
    parsed.error,
  );
}

/** The draft's name is random: two runs that finish at once must not write the same one. */
async function replaceFile(file: string, make: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await make(draft);
    await rename(draft, file);
  } catch (thrown) {
    await rm(draft, { force: true });
    throw thrown;
  }
}

function formatKeys(keys: readonly PropertyKey[]): string {
  if (keys.length === 0) return 'the file';
  return keys
    .map((key) => (typeof key === 'number' ? `[${String(key)}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}

function isSystemError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && 'code' in thrown;
}

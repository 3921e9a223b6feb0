import { constants } from 'node:fs';
import { cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { type Environment, HarnessError } from '../core/index.js';
import {
  attemptsOf,
  exitCodeOf,
  historyOf,
  linkLatest,
  mergeRecords,
  newRunId,
  readRecord,
  RECORD_FILE,
  type ShardRun,
} from '../record/index.js';
import { renderSummary, writeReports } from '../report/index.js';
import { tellGithub } from './github.js';
import { historyFile, rememberRun } from './remember.js';
import { markRunning, wasKilled } from './running.js';
import { withSignals } from './signals.js';

/** Name of the folder in which a merged run comes to be, up to its id. */
const DRAFT = '.merging-';

export interface MergeOptions {
  readonly reports: string;
  readonly history?: string;
  readonly verbose: boolean;
}

/**
 * Makes one run of the runs of all shards: all reports, and a copy of the evidence. Everything is looked at first; when
 * something is missing or does not belong to the rest, nothing is written.
 *
 * @param folders Of the runs of the shards, in any order.
 * @returns The exit code that one run of everything would have had.
 * @throws {HarnessError} USAGE as `mergeRecords` and `readRecord`, and when evidence is missing; INTERRUPTED.
 */
export async function merge(
  folders: readonly string[],
  options: MergeOptions,
  { environment }: { readonly environment: Environment },
): Promise<number> {
  const shards: ShardRun[] = [];
  for (const folder of folders)
    shards.push({ folder, record: await readRecord(path.join(folder, RECORD_FILE)) });
  const runId = newRunId();
  const merged = mergeRecords(shards, runId);
  const evidence = (await Promise.all(shards.map(findEvidence))).flat();

  const reports = path.resolve(options.reports);
  const folder = path.join(reports, runId);
  const draft = path.join(reports, `${DRAFT}${runId}`);
  const { record, notes } = await withSignals(async (signal) => {
    await mkdir(draft, { recursive: true });
    const running = await markRunning(draft, signal);
    try {
      await removeKilledDrafts(reports);
      for (const { source, name } of evidence) {
        signal.throwIfAborted();
        await copyFolder(source, path.join(draft, name));
      }
      const remembered = await rememberRun(
        merged,
        historyFile(options),
        shards.flatMap((shard) => historyOf(shard.record)),
      );
      const written = await writeReports(remembered.record, draft);
      await running.release();
      await rename(draft, folder);
      return { record: remembered.record, notes: [...remembered.notes, ...written.notes] };
    } catch (thrown) {
      await rm(draft, { recursive: true, force: true });
      await running.release();
      throw thrown;
    }
  });
  await linkLatest(folder);
  const { stdout } = process;
  const color = stdout.isTTY && !environment.noColor;
  const shown = path.relative(process.cwd(), folder) || '.';
  const width = stdout.columns || 100;
  stdout.write(renderSummary(record, { color, width, folder: shown, proofs: options.verbose }));
  const told = await tellGithub(record, { environment, folder: shown });
  for (const note of [...notes, ...told]) process.stderr.write(`imperm: ${note}\n`);
  return exitCodeOf(record);
}

/** What a merge leaves that is killed. That of one under way is locked by it. */
async function removeKilledDrafts(reports: string): Promise<void> {
  for (const name of await readdir(reports)) {
    const draft = path.join(reports, name);
    if (name.startsWith(DRAFT) && (await wasKilled(draft))) await rm(draft, { recursive: true });
  }
}

/** Folders of evidence of a shard. A variant that was skipped has none. */
async function findEvidence({ folder, record }: ShardRun): Promise<{ source: string; name: string }[]> {
  const names = record.variants.flatMap((variant) =>
    variant.verdict === 'skip' ? [] : attemptsOf(variant).map((attempt) => attempt.folder),
  );
  return Promise.all(
    names.map(async (name) => {
      // A record may come from anywhere, and what it names is copied.
      if (!/^[A-Za-z0-9=_-][A-Za-z0-9=._-]*$/.test(name))
        throw refuse(folder, `it names "${name}" as a folder of evidence`, 'The record was changed.');
      const source = path.join(folder, name);
      const info = await stat(source).catch(() => undefined);
      if (info?.isDirectory() === true) return { source, name };
      throw refuse(
        folder,
        `the evidence in ${name}/ is not there`,
        'Bring the whole folder of the run, with all that is in it.',
      );
    }),
  );
}

/** Shares the blocks of files with the copy where the file system can. What is there already is not written over. */
async function copyFolder(source: string, target: string): Promise<void> {
  await cp(source, target, {
    recursive: true,
    force: false,
    errorOnExist: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
    mode: constants.COPYFILE_FICLONE,
  });
}

function refuse(folder: string, why: string, hint: string): HarnessError {
  return new HarnessError('USAGE', `Could not merge ${folder}: ${why}`, { hint });
}

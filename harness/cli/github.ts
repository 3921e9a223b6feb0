import { appendFile } from 'node:fs/promises';

import type { Environment } from '../core/index.js';
import type { RunRecord } from '../record/index.js';
import { renderAnnotations, renderMarkdownSummary } from '../report/index.js';

export interface TellGithubOptions {
  readonly environment: Pick<Environment, 'githubActions' | 'githubStepSummary'>;
  /** Folder of `record.json`, as it should be shown. */
  readonly folder: string;
  /** Where annotations go; GitHub reads both streams of a step. Absent: none, as the parts of the run have told theirs. */
  readonly out?: { write(text: string): unknown };
}

/**
 * In GitHub Actions: annotations at the lines of promises that were not kept, and the run on the page of the job. Does
 * nothing elsewhere.
 *
 * @returns One sentence for what could not be written; a run is never lost for that.
 */
export async function tellGithub(record: RunRecord, options: TellGithubOptions): Promise<string[]> {
  const { environment, folder, out } = options;
  if (!environment.githubActions) return [];
  out?.write(renderAnnotations(record));
  const file = environment.githubStepSummary;
  if (file === undefined || record.variants.length === 0) return [];
  try {
    // Other commands of the same step write there, too.
    await appendFile(file, `${renderMarkdownSummary(record, { folder })}\n`);
    return [];
  } catch (thrown) {
    return [`Could not write ${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}`];
  }
}

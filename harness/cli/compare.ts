import { stat } from 'node:fs/promises';
import path from 'node:path';

import { type Environment, EXIT, HarnessError } from '../core/index.js';
import { readRecord, RECORD_FILE } from '../record/index.js';
import { compareRuns, renderComparison, renderComparisonMarkdown } from '../report/index.js';

export interface CompareRunsOptions {
  readonly markdown: boolean;
  /** As given. */
  readonly factor: string;
}

/**
 * Says what changed from one run to another.
 *
 * @param older A run's folder, or its `record.json`.
 * @param newer The same.
 * @returns The exit code: 0, whatever changed.
 * @throws {HarnessError} USAGE when one of them cannot be read, or the factor is none.
 */
export async function compare(
  older: string,
  newer: string,
  options: CompareRunsOptions,
  { noColor }: Pick<Environment, 'noColor'>,
): Promise<number> {
  const factor = readFactor(options.factor);
  const [before, now] = [
    await readRecord(await findRecord(older)),
    await readRecord(await findRecord(newer)),
  ];
  const comparison = compareRuns(before, now, { factor });
  process.stdout.write(
    options.markdown
      ? renderComparisonMarkdown(comparison, { factor })
      : renderComparison(comparison, {
          factor,
          color: process.stdout.isTTY && !noColor,
          width: process.stdout.columns || 100,
        }),
  );
  return EXIT.ok;
}

function readFactor(text: string): number {
  const factor = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && factor > 1) return factor;
  throw new HarnessError('USAGE', `--factor takes a number above 1, not "${text}"`, {
    hint: 'With 1.5 a phase is told that takes half as long again as before.',
  });
}

async function findRecord(name: string): Promise<string> {
  const info = await stat(name).catch(() => undefined);
  return info?.isDirectory() === true ? path.join(name, RECORD_FILE) : name;
}

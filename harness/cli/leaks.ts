import path from 'node:path';

import { type Environment, EXIT, HarnessError } from '../core/index.js';
import {
  LEAKS_FILE,
  type LeaksFile,
  readLeaks,
  readRecord,
  RECORD_FILE,
  type VariantRecord,
} from '../record/index.js';
import { renderLeaks } from '../report/index.js';
import { run, type RunOptions } from './run.js';

export interface LeaksOptions extends Omit<RunOptions, 'tap'> {
  /** Run this first. */
  readonly scenario?: string;
  readonly json: boolean;
}

export interface LeaksSurroundings {
  readonly environment: Environment;
  readonly version: string;
}

/**
 * Shows what the next boot would lose and what nothing declares, of a run that was made or of one that is made now.
 *
 * @returns The exit code: of the run when it was made now, else 0, whatever leaks.
 */
export async function leaks(
  folder: string | undefined,
  options: LeaksOptions,
  { environment, version }: LeaksSurroundings,
): Promise<number> {
  const { scenario, json } = options;
  if (scenario !== undefined && folder !== undefined)
    throw new HarnessError('USAGE', 'A run folder and --scenario cannot be together', {
      hint: 'The folder of a run shows that run; --scenario makes a new one.',
    });
  let exitCode: number = EXIT.ok;
  let shown = folder ?? path.join(options.reports, 'latest');
  if (scenario !== undefined) {
    const words = ['leaks', '--scenario', scenario];
    // One variant: what leaks depends on the layout and hardly on the disk's bus.
    const choice = { ...options, guest: 'debian' as const, all: false, once: true, tap: false };
    const onReport = (made: string): void => {
      shown = made;
    };
    exitCode = await run([scenario], choice, { environment, version, words, onReport });
  }
  const record = await readRecord(path.join(shown, RECORD_FILE));
  const found = await Promise.all(record.variants.map((variant) => readVariant(variant, shown)));
  if (json) {
    process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
    return exitCode;
  }
  const color = process.stdout.isTTY && !environment.noColor;
  const width = process.stdout.columns || 100;
  const texts = found.map(({ variant, leaks: of, reason }) =>
    of === undefined ? `${variant}: ${reason}\n` : renderLeaks(variant, of, { color, width }),
  );
  process.stdout.write(texts.length === 0 ? 'No variant was run.\n' : texts.join('\n'));
  return exitCode;
}

type VariantLeaks =
  | { readonly variant: string; readonly leaks: LeaksFile; readonly reason?: never }
  | { readonly variant: string; readonly leaks?: never; readonly reason: string };

async function readVariant(
  { id, leaks: known, verdict, folder }: VariantRecord,
  run: string,
): Promise<VariantLeaks> {
  if (known === undefined)
    return {
      variant: id,
      reason: `leaks were not looked for, because the variant did not come to its end (${verdict})`,
    };
  return { variant: id, leaks: await readLeaks(path.join(run, folder, LEAKS_FILE)) };
}

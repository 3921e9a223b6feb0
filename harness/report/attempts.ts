import path from 'node:path';

import { attemptsOf, type VariantRecord } from '../record/index.js';
import { digestPromises } from './digest.js';
import { VERDICT_LABEL } from './paint.js';
import { formatDuration } from './words.js';

/**
 * The attempts at a variant, a line each: verdict, time, what was broken first, where the evidence lies.
 *
 * @param folder Folder of `record.json`, as it should be shown. Default: paths are relative to it.
 * @returns No line for a variant that was not run again.
 */
export function listAttempts(variant: VariantRecord, folder = ''): string[] {
  if (variant.otherAttempts === undefined) return [];
  return attemptsOf(variant).map(({ attempt, verdict, durationMs, checks, error, folder: own }) => {
    const against = digestPromises(checks).filter(({ outcome }) => outcome !== 'kept');
    const what = error === undefined ? against.map(({ id }) => id).join(', ') : error.code;
    const told = verdict === 'pass' || what === '' ? '' : ` (${what})`;
    const where = `${path.join(folder, own)}${path.sep}`;
    return `${String(attempt)}: ${VERDICT_LABEL[verdict]}${told}, ${formatDuration(durationMs)}, ${where}`;
  });
}

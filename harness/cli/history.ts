import { EXIT, type Environment, HarnessError } from '../core/index.js';
import { readHistory, type HistoryEntry } from '../record/index.js';
import { renderHistory, renderVariantHistory } from '../report/index.js';
import { historyFile } from './remember.js';

export interface HistoryOptions {
  readonly reports: string;
  readonly history?: string;
  readonly json: boolean;
}

/**
 * Shows what runs found so far: of all variants a line each, of those that are named every run.
 *
 * @param name Id of a variant, or name of a scenario for all its variants.
 * @throws {HarnessError} USAGE when nothing is known of it, or the history cannot be read.
 */
export async function history(
  name: string | undefined,
  options: HistoryOptions,
  { environment }: { readonly environment: Environment },
): Promise<number> {
  const file = historyFile(options);
  const { entries, notes } = await readHistory(file);
  for (const note of notes) process.stderr.write(`imperm: ${note}\n`);
  const asked = entries.filter(({ variant }) => name === undefined || isNamed(variant, name));
  if (asked.length === 0 && name !== undefined) {
    throw new HarnessError('USAGE', `${file} knows no run of ${name}`, {
      hint: '`imperm history` shows all variants that it knows; `imperm run` adds to it.',
    });
  }
  process.stdout.write(renderAsked(asked, { name, json: options.json, noColor: environment.noColor, file }));
  return EXIT.ok;
}

function renderAsked(
  entries: readonly HistoryEntry[],
  options: { name: string | undefined; json: boolean; noColor: boolean; file: string },
): string {
  if (options.json) return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
  if (entries.length === 0) return `${options.file} knows no run yet; \`imperm run\` adds to it.\n`;
  const color = process.stdout.isTTY && !options.noColor;
  return options.name === undefined
    ? renderHistory(entries, { color })
    : renderVariantHistory(entries, { color });
}

function isNamed(variant: string, name: string): boolean {
  return variant === name || variant.startsWith(`${name}[`);
}

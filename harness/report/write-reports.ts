import path from 'node:path';

import { RECORD_FILE, writeAtomically, writeRecord, type RunRecord } from '../record/index.js';
import { renderJUnit } from './junit.js';
import { renderSummary } from './summary.js';
import { renderTap } from './tap.js';

export interface WrittenReports {
  /** Paths of the files that were written. */
  readonly files: readonly string[];
  /** One sentence for each report that could not be written. */
  readonly notes: readonly string[];
}

/**
 * Writes every report of a run into its folder: `record.json`, `junit.xml`, `report.tap`, `report.html`, `summary.txt`. One
 * that fails does not keep the others from being written.
 *
 * @param folder The run's folder; made if need be.
 * @returns What was written, and what was not.
 */
export async function writeReports(record: RunRecord, folder: string): Promise<WrittenReports> {
  const write = async (name: string, render: () => string): Promise<void> => {
    await writeAtomically(path.join(folder, name), render());
  };
  const reports: Readonly<Record<string, () => Promise<unknown>>> = {
    [RECORD_FILE]: () => writeRecord(record, folder),
    'junit.xml': () => write('junit.xml', () => renderJUnit(record)),
    'report.tap': () => write('report.tap', () => renderTap(record)),
    'report.html': async () => {
      // Loaded here, as no other command needs what renders it.
      const { renderHtml } = await import('./html/index.js');
      await writeAtomically(path.join(folder, 'report.html'), await renderHtml(record, folder));
    },
    'summary.txt': () => write('summary.txt', () => renderSummary(record, { proofs: true })),
  };
  const files: string[] = [];
  const notes: string[] = [];
  for (const [name, make] of Object.entries(reports)) {
    const file = path.join(folder, name);
    try {
      await make();
      files.push(file);
    } catch (thrown) {
      notes.push(`Could not write ${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  return { files, notes };
}

import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { h } from 'preact';
import { renderToString } from 'preact-render-to-string';

import { repositoryRoot } from '../../core/index.js';
import type { RunRecord } from '../../record/index.js';
import { readEvidence } from './evidence.js';
import { Page, type VariantMaterial } from './page.js';

const FOLDER = path.join(repositoryRoot, 'harness/report/html');

/**
 * A run as one page: it opens from the disk, needs no network and no other file, and no JavaScript to be read. Links lead to
 * the evidence beside it.
 *
 * @param folder The run's folder, with the evidence; what is missing there is not shown.
 * @returns An HTML document.
 */
export async function renderHtml(record: RunRecord, folder: string): Promise<string> {
  const read = (name: string): Promise<string> => readFile(path.join(FOLDER, name), 'utf8');
  const materials = new Map<string, VariantMaterial>();
  for (const { id, folder: own, scenario } of record.variants) {
    const source = await readFile(scenario.file, 'utf8').catch(() => undefined);
    const evidence = await readEvidence(path.join(folder, own));
    materials.set(id, { evidence, ...(source === undefined ? {} : { source }) });
  }
  const page = h(Page, {
    record,
    materials,
    style: await read('report.css'),
    script: await read('filter.js'),
  });
  return `<!doctype html>\n${renderToString(page)}\n`;
}

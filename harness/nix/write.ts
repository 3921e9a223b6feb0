import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { repositoryRoot } from '../core/index.js';
import { findScenarios, loadScenarios, type ScenarioFile } from '../scenario/index.js';
import { makeNixDocument, type NixDocument } from './document.js';

/** Where a flake can read them: it sees only files that git knows, and no YAML. */
export const NIX_SCENARIOS_DIR = path.join(repositoryRoot, 'nix/scenarios');

/** All scenarios of this repository, those that must fail and those of bug reports included. */
export async function loadAllScenarios(): Promise<readonly ScenarioFile[]> {
  const folders = ['scenarios', 'scenarios/broken', 'scenarios/bugs'].map((folder) =>
    path.join(repositoryRoot, folder),
  );
  return loadScenarios((await Promise.all(folders.map(findScenarios))).flat());
}

/** The text of a document's file. */
export function renderNixDocument(document: NixDocument): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** Makes a folder hold these files, by their names, and no others. */
export async function writeFolder(folder: string, wanted: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) if (!wanted.has(name)) await rm(path.join(folder, name));
  for (const [name, text] of wanted) await writeFile(path.join(folder, name), text);
}

/** Writes the documents of all scenarios below nix/, and removes those of scenarios that are no more. */
export async function writeNixDocuments(): Promise<void> {
  const documents = (await loadAllScenarios()).map(makeNixDocument);
  const wanted = new Map(documents.map((each) => [`${each.scenario}.json`, renderNixDocument(each)]));
  await writeFolder(NIX_SCENARIOS_DIR, wanted);
}

import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { formatPath, locate, placeOf, type Located, type Path } from './located.js';
import type { Script } from './script.js';
import type { Problem } from './problem.js';
import { showFile } from './read-chain.js';
import { readSmallText } from './read-text.js';
import type { ScriptInput } from './schema.js';

/**
 * Reads a script as text. A path is relative to the file that names it, and must not lead out of the folders of
 * the scenario, so that a stranger's scenario cannot carry files of the host into the machine under test.
 *
 * @param root The scenario, for the places.
 * @param at Path of the script in it.
 * @param options.input What the scenario says there.
 * @param options.folders Absolute paths of the folders of the scenario and of those that it extends.
 */
export async function readScript(
  root: Located,
  at: Path,
  options: { readonly input: ScriptInput; readonly folders: readonly string[] },
): Promise<Script | Problem> {
  const { input, folders } = options;
  const place = placeOf(root, at);
  if (typeof input !== 'string') return { file: place.file, text: input.text, place };
  const folder = locate(root, at)?.folder ?? '';
  const file = path.resolve(folder, input);
  const refuse = (why: string): Problem => ({
    place,
    message: `${formatPath(at)}: ${showFile(file)} ${why}`,
  });
  // Refused before it is touched, so that a scenario cannot find out which files the host has.
  if (!folders.some((allowed) => isInside(allowed, file))) return refuse(OUTSIDE);
  const content = await readSmallText(file);
  if ('refusal' in content) return refuse(content.refusal);
  const real = await realpath(file);
  const realFolders = await Promise.all(folders.map((each) => realpath(each)));
  if (!realFolders.some((allowed) => isInside(allowed, real)))
    return refuse(`is a link, and what it leads to ${OUTSIDE}`);
  if (content.text.trim() === '') return refuse('is empty');
  return { file: showFile(file), text: content.text, place };
}

const OUTSIDE =
  "lies outside the folders of the scenario and of what it extends; put it into the scenario's own folder";

function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
}

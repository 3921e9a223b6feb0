import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Place } from '../core/index.js';
import { locate, placeOf, type Located } from './located.js';
import { mergeLocated } from './merge.js';
import { parseYaml } from './parse-yaml.js';
import type { Problem } from './problem.js';
import { readSmallText } from './read-text.js';
import { EXTENDS_PATTERN } from './schema.js';

/** A scenario file laid over everything that it extends. */
export interface ScenarioChain {
  /** Absent when one of the files could not be read at all. */
  readonly root?: Located;
  /** Absolute paths of all files of the chain, the scenario's own first. */
  readonly files: readonly string[];
  readonly problems: readonly Problem[];
}

const MAX_CHAIN = 10;

/** The way in which places name a file: relative to the current directory when below it, else absolute. */
export function showFile(file: string): string {
  const relative = path.relative('', file);
  return relative.startsWith('..') || path.isAbsolute(relative) ? path.resolve(file) : relative;
}

/**
 * Reads a scenario file and those that it extends, and merges them.
 *
 * @param file Path of the scenario file.
 */
export async function readChain(file: string): Promise<ScenarioChain> {
  return readLink(path.resolve(file), { above: [], place: { file: showFile(file), line: 1, col: 1 } });
}

interface Link {
  /** Real paths of the files that led here. */
  readonly above: readonly string[];
  /** Where this file is named. */
  readonly place: Place;
}

async function readLink(file: string, link: Link): Promise<ScenarioChain> {
  const shown = showFile(file);
  const files = [file];
  const fail = (message: string): ScenarioChain => ({ files, problems: [{ place: link.place, message }] });
  const content = await readSmallText(file);
  if ('refusal' in content) return fail(`the scenario file ${shown} ${content.refusal}`);
  const real = await realpath(file);
  if (link.above.includes(real))
    return fail(`extends goes round in a circle: ${shown} extends itself in the end`);
  if (link.above.length >= MAX_CHAIN) return fail(`extends goes over more than ${String(MAX_CHAIN)} files`);

  const { root, problems } = parseYaml({ shown, folder: path.dirname(file), text: content.text });
  if (root === undefined) return { files, problems };
  if (!(root.value instanceof Map)) {
    return { files, problems: [...problems, { place: root.place, message: 'a scenario must be a map' }] };
  }
  const parent = locate(root, ['extends'])?.value;
  if (typeof parent !== 'string' || !EXTENDS_PATTERN.test(parent)) return { root, files, problems };

  const below = await readLink(path.resolve(path.dirname(file), parent), {
    above: [...link.above, real],
    place: placeOf(root, ['extends']),
  });
  const all = { files: [...files, ...below.files], problems: [...problems, ...below.problems] };
  if (!root.value.has('imperm')) {
    all.problems.push({
      place: root.place,
      message: 'imperm is missing; it must be 1, also in a file that extends another',
    });
  }
  if (below.root === undefined) return all;
  const { merged, problems: mergeProblems } = mergeLocated(below.root, root);
  return { ...all, root: merged, problems: [...all.problems, ...mergeProblems] };
}

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError } from '../../core/index.js';
import { folderOfVariant, RUN_NAME } from '../../record/index.js';

/**
 * The folder of a run.
 *
 * @param name A path, or the name of a folder in the reports folder. Default: the newest, also one in progress.
 * @throws {HarnessError} USAGE when there is none.
 */
export async function findRun(name: string | undefined, reports: string): Promise<string> {
  if (name === undefined) {
    const newest = (await readdir(reports).catch(() => [])).filter((entry) => RUN_NAME.test(entry)).sort();
    const last = newest.at(-1);
    if (last !== undefined) return path.resolve(reports, last);
    throw new HarnessError('USAGE', `There is no run in ${reports}`, {
      hint: '`imperm run` makes one; --reports names another folder of runs.',
    });
  }
  for (const folder of [path.resolve(name), path.resolve(reports, name)])
    if (await isFolder(folder)) return folder;
  throw new HarnessError('USAGE', `There is no run "${name}"`, {
    hint: `A run is named by the path of its folder, or by the name that it has in ${reports}.`,
  });
}

/**
 * The folder of one variant of a run.
 *
 * @param name The variant's id, its folder's name, or a part of it that no other has. Default: the only one.
 * @param options.has Whether a variant has what is wanted of it. Default: every one has.
 * @param options.what That, as in "no variant with …".
 * @throws {HarnessError} USAGE when there is none, or more than one.
 */
export async function findVariant(
  run: string,
  name: string | undefined,
  options: {
    readonly has?: (folder: string) => Promise<boolean>;
    readonly what: string;
    readonly hint: string;
  },
): Promise<string> {
  const entries = await readdir(run, { withFileTypes: true });
  const folders: string[] = [];
  for (const entry of entries.filter((each) => each.isDirectory()))
    if ((await options.has?.(path.join(run, entry.name))) !== false) folders.push(entry.name);
  if (folders.length === 0)
    throw new HarnessError('USAGE', `The run ${run} has no variant with ${options.what}`, {
      hint: options.hint,
    });
  const wanted = name === undefined ? '' : folderOfVariant(name);
  const found = folders.includes(wanted) ? [wanted] : folders.filter((folder) => folder.includes(wanted));
  const [only] = found;
  if (only !== undefined && found.length === 1) return path.join(run, only);
  throw new HarnessError(
    'USAGE',
    found.length === 0
      ? `The run has no variant "${name ?? ''}" with ${options.what}`
      : `The run has ${String(found.length)} variants ${name === undefined ? '' : `that "${name}" may mean, `}with ${options.what}: say which`,
    { details: (found.length === 0 ? folders : found).sort().join('\n') },
  );
}

export async function isFolder(folder: string): Promise<boolean> {
  return (await stat(folder).catch(() => undefined))?.isDirectory() === true;
}

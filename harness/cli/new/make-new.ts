import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { HarnessError } from '../../core/index.js';
import { findScenario, SCENARIOS_DIR } from '../select.js';
import { loadScenarios, scenarioJsonSchema, whyNotLine } from '../../scenario/index.js';
import { type Answers, type Ask, completeAnswers } from './answers.js';
import { renderDifference } from './render-difference.js';
import { renderScenario } from './render-scenario.js';
import { renderInstall, renderRollback } from './render-scripts.js';

/** What the command line says; what it leaves out is asked for, or has a default. */
export interface NewOptions extends Partial<Answers> {
  /** Differ from this scenario, by name or file. */
  readonly from?: string;
  readonly title?: string;
}

const SCHEMA = 'scenario.schema.json';
/** When no file is named. */
const DEFAULT_FILE = 'my-layout.yaml';

/**
 * Makes a scenario that runs, and says what to do with it.
 *
 * @param given Path of the file to write. Default `my-layout.yaml`.
 * @param ask Asks for what the options leave out; absent where nobody can be asked.
 * @returns What to tell: the files, and the next command.
 * @throws {HarnessError} USAGE when the file has a wrong name, one of the files is there already, or the answers make no scenario.
 */
export async function makeNew(
  given: string | undefined,
  options: NewOptions,
  ask: Ask | undefined,
): Promise<string> {
  const file = given ?? DEFAULT_FILE;
  const name =
    path.basename(file) === 'scenario.yaml'
      ? path.basename(path.dirname(path.resolve(file)))
      : path.parse(file).name;
  if (!/\.ya?ml$/.test(file) || !/^[a-z0-9][a-z0-9._-]*$/.test(name))
    throw new HarnessError('USAGE', `Cannot make a scenario in "${file}"`, {
      hint: 'The file ends in .yaml, and its name is made of a-z, 0-9, ".", "-" and "_"; of scenario.yaml the folder has the name.',
    });
  // Before anybody answers a question in vain.
  await refuseExisting([file]);
  const title = options.title ?? name;
  const wrong = whyNotLine(title);
  if (wrong !== undefined) throw new HarnessError('USAGE', `--title ${wrong}`);
  const { files, assumed } =
    options.from === undefined
      ? await makeWhole(file, { options, title, ask })
      : { files: await makeDifference(file, { options, from: options.from, title }), assumed: [] };
  await refuseExisting([...files.keys()]);
  if (options.from === undefined) await refuseInvalid(files, file);
  for (const [each, text] of files) {
    await mkdir(path.dirname(path.resolve(each)), { recursive: true });
    // Whoever made one in the meantime keeps it.
    await writeFile(each, text, { flag: 'wx' });
  }
  const shown = path.relative('', path.resolve(file));
  return [
    `Wrote ${[...files.keys()].join(', ')}.`,
    ...(assumed.length === 0 ? [] : [`Nobody was asked, so it was made with ${assumed.join(' ')}.`]),
    '',
    'Next:',
    `  npx imperm check ${shown}`,
    `  npx imperm run ${shown} --once`,
    '',
  ].join('\n');
}

async function makeWhole(
  file: string,
  {
    options,
    title,
    ask,
  }: { readonly options: NewOptions; readonly title: string; readonly ask: Ask | undefined },
): Promise<{ readonly files: ReadonlyMap<string, string>; readonly assumed: readonly string[] }> {
  const { title: _title, from: _from, ...given } = options;
  const { answers, assumed } = await completeAnswers(given, ask);
  const folder = path.dirname(file);
  // Several scenarios may lie in one folder.
  const prefix = path.basename(file) === 'scenario.yaml' ? '' : `${path.parse(file).name}-`;
  const names = {
    scenario: path.basename(file),
    schema: SCHEMA,
    install: `${prefix}install.sh`,
    rollback: `${prefix}rollback.sh`,
  };
  const files = new Map([
    [file, renderScenario(answers, title, names)],
    [path.join(folder, names.install), renderInstall(answers)],
  ]);
  if (answers.root !== 'tmpfs') files.set(path.join(folder, names.rollback), renderRollback(answers));
  // For editors, so that the folder can be anywhere. One that is there is as good.
  if (!(await exists(path.join(folder, SCHEMA))))
    files.set(path.join(folder, SCHEMA), `${JSON.stringify(scenarioJsonSchema(), undefined, 2)}\n`);
  return { files, assumed };
}

async function makeDifference(
  file: string,
  { options, from, title }: { readonly options: NewOptions; readonly from: string; readonly title: string },
): Promise<ReadonlyMap<string, string>> {
  const others = Object.keys(options).filter((key) => !['from', 'title'].includes(key));
  if (others.length > 0)
    throw new HarnessError('USAGE', '--from cannot be together with answers to questions', {
      hint: 'With --from everything is as in that scenario; change it in the new file.',
    });
  const base = await findScenario(from);
  const [loaded] = await loadScenarios([base]);
  if (loaded === undefined) throw new HarnessError('INTERNAL', `Internal error: ${base} gave no scenario.`);
  const folder = path.dirname(path.resolve(file));
  const relative = (to: string): string => {
    const way = path.relative(folder, path.resolve(to)).replaceAll(path.sep, '/');
    return way.startsWith('.') ? way : `./${way}`;
  };
  return new Map([
    [
      file,
      renderDifference(loaded, {
        file: path.basename(file),
        title,
        extends: relative(base),
        schema: relative(path.join(SCENARIOS_DIR, SCHEMA)),
      }),
    ],
  ]);
}

async function refuseExisting(files: readonly string[]): Promise<void> {
  for (const file of files) {
    if (await exists(file))
      throw new HarnessError('USAGE', `${file} is there already, and is not overwritten`, {
        hint: 'Name another file.',
      });
  }
}

/** Loads the scenario as any other before it is written: what its rules refuse is said of the answers. */
async function refuseInvalid(files: ReadonlyMap<string, string>, file: string): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-new-'));
  try {
    // By its own name, which its scripts are named after.
    const inside = path.join(folder, 'layout');
    await mkdir(inside);
    for (const [each, text] of files) await writeFile(path.join(inside, path.basename(each)), text);
    await loadScenarios([path.join(inside, path.basename(file))]);
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'SCENARIO_INVALID') throw error;
    throw new HarnessError('USAGE', 'These answers make no scenario', {
      ...(error.details === undefined ? {} : { details: error.details.replaceAll(/^\S*?:\d+:\d+: /gm, '') }),
      hint: 'Nothing was written.',
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

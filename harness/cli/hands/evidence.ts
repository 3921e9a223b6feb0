import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import {
  Budget,
  Cleanup,
  type Environment,
  EXIT,
  HarnessError,
  repositoryRoot,
  runProgram,
  takeLease,
} from '../../core/index.js';
import { readRecord, RECORD_FILE } from '../../record/index.js';
import { formatSize, makePrintable } from '../../report/index.js';
import { KEPT_DIR, readKeptSecrets } from '../../run/index.js';
import { listScenarioFiles, loadScenarios } from '../../scenario/index.js';
import { withSignals } from '../signals.js';
import { findRun } from './find-run.js';
import { SecretScan } from './secret-scan.js';

export interface EvidenceOptions {
  /** Default `imperm-evidence-<run>.tar.gz` here. */
  readonly output?: string;
  readonly reports: string;
}

/** What a run writes for people and programs. Whatever else lies there stays at home. */
const TEXT = new Set(['.json', '.log', '.txt', '.html', '.xml', '.tap', '.md']);
const PICTURE = new Set(['.png']);
const PACK_MS = 300_000;
const CONTENTS = 'CONTENTS.txt';

interface Item {
  /** In the bundle. */
  readonly name: string;
  readonly content: Buffer;
}

/**
 * Packs what a bug report needs into one file: record, reports, logs, pictures, the files of the scenarios. No disk, no
 * key, no known secret.
 *
 * @returns The exit code.
 * @throws {HarnessError} SECRET_FOUND when one is left in what was to be packed: nothing is then written.
 */
export async function packEvidence(
  run: string | undefined,
  options: EvidenceOptions,
  environment: Environment,
): Promise<number> {
  const folder = await findRun(run, options.reports);
  const name = `imperm-evidence-${path.basename(folder)}`;
  const output = path.resolve(options.output ?? `${name}.tar.gz`);
  const compression = chooseCompression(output);
  const variants = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const secrets = await Promise.all(variants.map((entry) => readKeptSecrets(path.join(folder, entry.name))));
  const scan = new SecretScan(secrets.flat());
  const found = await readRunFiles(folder);
  const scenarios = await readScenarioFiles(folder);
  const items = [...found.items, ...scenarios.items].map(({ name: file, content }) => ({
    name: file,
    content: PICTURE.has(path.extname(file)) ? content : Buffer.from(scan.clean(content.toString('utf8'))),
  }));
  for (const { name: file, content } of items) {
    const left = scan.find(content);
    if (left !== undefined)
      throw new HarnessError('SECRET_FOUND', `${file} holds ${left}, and nothing was packed`, {
        hint: `Look at ${path.join(folder, file)}, and take it away if it is not needed; whoever finds out how it got there mends imperm.`,
      });
  }
  const leftOut = [...found.leftOut, ...scenarios.leftOut];
  const contents = renderContents(items, leftOut);
  await withSignals(async (signal) => {
    await using cleanup = new Cleanup(() => undefined);
    const lease = await takeLease(environment.workDir);
    cleanup.push('removing the copies', () => lease.release());
    for (const { name: file, content } of [...items, { name: CONTENTS, content: Buffer.from(contents) }]) {
      const target = path.join(lease.dir, name, file);
      await mkdir(path.dirname(target), { recursive: true });
      await writeFile(target, content);
    }
    const budget = Budget.start('the evidence to be packed', PACK_MS, signal);
    const draft = `${output}.part`;
    cleanup.push('removing a half-written file', () => rm(draft, { force: true }));
    const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
    const args = ['--create', compression, ...owner, '--file', draft, '--directory', lease.dir, name];
    await runProgram('tar', args, { budget });
    await rename(draft, output);
  });
  const { size } = await lstat(output);
  process.stdout.write(`${contents}\n${output}: ${formatSize(size)}\n`);
  return EXIT.ok;
}

/** Bug trackers take gzip; whoever wants it smaller says so by the name. */
function chooseCompression(output: string): string {
  if (output.endsWith('.tar.gz') || output.endsWith('.tgz')) return '--gzip';
  if (output.endsWith('.tar.zst')) return '--zstd';
  throw new HarnessError(
    'USAGE',
    `${output} has to end with .tar.gz, or with .tar.zst where zstd is at hand`,
  );
}

async function readRunFiles(folder: string): Promise<{ items: Item[]; leftOut: string[] }> {
  const items: Item[] = [];
  const leftOut: string[] = [];
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(path.join(folder, below), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = path.join(below, entry.name);
      const extension = path.extname(entry.name);
      if (entry.isDirectory() && entry.name === KEPT_DIR) leftOut.push(`${name}: disks and what opens them`);
      else if (entry.isDirectory()) await walk(name);
      else if (entry.isFile() && (TEXT.has(extension) || PICTURE.has(extension)))
        items.push({ name, content: await readFile(path.join(folder, name)) });
      else leftOut.push(`${name}: not what a run writes`);
    }
  };
  await walk('');
  return { items, leftOut };
}

/** The files of every scenario of the run, as they are now. */
async function readScenarioFiles(folder: string): Promise<{ items: Item[]; leftOut: string[] }> {
  const leftOut: string[] = [];
  const record = await readRecord(path.join(folder, RECORD_FILE)).catch((error: unknown) => {
    leftOut.push(`the scenarios: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  });
  const shown = new Set(record?.variants.map(({ scenario }) => scenario.file) ?? []);
  const items = new Map<string, Item>();
  for (const file of shown) {
    // A record names it as seen from where the run was started.
    const candidates = [path.resolve(file), path.resolve(repositoryRoot, file)];
    const main = (await Promise.all(candidates.map(isFile))).indexOf(true);
    const found = candidates[main];
    if (found === undefined) {
      leftOut.push(`${file}: not found from here`);
      continue;
    }
    const files = await loadScenarios([found]).then(
      ([scenario]) => (scenario === undefined ? [found] : listScenarioFiles(scenario)),
      () => {
        leftOut.push(`what ${file} extends and runs: it cannot be loaded any more`);
        return [found];
      },
    );
    for (const each of files.map((one) => path.resolve(one))) {
      const name = path.join('scenario-files', nameOf(each));
      const content = await readFile(each).catch(() => undefined);
      if (content === undefined) leftOut.push(`${each}: cannot be read`);
      else items.set(name, { name, content });
    }
  }
  return { items: [...items.values()], leftOut };
}

/** Where a file lies, seen from the checkout; of others the two last folders: nobody needs to know where somebody lives. */
function nameOf(file: string): string {
  const inside = path.relative(repositoryRoot, file);
  if (!inside.startsWith('..')) return inside;
  return path.join('elsewhere', ...file.split(path.sep).slice(-2));
}

async function isFile(file: string): Promise<boolean> {
  return (await lstat(file).catch(() => undefined))?.isFile() === true;
}

function renderContents(items: readonly Item[], leftOut: readonly string[]): string {
  const total = items.reduce((sum, { content }) => sum + content.length, 0);
  return [
    `${String(items.length)} files, ${formatSize(total)}:`,
    ...items.map(({ name, content }) => `${formatSize(content.length).padStart(10)}  ${makePrintable(name)}`),
    ...(leftOut.length === 0 ? [] : ['', 'Left out:', ...leftOut.map((line) => `  ${makePrintable(line)}`)]),
    '',
  ].join('\n');
}

// What the documents say to type: every command line is read by our own parser, what is cheap is really run, and links lead
// somewhere.
import { spawnSync } from 'node:child_process';
import { access, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { readEnvironment, repositoryRoot } from '../core/index.js';
import { writeSampleRun } from '../report/index.js';
import {
  type CommandLine,
  findCommandLines,
  findExamples,
  findMarkdown,
  findWrittenScenarios,
  makeCommandJudge,
  readMarkdown,
} from './documents/index.js';
import { loadScenarios } from '../scenario/index.js';
import { makeCommandLine } from './main.js';

const environment = readEnvironment();
const makeProgram = () => makeCommandLine(environment, { version: '0' }).program;
const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

const files = await findMarkdown(repositoryRoot);
const documents = await Promise.all(
  files.map(async (file) => ({
    file,
    ...readMarkdown(await readFile(path.join(repositoryRoot, file), 'utf8')),
  })),
);

/** Scenarios that the documents let their reader write. */
const written = documents.flatMap((document) =>
  findWrittenScenarios(document).map((scenario) => ({
    ...scenario,
    // Beside the one that it is about, where a document has said its folder before.
    name: (/^(?:scenarios\/)?(.+)\/scenario\.yaml$/.exec(scenario.file)?.[1] ?? scenario.file).replace(
      /^esp-open-/,
      'bugs/esp-open-',
    ),
    place: `${document.file}:${String(scenario.line)}`,
  })),
);
const judge = makeCommandJudge({
  makeProgram,
  scripts: ['test', ...Object.keys(manifest.scripts)],
  written: new Set(written.map(({ name }) => name)),
});

/** Of every command, those below others too. */
const helps = [makeProgram()].flatMap(function all(command): { name: string; text: string }[] {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return [{ name: command.name(), text }, ...command.commands.flatMap(all)];
});

/** Each with the place that it stands in. */
const lines: (CommandLine & { readonly place: string })[] = [
  ...documents.flatMap((document) =>
    findCommandLines(document).map((line) => ({ ...line, place: `${document.file}:${String(line.line)}` })),
  ),
  ...helps.flatMap(({ name, text }) =>
    findExamples(text).map((line) => ({ ...line, place: `${name} --help` })),
  ),
];

t.test('every command line of the documents and of the help is one', async (t) => {
  t.ok(files.length > 6 && files.includes('README.md'), files.join(', '));
  t.ok(lines.length > 80, `${String(lines.length)} command lines`);
  t.ok(lines.some(({ place }) => place === 'check --help'));
  for (const line of lines) {
    const problem = await judge.judge(line);
    if (problem !== undefined) t.fail(`${line.place}: ${line.text}: ${problem}`);
  }
});

t.test('a document that is wrong is told', async (t) => {
  const cases: readonly [string, RegExp][] = [
    ['```sh\nnpx imperm run --nowhere\n```', /unknown option '--nowhere'/],
    ['```console\n$ imperm rnu\nsomething\n```', /unknown command 'rnu'/],
    ['    npx imperm run --guest windows', /'windows' is invalid/],
    [
      '```sh\nsudo true && npx imperm check tmpfs-luks-ext5 | head\n```',
      /no scenario or file "tmpfs-luks-ext5"/,
    ],
    ['so `imperm run tmpfs-luks-ext4 --variant disk=floppy` says', /no disk=floppy/],
    ['```sh\nnpx imperm plan btrfs-luks-rollback --variant luks=tpm2 stage1=scripted\n```', /no variant/],
    ['`npx imperm run scenarios/nowhere/scenario.yaml`', /no scenario or file/],
    ['`npx imperm image installer.img --netboot`', /--authorized-key/],
    ['`imperm hardware chekc bench.yaml`', /unknown command 'chekc'/],
    ['`npx imperm list everything`', /too many arguments/],
    ['`npm run nowhere`', /no script "nowhere"/],
    ['`npm start -- --ful`', /unknown option '--ful'/],
  ];
  for (const [text, message] of cases) {
    const [line] = findCommandLines(readMarkdown(text));
    t.match(line === undefined ? 'not found' : await judge.judge(line), message, text);
  }
  t.throws(() => findCommandLines(readMarkdown("```sh\nnpx imperm run 'a\n```")), /no shell can read/);
  const good = [
    '```sh\nimperm run ./my-own.yaml --once # why\n```',
    '`imperm run`',
    '`npx imperm leaks [run]`',
    '`npm test -- --unit`',
  ];
  for (const text of good) {
    const [line] = findCommandLines(readMarkdown(text));
    t.equal(line === undefined ? 'not found' : await judge.judge(line), undefined, text);
  }
});

/** The run that examples are about. */
const RUN = 'reports/2026-11-21-100233-2140';

/** What takes a second and touches nothing but files of the reader. */
function isCheap({ program, words }: CommandLine): boolean {
  if (program !== 'imperm' || words.some((word) => word.includes('some-') || word.startsWith('~')))
    return false;
  const [command = ''] = words;
  // By name there is no scenario that a reader has yet to write.
  if (written.some(({ name }) => !name.endsWith('.yaml') && words.includes(name))) return false;
  if (words.includes('--help')) return true;
  if (command === 'plan') return !words.includes('--target');
  if (command === 'leaks') return !words.includes('--scenario');
  if (command === 'new') return words.length > 1;
  return ['check', 'list', 'completion', 'nix'].includes(command) && (words.length > 1 || command === 'list');
}

t.test('what is cheap is run, as it stands there', async (t) => {
  const folder = t.testdir({});
  await writeSampleRun(path.join(folder, RUN));
  await symlink(path.basename(RUN), path.join(folder, 'reports/latest'));
  const cheap = new Map(lines.filter(isCheap).map((line) => [line.words.join(' '), line]));
  t.ok(cheap.size >= 15, `${String(cheap.size)} different ones`);
  // The reader's own layouts, which other lines are about, come first.
  const calls = [
    ...['laptop.yaml', 'my-layout.yaml'].map((own) => ({ words: ['new', own], what: own })),
    ...[...cheap.values()].map(({ words, place, text }, index) => ({
      what: `${place}: ${text}`,
      words:
        words[0] === 'new' && !words.includes('--help')
          ? // Nothing that is there is overwritten, and several lines make the same.
            ['new', `new-${String(index)}/${path.basename(words[1] ?? '')}`, ...words.slice(2)]
          : words[0] === 'leaks' && words.length < 3 && !words.includes(RUN)
            ? [...words, '--reports', path.join(folder, 'reports')]
            : words,
    })),
  ];
  for (const [index, { code, output }] of runAll(
    calls.map(({ words }) => words),
    folder,
  ).entries()) {
    const { words = [], what = '' } = calls[index] ?? {};
    // `check` may find something: then it has said so.
    const isGood = code === 0 || (words[0] === 'check' && code === 1);
    t.ok(isGood && output !== '', what, isGood ? {} : { output });
  }
  const [wrong] = runAll([['check', 'nowhere']], folder);
  t.equal(wrong?.code, 2, 'what fails is seen to fail');
});

/** One process for all, as each takes half a second to start. */
const RUN_ALL = `const [main, calls] = process.argv.slice(1);
const { main: imperm } = await import(main);
const write = { out: process.stdout.write.bind(process.stdout), err: process.stderr.write.bind(process.stderr) };
const results = [];
for (const words of JSON.parse(calls)) {
  let output = '';
  process.stdout.write = process.stderr.write = (text) => (output += text, true);
  const code = await imperm(words);
  Object.assign(process.stdout, { write: write.out });
  Object.assign(process.stderr, { write: write.err });
  results.push({ code, output });
}
write.out(JSON.stringify(results));`;

function runAll(
  calls: readonly (readonly string[])[],
  cwd: string,
): readonly { readonly code: number; readonly output: string }[] {
  const main = path.join(repositoryRoot, '.build/harness/cli/main.js');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', RUN_ALL, main, JSON.stringify(calls)],
    { cwd, encoding: 'utf8', env: { ...process.env, CI: 'true' }, maxBuffer: 2 ** 26 },
  );
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as { code: number; output: string }[];
}

t.test('scenarios that the documents let people write are scenarios', async (t) => {
  const folder = t.testdir({});
  await cp(path.join(repositoryRoot, 'scenarios'), folder, { recursive: true });
  t.ok(written.length > 2, `${String(written.length)} scenarios`);
  for (const { text, name, place } of written) {
    const own = path.join(folder, name.endsWith('.yaml') ? name : `${name}/scenario.yaml`);
    await mkdir(path.dirname(own), { recursive: true });
    await writeFile(own, text);
    await t.resolves(loadScenarios([own]), place);
  }
  const broken = path.join(folder, 'broken.yaml');
  await writeFile(broken, 'imperm: 1\ntitel: x\n');
  await t.rejects(loadScenarios([broken]), { code: 'SCENARIO_INVALID' }, 'what is none is told');
});

t.test('links lead somewhere', async (t) => {
  const anchorsOf = new Map(documents.map(({ file, anchors }) => [file, anchors]));
  const findBroken = async (file: string, target: string): Promise<string | undefined> => {
    if (/^[a-z]+:/.test(target)) return undefined;
    const [name = '', anchor] = target.split('#');
    const to = name === '' ? file : path.normalize(path.join(path.dirname(file), name));
    const isThere = await access(path.join(repositoryRoot, to)).then(
      () => true,
      () => false,
    );
    if (!isThere) return `${file} leads to ${to}, which is not there`;
    return anchor === undefined || anchorsOf.get(to)?.has(`#${anchor}`) === true
      ? undefined
      : `${to} has no heading #${anchor}`;
  };
  for (const { file, links } of documents)
    for (const { text, line } of links) {
      const broken = await findBroken(file, text);
      if (broken !== undefined) t.fail(`${file}:${String(line)}: ${broken}`);
    }
  t.match(await findBroken('README.md', 'nix/NOTHING.md'), /not there/);
  t.match(await findBroken('README.md', 'nix/README.md#nothing'), /no heading/);
});

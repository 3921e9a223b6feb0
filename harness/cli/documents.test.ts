// What the documents say to type: every command line is read by our own parser, what is cheap is really run, and links lead
// somewhere.
import { spawnSync } from 'node:child_process';
import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { readEnvironment, repositoryRoot } from '../core/index.js';
import { writeSampleRun } from '../report/index.js';
import {
  type CommandLine,
  findCommandLines,
  findExamples,
  findMarkdown,
  makeCommandJudge,
  readMarkdown,
} from './documents/index.js';
import { makeCommandLine } from './main.js';

const environment = readEnvironment();
const makeProgram = () => makeCommandLine(environment, { version: '0' }).program;
const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const judge = makeCommandJudge({ makeProgram, scripts: ['test', ...Object.keys(manifest.scripts)] });

const files = await findMarkdown(repositoryRoot);
const documents = await Promise.all(
  files.map(async (file) => ({
    file,
    ...readMarkdown(await readFile(path.join(repositoryRoot, file), 'utf8')),
  })),
);

function helpOf(name?: string): string {
  const command =
    name === undefined ? makeProgram() : makeProgram().commands.find((each) => each.name() === name);
  let text = '';
  command?.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

/** Each with the place that it stands in. */
const lines: (CommandLine & { readonly place: string })[] = [
  ...documents.flatMap((document) =>
    findCommandLines(document).map((line) => ({ ...line, place: `${document.file}:${String(line.line)}` })),
  ),
  ...[undefined, ...makeProgram().commands.map((each) => each.name())].flatMap((name) =>
    findExamples(helpOf(name)).map((line) => ({ ...line, place: `imperm ${name ?? ''} --help` })),
  ),
];

t.test('every command line of the documents and of the help is one', async (t) => {
  t.ok(files.length > 6 && files.includes('README.md'), files.join(', '));
  t.ok(lines.length > 80, `${String(lines.length)} command lines`);
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
    ['```sh\nnpx imperm plan tmpfs-luks-ext4 --variant luks=tpm2 stage1=scripted\n```', /no variant/],
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
    '```sh\nimperm run my-own --once # why\n```',
    '`imperm run`',
    '`npx imperm leaks [run]`',
    '`npm test -- --unit`',
  ];
  for (const text of good) {
    const [line] = findCommandLines(readMarkdown(text));
    t.equal(line === undefined ? 'not found' : await judge.judge(line), undefined, text);
  }
});

/** What takes a second and touches nothing but files of the reader. */
function isCheap({ program, words }: CommandLine): boolean {
  if (program !== 'imperm' || words.some((word) => word.includes('some-') || word.startsWith('~')))
    return false;
  const [command = ''] = words;
  if (words.includes('--help')) return true;
  if (command === 'plan') return !words.includes('--target');
  if (command === 'leaks') return !words.includes('--scenario');
  if (command === 'new') return words.length > 1;
  return ['check', 'list', 'completion', 'nix'].includes(command) && (words.length > 1 || command === 'list');
}

t.test('what is cheap is run, as it stands there', async (t) => {
  const folder = t.testdir({});
  const run = path.join(folder, 'reports', '2026-11-21-100233-2140');
  await mkdir(run, { recursive: true });
  await writeSampleRun(run);
  const imperm = (words: readonly string[]): { code: number | null; output: string } => {
    const bin = path.join(repositoryRoot, 'harness/bin/imperm.mjs');
    const options = { cwd: folder, encoding: 'utf8', env: { ...process.env, CI: 'true' } } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words], options);
    return { code: status, output: stdout + stderr };
  };
  const cheap = new Map(lines.filter(isCheap).map((line) => [line.words.join(' '), line]));
  t.ok(cheap.size >= 15, `${String(cheap.size)} different ones`);
  // The reader's own layouts, which every other line is about.
  for (const own of ['laptop.yaml', 'my-layout.yaml']) t.equal(imperm(['new', own]).code, 0, own);
  for (const { words, place, text } of cheap.values()) {
    const isNew = words[0] === 'new';
    const inRun = words[0] === 'leaks' && words.length < 2;
    const { code, output } = imperm([
      // The reader has none of the files yet that are made here, in whatever order.
      ...(isNew
        ? ['new', `new-${String(Math.random())}/${path.basename(words[1] ?? '')}`, ...words.slice(2)]
        : words),
      ...(inRun ? ['--reports', path.join(folder, 'reports')] : []),
    ]);
    // `check` may find something: then it has said so.
    const isGood = code === 0 || (words[0] === 'check' && code === 1);
    t.ok(isGood, `${place}: ${text}`, isGood ? {} : { output });
  }
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

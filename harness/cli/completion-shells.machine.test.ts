// Completion in zsh and fish of Debian, which really complete; bash, which every host has, is tried by completion.test.ts.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, runProgram } from '../core/index.js';
import { openToolsTree, toolsRoomWords } from '../host/index.js';
import { renderCompletion } from './completion/index.js';
import { makeCommandLine } from './main.js';
import { SCENARIOS_DIR } from './select.js';

const UNPACK_LIMIT_MS = 10 * 60_000;
const LIMIT_MS = 60_000;

const environment = readEnvironment();
const startBudget = (what: string, limitMs: number): Budget =>
  Budget.start(what, limitMs, new AbortController().signal);
const tree = await openToolsTree({
  name: 'test-shells',
  packages: ['fish', 'zsh'],
  libraryFolders: [],
  cacheDir: environment.cacheDir,
  mirror: environment.debianMirror,
  budget: startBudget('shells to be unpacked', UNPACK_LIMIT_MS),
});
const folder = t.testdir({ 'my-layout.yaml': '' });
const { program } = makeCommandLine(environment, { version: '0' });
const room = toolsRoomWords(tree, { folders: [folder, SCENARIOS_DIR] });

async function inShell(...words: readonly string[]): Promise<string> {
  const [file = '', ...args] = [...room, ...words];
  const env = { HOME: folder, TERM: 'dumb', LC_ALL: 'C.UTF-8' };
  return (await runProgram(file, args, { budget: startBudget('a shell to complete', LIMIT_MS), env })).stdout;
}

/** For a zsh on a terminal: programs that say what they were given. The word itself must not stand here. */
const SETUP_OF_ZSH = `PS1=
autoload -U compinit
compinit -D -u
source $PWD/imperm.zsh
imperm() { print -r -- "giv""en<\${(j: :)@}>" }
npx() { print -r -- "giv""en<\${(j: :)@}>" }
print -r -- "rea""dy"
`;

/** Types a line with a Tab at its end, waits a second, and sends it off. */
const TYPE_IN_ZSH = `cd $1
zmodload zsh/zpty zsh/zselect
zpty shell zsh -f -i
zpty -w shell 'source $PWD/setup.zsh'
zpty -r -m shell text '*ready*'
zpty -w -n shell "$2"$'\\t'
zselect -t 100
zpty -w shell ' '
zpty -r -m shell text '*given<*>*'
print -r -- $text`;

t.test('zsh completes', async (t) => {
  await writeFile(path.join(folder, 'imperm.zsh'), renderCompletion('zsh', program));
  await writeFile(path.join(folder, 'setup.zsh'), SETUP_OF_ZSH);
  const complete = async (line: string): Promise<string | undefined> => {
    const text = await inShell('zsh', '-f', '-c', TYPE_IN_ZSH, 'zsh', folder, line);
    return /given<(.*?)>/.exec(text)?.[1]?.trim();
  };
  t.equal(await complete('imperm compl'), 'completion');
  t.equal(await complete('imperm run --target lib'), 'run --target libvirt');
  t.equal(await complete('imperm run --variant disk=n'), 'run --variant disk=nvme');
  t.equal(await complete('imperm run tmpfs-luks-'), 'run tmpfs-luks-ext4');
  t.equal(await complete('imperm check my-l'), 'check my-layout.yaml');
  t.equal(await complete('imperm hardware ch'), 'hardware check');
  t.equal(await complete('npx imperm new --root tm'), 'imperm new --root tmpfs');
  t.equal(await complete('imperm run --nowh'), 'run --nowh', 'nothing that is not there');
});

t.test('fish completes', async (t) => {
  const script = path.join(folder, 'imperm.fish');
  await writeFile(script, renderCompletion('fish', program));
  await mkdir(path.join(folder, '.config/fish'), { recursive: true });
  const complete = async (line: string): Promise<string[]> => {
    const text = await inShell(
      ...['fish', '--no-config', '-c', 'source $argv[1]; cd $argv[2]; complete -C $argv[3]'],
      ...[script, folder, line],
    );
    return text.split('\n').flatMap((each) => (each === '' ? [] : [each.split('\t')[0] ?? '']));
  };
  t.strictSame(await complete('imperm comp'), ['compare', 'completion']);
  t.strictSame(await complete('imperm run --target lib'), ['libvirt']);
  t.strictSame(await complete('imperm run --targ'), ['--target']);
  t.strictSame(await complete('imperm run --variant disk=n'), ['disk=nvme']);
  t.strictSame(await complete('imperm run tmpfs-luks-'), ['tmpfs-luks-ext4']);
  t.strictSame(await complete('imperm check my-l'), ['my-layout.yaml']);
  t.strictSame(await complete('imperm hardware ch'), ['check']);
  t.strictSame(await complete('npx imperm new --root tm'), ['tmpfs']);
  t.strictSame(await complete('imperm run --nowh'), []);
});

// Completion: command lines that are really completed by bash, and that no command or option is missing for any shell.
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Command } from 'commander';
import t from 'tap';

import { readEnvironment } from '../core/index.js';
import { flattenCommands, readCommandWords, renderCompletion } from './completion/index.js';
import { makeCommandLine } from './main.js';

const { program } = makeCommandLine(readEnvironment(), { version: '0' });

/** Calls the function as bash does, which takes words apart at `=` and `:`, too. */
const DRIVER = `source "$1"
COMP_LINE=$2 COMP_POINT=\${#2}
read -ra COMP_WORDS <<<"$2"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
"$3"
printf '%s\\n' "\${COMPREPLY[@]}"`;

const folder = t.testdir({ 'my-layout.yaml': '', reports: {} });
const script = path.join(folder, 'completion');
await writeFile(script, renderCompletion('bash', program));

function complete(line: string, name = '_imperm'): string[] {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', DRIVER, 'bash', script, line, name], {
    encoding: 'utf8',
    cwd: folder,
  });
  if (status !== 0 || stderr !== '') throw new Error(`bash ended with ${String(status)}: ${stderr}`);
  return stdout.split('\n').filter((word) => word !== '');
}

t.test('bash completes', (t) => {
  const cases: readonly [string, readonly string[]][] = [
    ['imperm comp', ['compare', 'completion']],
    ['imperm completion ', ['bash', 'zsh', 'fish']],
    ['imperm run --targ', ['--target']],
    ['imperm run --target ', ['qemu', 'libvirt', 'hardware']],
    ['imperm run --target lib', ['libvirt']],
    ['imperm run --once --guest n', ['nixos']],
    // The part before = stands there already.
    ['imperm run --variant disk=n', ['nvme']],
    ['imperm run --variant disk=nvme luks=t', ['tpm2']],
    ['imperm run -j 2 tmpfs-luks-', ['tmpfs-luks-ext4']],
    ['imperm run --variant disk=nvme --once tmpfs-luks-', ['tmpfs-luks-ext4']],
    ['imperm run bugs/root-missing-c', ['bugs/root-missing-corrected']],
    ['imperm run tmpfs-luks-ext4 containers small', ['small-services']],
    ['imperm check my-l', ['my-layout.yaml']],
    ['imperm new x.yaml --from my', ['my-layout.yaml']],
    ['imperm new --root tm', ['tmpfs']],
    ['imperm hardware ', ['check']],
    ['imperm hardware check my', ['my-layout.yaml']],
    ['imperm bench --runs ', []],
    ['imperm run --nowhere', []],
  ];
  for (const [line, wanted] of cases) t.strictSame(complete(line), wanted, line);
  t.strictSame(complete('npx imperm run --target lib', '_imperm_npx'), ['libvirt'], 'by npx, too');
  t.strictSame(complete('npx prettier --wri', '_imperm_npx'), [], 'and leaves other programs alone');
  t.end();
});

t.test('bash completes every command and every option', (t) => {
  const words = readCommandWords(program);
  t.ok(flattenCommands(words).length > 10);
  for (const { path: own, options, commands } of flattenCommands(words)) {
    const line = ['imperm', own].filter((word) => word !== '').join(' ');
    const long = options.map(({ names }) => names.at(-1) ?? '');
    t.strictSame(new Set(complete(`${line} --`)), new Set(long), `${line} --`);
    if (commands.length > 0)
      t.strictSame(new Set(complete(`${line} `)), new Set(commands.map(({ name }) => name)), line);
  }
  t.end();
});

t.test('runs of the reports folder', async (t) => {
  const run = path.join(folder, 'reports', '2026-01-01-000000-0000');
  await mkdir(run);
  t.strictSame(complete('imperm leaks reports/2026'), ['reports/2026-01-01-000000-0000']);
});

t.test('what is added is completed, in every shell', (t) => {
  const fresh = new Command('imperm');
  fresh.command('brand-new').description("it's new: [really]").option('--shade <shade>', 'a colour');
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const text = renderCompletion(shell, fresh);
    t.match(text, /brand-new/, shell);
    t.match(text, /shade/, shell);
  }
  t.end();
});

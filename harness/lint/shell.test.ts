import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import type { Script } from '../scenario/index.js';
import { findSyntaxError, readShell, type ShellCommand } from './shell.js';

function script(text: string): Script {
  return { file: 'rollback.sh', text, place: { file: 'scenario.yaml', line: 7, col: 3 } };
}

function commandsOf(text: string): readonly ShellCommand[] {
  const shell = readShell(script(text));
  if (shell === undefined) throw new Error(`not understood: ${text}`);
  return shell.commands;
}

/** Each command in one line. */
function linesOf(text: string): string[] {
  return commandsOf(text).map(({ name, args }) => [name, ...args].join(' '));
}

t.test('commands are found wherever they stand', async (t) => {
  t.strictSame(linesOf('mount --mkdir "/dev/x" /mnt # umount\n'), ['mount --mkdir /dev/x /mnt']);
  t.strictSame(linesOf('for x in $(btrfs subvolume list -o /mnt | cut -f9); do rm "$x"; done'), [
    'btrfs subvolume list -o /mnt',
    'cut -f9',
    'rm $x',
  ]);
  t.strictSame(linesOf('[ "$(stat -c %i /mnt)" = 256 ] || { echo no; exit 1; }'), [
    '[ $(stat -c %i /mnt) = 256 ]',
    'stat -c %i /mnt',
    'echo no',
    'exit 1',
  ]);
  t.strictSame(linesOf("cat <<'END'\nrm -r /\nEND\n"), ['cat'], 'what a here document holds is no command');
  t.strictSame(linesOf('echo "rm -r /"'), ['echo rm -r /']);
  t.strictSame(linesOf('btrfs subvolume list / | xargs -r -n 1 btrfs subvolume delete').slice(1), [
    'xargs -r -n 1 btrfs subvolume delete',
    'btrfs subvolume delete',
  ]);
  t.strictSame(linesOf('command -v findmnt'), ['command -v findmnt'], 'to ask for a tool is not to run it');
});

t.test('variables that have one value are replaced, others are left', async (t) => {
  t.strictSame(linesOf('top=/mnt\nmount /dev/x "$top"\nrm ${top}/a'), ['mount /dev/x /mnt', 'rm /mnt/a']);
  t.strictSame(linesOf('d=/a; d=/b; rm $d'), ['rm $d'], 'two values');
  t.strictSame(linesOf('d=$(mktemp -d); rm $d'), ['mktemp -d', 'rm $d'], 'one that only a run knows');
  t.strictSame(linesOf('f() { local it="/mnt/$1"; rm "$it"; }\nf root'), ['local', 'rm /mnt/$1', 'f root']);
});

t.test('whether a failure ends a script under set -e', async (t) => {
  const checked = (text: string, name = 'probe'): boolean | undefined =>
    commandsOf(text).find((each) => each.name === name)?.isChecked;
  t.equal(checked('probe'), false);
  t.equal(checked('probe || true'), true);
  t.equal(checked('true && probe'), false, 'the last of a list ends it');
  t.equal(checked('probe | cat'), true, 'nobody asks for it: there is no pipefail');
  t.equal(checked('cat x | probe'), false);
  t.equal(checked('! probe'), true);
  t.equal(checked('if probe; then :; fi'), true);
  t.equal(checked('if true; then probe; fi'), false);
  t.equal(checked('while probe; do :; done'), true);
  t.equal(checked('echo "$(probe)"'), true);
  t.equal(checked('x=$(probe)'), false);
  t.equal(checked('f() { probe; }; f || exit 1'), true, 'a function whose result is looked at');
  t.equal(checked('f() { probe; }; f'), false);
  t.equal(checked('f() { probe; }; f || true; f'), false, 'one call is enough');
});

t.test('a place leads to the command, in the script or where the scenario holds it', async (t) => {
  t.strictSame(commandsOf('\n  echo hello\n')[0]?.place, { file: 'rollback.sh', line: 2, col: 3 });
  const inline = { ...script('\necho hello\n'), file: 'scenario.yaml' };
  t.strictSame(readShell(inline)?.commands[0]?.place, inline.place);
});

t.test('what bash does not understand is not judged', async (t) => {
  for (const text of ['if true; then', 'echo "', 'f() {', 'for x in', '((', 'case x in']) {
    t.equal(readShell(script(text)), undefined, text);
    t.ok(findSyntaxError(script(text)), text);
    t.not(spawnSync('bash', ['-n'], { input: text }).status, 0, `bash refuses it, too: ${text}`);
  }
});

t.test('every script of a shipped scenario is understood, as bash understands it', async (t) => {
  const folder = path.join(repositoryRoot, 'scenarios');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.sh'),
  );
  t.ok(files.length > 20);
  for (const file of files) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    t.equal(findSyntaxError(script(text)), undefined, file);
    t.equal(spawnSync('bash', ['-n'], { input: text }).status, 0, file);
  }
});

// Scripts are taken apart and changed as text. That every change keeps the grammar is seen by `bash -n`, which reads a
// script and runs nothing of it.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { findScenarios, openScenario } from '../scenario/index.js';
import { makeMutants } from './make-mutants.js';
import { mutateScript } from './script-mutants.js';
import { parseShell } from './shell.js';

const PLACE = { file: 'scenario.yaml', line: 1, col: 1 };
const NAMES = {
  devices: ['/dev/mapper/enc'],
  subvolumes: ['root', 'home', 'root-blank'],
  kept: new Map([['root', 'home']]),
};

/** Mutants of a script by id without `s:`, with the text that each has. */
function mutantsOf(
  text: string,
  lines: readonly string[] = [],
  checks: readonly string[] = [],
  isBusybox = false,
) {
  const made = mutateScript({
    what: 's',
    script: { file: 'a/s.sh', text, place: PLACE },
    edit: (changed) => ({ at: ['s'], set: changed }),
    told: { lines, checks },
    root: { device: '/dev/mapper/enc', fsType: 'btrfs' },
    isBusybox,
    names: NAMES,
  });
  return new Map(
    made.map((mutant) => {
      const [edit] = mutant.edits;
      const changed = edit !== undefined && 'set' in edit ? String(edit.set) : '';
      return [mutant.id.slice(2), { ...mutant, text: changed }];
    }),
  );
}

function statementsOf(text: string): string[] {
  return parseShell(text).bodies.flatMap((body) =>
    body.map(({ first, last, isSimple }) => `${String(first)}-${String(last)}${isSimple ? '' : ' compound'}`),
  );
}

t.test('statements are lines, and everything that lines open', async (t) => {
  t.same(statementsOf('a\n# no\n\nb \\\n  c\nd |\n  e && \n f\n'), ['1-1', '4-5', '6-8']);
  t.same(statementsOf('f() {\n  a\n  b\n}\nf\n').sort(), ['1-4 compound', '2-2', '3-3', '5-5']);
  t.same(statementsOf('if a; then\n  b\nelse\n  c\nfi\nd').sort(), ['1-5 compound', '2-2', '4-4', '6-6']);
  t.same(statementsOf('x | while read -r y; do\n  z || return 1\ndone || return 1\n').sort(), [
    '1-3 compound',
    '2-2',
  ]);
  t.same(statementsOf('if a; then b; fi\n'), ['1-1'], 'on one line');
  t.same(statementsOf('case a in\n  b) c ;;\nesac\nd\n').sort(), ['1-3 compound', '2-2', '4-4']);
  t.same(statementsOf('if a; then\n'), [], 'what is no script has no statements');
  t.same(statementsOf('echo "a\nb" $(c\nd)\ne\n'), ['1-3', '4-4'], 'quotes and substitutions over lines');
  t.same(statementsOf('cat <<"END" | x\nfi\n done\nEND\ny\n'), ['1-4', '5-5'], 'a here-document');
  t.same(statementsOf('cat <<-END\n\tx\n\tEND\ny\n'), ['1-3', '4-4']);
  t.same(statementsOf("echo 'it # is' \\' $'a\\'b' `x`\ny\n"), ['1-1', '2-2']);
  t.same(statementsOf('echo done; echo if\n'), ['1-1'], 'only where a command stands');
});

t.test('commands, those in substitutions included', async (t) => {
  const script = parseShell('for x in $(a -o "$1" | b -f 1); do c "$(d e)" >f; done || g\n');
  const words = script.commands.map((command) => command.words.map(({ text }) => text).join(' '));
  t.ok(
    words.includes('a -o "$1"') && words.includes('b -f 1') && words.includes('d e') && words.includes('g'),
  );
});

const SCRIPT = `mount --mkdir -o subvol=/ /dev/mapper/enc /mnt
f() {
  btrfs subvolume delete "/mnt/$1" || return 1
}
[ -e /mnt/root ] || exit 1
f root
echo "never promised"
echo "Restored /root"
umount /mnt
`;

t.test('every operator changes exactly its place', async (t) => {
  const mutants = mutantsOf(SCRIPT, ['Restored /root']);
  const line = (id: string, number: number): string | undefined =>
    mutants.get(id)?.text.split('\n')[number - 1];
  t.equal(line('6/drop', 6), ':');
  t.equal(mutants.get('2/drop')?.text, SCRIPT.replace(/f\(\) \{[^}]*\}/, ':'), 'a function as a whole');
  t.equal(line('3/drop', 3), '  :', 'its body by itself');
  t.equal(
    mutants.get('6/swap')?.text,
    SCRIPT.replace('f root\necho "never promised"', 'echo "never promised"\nf root'),
  );
  t.equal(line('5/exit-0', 5), '[ -e /mnt/root ] || exit 0');
  t.equal(line('3/return-0', 3), '  btrfs subvolume delete "/mnt/$1" || return 0');
  t.equal(line('5/guard-drop', 5), '[ -e /mnt/root ]');
  t.equal(line('1/option:--mkdir/drop', 1), 'mount -o subvol=/ /dev/mapper/enc /mnt');
  t.equal(line('1/option:-o subvol=//drop', 1), 'mount --mkdir /dev/mapper/enc /mnt');
  t.equal(line('1/name:/dev/mapper/enc/misspell', 1), 'mount --mkdir -o subvol=/ /dev/mapper/encc /mnt');
  t.equal(line('6/name:root/misspell', 6), 'f roott');
  t.equal(line('6/name:root/home', 6), 'f home');
  t.notOk(
    [...mutants.keys()].some((id) => id.startsWith('8/name')),
    'a message is no name',
  );
  for (const [id, { text, title, missing, place }] of mutants) {
    t.not(text, SCRIPT, `${id} differs`);
    t.ok(title !== '' && missing !== '' && place.file === 'a/s.sh', `${id} says what and where`);
  }
});

t.test('only what nobody could notice is called equivalent', async (t) => {
  const idle = (id: string, text = SCRIPT, lines = ['Restored /root'], checks: string[] = []): unknown =>
    mutantsOf(text, lines, checks).get(id)?.equivalent;
  t.match(idle('7/drop'), /nobody promises/);
  t.equal(idle('8/drop'), undefined, 'promised');
  t.equal(idle('7/drop', SCRIPT, []), undefined, 'the only log may be this line');
  t.equal(
    idle('7/drop', SCRIPT, ['Restored /root'], ['journalctl -b | grep never']),
    undefined,
    'a check reads the log',
  );
  t.equal(idle('7/drop', SCRIPT.replace('never promised', '$what')), undefined, 'it may say anything');
  t.equal(idle('7/drop', SCRIPT.replace('promised"', 'promised" >/mnt/file')), undefined, 'it is a file');
  t.equal(
    idle('7/drop', SCRIPT.replace('promised"', 'promised" || exit 1')),
    undefined,
    'something depends on it',
  );
  t.equal(
    idle('3/drop', SCRIPT.replace('btrfs subvolume delete "/mnt/$1" || return 1', 'echo x')),
    undefined,
    'it is an exit code',
  );
  t.match(idle('1/swap'), /function f is defined/);
  t.equal(idle('2/swap', SCRIPT.replace('[ -e /mnt/root ]', 'f x')), undefined, 'it is called there');
});

t.test('every mutant of a shipped script is still a script', async (t) => {
  let count = 0;
  for (const file of await findScenarios(path.join(repositoryRoot, 'scenarios'))) {
    const source = await openScenario(file);
    for (const { scenario, axes } of source.scenario.variants.filter(
      ({ axes: { disk, sectorSize } }, _, [first]) =>
        disk === first?.axes.disk && sectorSize === first.axes.sectorSize,
    )) {
      if (scenario.knownBug !== undefined) continue;
      for (const { id, edits } of makeMutants({ source, scenario, axes })) {
        const [edit] = edits;
        if (edit === undefined || !('set' in edit) || !/^(rollback\/script|install):/.test(id)) continue;
        const { text } = edit.set as { text: string };
        const read = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' });
        if (read.status !== 0) t.fail(`${file} ${id}: ${read.stderr}\n${text}`);
        count += 1;
      }
    }
  }
  t.ok(count > 100, `${String(count)} scripts`);
});

t.test(
  'the unmount at the very end changes nothing, where it is of the root, and nowhere else',
  async (t) => {
    const whyOf = (text: string, id: string): string | undefined => mutantsOf(text).get(id)?.equivalent;
    const script = 'mount -o subvol=/ /dev/mapper/enc /mnt\nbtrfs subvolume create /mnt/root\numount /mnt\n';
    t.match(whyOf(script, '3/drop'), /until the end/);
    t.equal(
      whyOf(script.replace('/dev/mapper/enc', '/dev/mapper/other'), '3/drop'),
      undefined,
      'another device',
    );
    t.equal(whyOf(script.replace('/enc /mnt', '/enc /there'), '3/drop'), undefined, 'another place');
    t.equal(whyOf(`${script}echo done\n`, '3/drop'), undefined, 'not the last');
    t.equal(whyOf(`f() {\n  umount /mnt\n}\n${script}`, '2/drop'), undefined, 'in a function');
  },
);

t.test('when a line is said makes no difference where a failure ends the script', async (t) => {
  const whyOf = (text: string, isBusybox = false): string | undefined =>
    mutantsOf(text, [], [], isBusybox).get('1/swap')?.equivalent;
  t.match(whyOf('echo new\nbtrfs subvolume create /mnt/root\n'), /same is done and said/);
  t.match(whyOf('btrfs subvolume create /mnt/root\necho new\n'), /same is done and said/);
  t.equal(whyOf('btrfs subvolume create /mnt/root || give_up\necho new\n'), undefined, 'it goes on');
  t.equal(whyOf('if [ -e /mnt/root ]; then\n  x\nfi\necho new\n'), undefined);
  t.equal(whyOf('echo old\necho new\n'), undefined, 'lines in another order');
  t.equal(whyOf('delete /mnt/root\necho new\ndelete() {\n  echo old\n}\n'), undefined, 'by a function, too');
  t.equal(whyOf('echo new >/mnt/log\nbtrfs subvolume create /mnt/root\n'), undefined, 'into a file');
  t.equal(whyOf('btrfs subvolume create /mnt/root\numount /mnt\n'), undefined);
  t.equal(whyOf('btrfs subvolume create /mnt/root\necho new\n', true), undefined, 'scripted stage 1');
  const end = 'fail() {\n  echo "no: $*"\n  exit 1\n}\n';
  const guarded = 'echo new\nbtrfs subvolume create /mnt/root || fail "no root"\n';
  t.match(whyOf(`${guarded}${end}`), /same is done and said/, 'a guard ends it');
  t.equal(whyOf(`${guarded}${end.replace('  exit 1\n', '')}`), undefined, 'the guard goes on');
});

t.test('where a function is defined makes a difference only to who calls it', async (t) => {
  const whyOf = (text: string): string | undefined => mutantsOf(text).get('1/swap')?.equivalent;
  const say = 'say() { echo "$*"; }\n';
  const fail = 'fail() { say "$*"; exit 1; }\n';
  t.match(whyOf(`${say}${fail}`), /two functions are defined/, 'who is named in a body is not called');
  t.equal(whyOf(`${say}${say}`), undefined, 'the last one counts');
  t.match(whyOf(`${fail}say x\n${say}`), /fail is defined, and not called/);
  t.equal(whyOf(`${say}fail x\n${fail}`), undefined, 'called by what is called');
  t.equal(whyOf(`${say}say x\n`), undefined);
});

t.test('two conditions that end the script refuse the same in either order', async (t) => {
  const fail = 'fail() {\n  umount /mnt\n  exit 1\n}\n';
  const whyOf = (one: string, other: string, ending = fail): string | undefined =>
    mutantsOf(`${one}\n${other}\n${ending}`).get('1/swap')?.equivalent;
  const isRoot = '[ ! -e /mnt/root ] || [ "$(stat -c %i /mnt/root)" = 256 ] || fail "a directory"';
  const hasBlank = '[ "$(btrfs property get -ts /mnt/blank ro)" = ro=true ] || fail "no blank"';
  t.match(whyOf(isRoot, hasBlank), /refused in either order/);
  t.match(whyOf(hasBlank, '[ -e /mnt/persist ] || exit 1'), /refused in either order/);
  t.equal(whyOf(isRoot, hasBlank, fail.replace('  exit 1\n', '')), undefined, 'it goes on');
  t.equal(whyOf(isRoot, '[ -e /mnt/persist ] || echo none'), undefined, 'it goes on');
  t.equal(whyOf(isRoot, `${hasBlank} >/mnt/log`), undefined, 'it writes');
  t.equal(
    whyOf(isRoot, 'btrfs property set -ts /mnt/blank ro true || fail x'),
    undefined,
    'it changes something',
  );
  t.equal(whyOf(isRoot, '[ -e /mnt/blank ]'), undefined, 'no refusal of its own');
});

t.test('two lines that go to different places have no order', async (t) => {
  const whyOf = (text: string): string | undefined => mutantsOf(text).get('1/swap')?.equivalent;
  const log = 'echo "$*" >>/mnt/log || echo "no log"\n';
  t.match(whyOf(`echo "$*"\n${log}`), /to different places/);
  t.match(whyOf(`${log}echo "$*"\n`), /to different places/);
  t.equal(whyOf(`echo old\necho new\n`), undefined, 'the same place');
  t.equal(whyOf(`${log}${log}`), undefined, 'the same file');
  t.equal(whyOf('echo "$*"\necho "$*" >>/mnt/log\n'), undefined, 'it may end the script');
  t.equal(whyOf(`rm /mnt/log\n${log}`), undefined, 'something is done');
  t.equal(whyOf(`${log}if [ -e x ]; then\n  echo y\nfi\n`), undefined, 'perhaps');
});

t.test('an option that says what is so anyhow', async (t) => {
  const whyOf = (text: string, id: string, isBusybox = false): string | undefined =>
    mutantsOf(text, [], [], isBusybox).get(`1/option:${id}/drop`)?.equivalent;
  t.match(whyOf('mkdir -p /mnt\n', '-p'), /stage 1 has no \/mnt/);
  t.equal(whyOf('mkdir -p /mnt\nmkdir -p /mnt\n', '-p'), undefined, 'it is there the second time');
  t.equal(
    mutantsOf('mkdir -p /mnt\nmkdir -p /mnt\n').get('2/option:-p/drop')?.equivalent,
    undefined,
    'it is there the second time',
  );
  t.equal(whyOf('mount --mkdir /dev/vda /mnt; mkdir -p /mnt\n', '-p'), undefined, 'made by another command');
  t.equal(whyOf('for x in a b; do mkdir -p /mnt; done\n', '-p'), undefined, 'in a loop');
  t.equal(whyOf('f() { mkdir -p /mnt; }; f; f\n', '-p'), undefined, 'in a function');
  t.equal(whyOf('mkdir -p /mnt/a\n', '-p'), undefined, 'its parent is not there');
  t.equal(whyOf('mkdir -p /sysroot\n', '-p'), undefined, 'it is there');
  t.equal(whyOf('mkdir -p "$x"\n', '-p'), undefined, 'nobody knows what it is');
  t.equal(whyOf('mkdir -p /mnt /top\n', '-p'), undefined);
  const mount = 'mount -t btrfs -o subvol=/ /dev/mapper/enc /mnt\n';
  t.match(whyOf(mount, '-t btrfs'), /holds a btrfs/);
  t.equal(whyOf(mount, '-o subvol=/'), undefined, 'the default subvolume may be another');
  t.equal(whyOf(mount, '-t btrfs', true), undefined, 'busybox tries what is loaded');
  t.equal(whyOf(mount.replace('btrfs', 'ext4'), '-t ext4'), undefined, 'it is another');
  t.equal(whyOf(mount.replace('enc', 'data'), '-t btrfs'), undefined, 'nobody knows what that holds');
  t.match(whyOf('btrfs property get -ts /mnt/blank ro\n', '-ts'), /property of subvolumes/);
  t.match(whyOf('btrfs property set -ts "/mnt/$1" ro false\n', '-ts'), /property of subvolumes/);
  t.equal(whyOf('btrfs property set -ts /mnt/x compression zstd\n', '-ts'), undefined, 'files have it, too');
  t.equal(whyOf('btrfs subvolume list -ts /mnt\n', '-ts'), undefined);
});

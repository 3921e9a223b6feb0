// `imperm new`: whatever is answered, the file is a scenario in which nothing is found.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { lintFile } from '../lint/index.js';
import { loadScenarios, type ScenarioFile } from '../scenario/index.js';
import { Cli, withFolder } from './cli-process.js';
import { DISKS, LUKS, makeNew, type NewOptions, ROOTS, STAGES } from './new/index.js';

async function loadOne(file: string): Promise<ScenarioFile> {
  const [scenario] = await loadScenarios([file]);
  if (scenario === undefined) throw new Error(`${file} gave nothing`);
  return scenario;
}

t.test('every combination of answers makes a scenario, and nothing is found in it', (t) =>
  withFolder(async (folder) => {
    let made = 0;
    for (const root of ROOTS)
      for (const luks of LUKS)
        for (const stage1 of STAGES)
          for (const disk of DISKS) {
            if (luks === 'tpm2' && stage1 === 'scripted') continue;
            const name = [root, luks, stage1, disk].join('-');
            const file = path.join(folder, `${name}.yaml`);
            const lists =
              disk === 'nvme'
                ? { keep: ['/srv', '/srv', '/etc/nixos'], keepFile: ['/etc/a b'], user: ['alice', 'y'] }
                : {};
            await makeNew(file, { root, luks, stage1, disk, ...lists }, undefined);
            const scenario = await loadOne(file);
            t.strictSame(lintFile(scenario), [], name);
            t.equal(scenario.variants.length, 1);
            const [variant] = scenario.variants;
            t.match(variant?.axes, { luks, stage1, disk });
            const { system } = variant!.scenario;
            t.equal(system.rollback === undefined, root === 'tmpfs');
            t.equal(system.rollback?.blankSnapshot, root === 'btrfs-snapshot' ? 'root-blank' : undefined);
            t.strictSame(
              system.users.map((user) => user.name),
              ['root', ...(lists.user ?? [])],
            );
            const install = variant!.scenario.install?.text ?? '';
            t.equal(install.includes("persist/etc/a b'"), disk === 'nvme', 'a file that is kept is there');
            made += 1;
          }
    t.equal(made, ROOTS.length * DISKS.length * (LUKS.length * STAGES.length - 1));
    for (const script of (await readdir(folder)).filter((file) => file.endsWith('.sh'))) {
      const text = await readFile(path.join(folder, script), 'utf8');
      t.equal(spawnSync('bash', ['-n'], { input: text }).status, 0, script);
      t.notMatch(text, repositoryRoot, 'the folder can be anywhere');
    }
  }),
);

t.test('what differs from any shipped scenario is a scenario, with its examples taken up, too', (t) =>
  withFolder(async (folder) => {
    const shipped = (await readdir(path.join(repositoryRoot, 'scenarios'), { withFileTypes: true })).filter(
      (entry) => entry.isDirectory() && !['broken', 'bugs'].includes(entry.name),
    );
    for (const { name: from } of shipped) {
      const file = path.join(folder, `of-${from}.yaml`);
      await makeNew(file, { from, title: "it's mine: all" }, undefined);
      const scenario = await loadOne(file);
      t.equal(scenario.title, "it's mine: all");
      t.equal(scenario.variants.length, 1, from);
      t.strictSame(
        lintFile(scenario).filter(
          ({ excepted }) => excepted === undefined && !from.endsWith('-as-published'),
        ),
        [],
        from,
      );
      const text = await readFile(file, 'utf8');
      t.notMatch(text, `: ${repositoryRoot}`, 'the path is relative');
      // The blocks of the examples begin with a key at the left.
      const taken = text.replaceAll(/^# (?=(steps|promises|lint|system|expect):| +(?! |npx))/gm, '');
      t.not(taken, text);
      await writeFile(path.join(folder, 'break-it.sh'), 'true\n');
      const changed = path.join(folder, `changed-${from}.yaml`);
      await writeFile(changed, taken.replace('broken: [root-wiped]', 'broken: [boots]'));
      await t.resolves(loadOne(changed), from);
    }
  }),
);

t.test(
  'questions at the terminal: numbers, words, nothing for the default, and again when it is wrong',
  (t) =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'asked.yaml');
      const answers = ['4', 'tmpsf', '3', '', 'scripted', 'nvme', 'srv', '/srv, /opt', '', 'Alice', 'alice'];
      const asked: string[] = [];
      const told = await makeNew(file, {}, async (question) => {
        asked.push(question);
        return answers.shift() ?? '';
      });
      t.strictSame(answers, [], 'all are used');
      t.match(asked[1], /^"4" is none of btrfs-rollback/);
      t.match(asked[2], /Did you mean "tmpfs"/);
      t.match(asked[7], /"srv" must be an absolute path/);
      t.match(asked[10], /"Alice" must be the name of a user/);
      t.notMatch(told, /Nobody was asked/);
      const { axes, scenario } = (await loadOne(file)).variants[0]!;
      t.match(axes, { luks: 'passphrase', stage1: 'scripted', disk: 'nvme' });
      t.strictSame(
        scenario.system.persistence[0]?.directories.map((directory) => directory.path),
        ['/etc/nixos', '/var/lib/nixos', '/srv', '/opt'],
      );
      const more: string[] = [];
      await makeNew(path.join(folder, 'less.yaml'), { root: 'tmpfs', keep: ['/srv'] }, async (question) => {
        more.push(question);
        return '';
      });
      t.equal(more.length, 5, 'what an option says is not asked for');
    }),
);

t.test('on the command line: files, the next command, nothing overwritten', (t) =>
  withFolder(async (folder) => {
    const file = path.join(folder, 'mine/scenario.yaml');
    const first = await new Cli(['new', file, '--root', 'btrfs-snapshot', '--user', 'alice']).result;
    t.equal(first.exitCode, 0, first.stderr);
    t.match(first.stdout, 'made with --luks passphrase --stage1 systemd --disk virtio.');
    t.match(first.stdout, /npx imperm run \S+mine\/scenario\.yaml --once\n$/);
    t.strictSame(await readdir(path.join(folder, 'mine')), [
      'install.sh',
      'rollback.sh',
      'scenario.schema.json',
      'scenario.yaml',
    ]);
    t.equal((await loadOne(file)).name, 'mine');
    const before = await readFile(file, 'utf8');
    const again = await new Cli(['new', file]).result;
    t.equal(again.exitCode, 2);
    t.match(again.stderr, /is there already, and is not overwritten/);
    t.equal(await readFile(file, 'utf8'), before);

    await mkdir(path.join(folder, 'other'));
    await writeFile(path.join(folder, 'other/install.sh'), 'precious');
    const beside = await new Cli(['new', path.join(folder, 'other/scenario.yaml')]).result;
    t.equal(beside.exitCode, 2);
    t.match(beside.stderr, /other\/install\.sh is there already/);
    t.strictSame(await readdir(path.join(folder, 'other')), ['install.sh'], 'all or nothing');
  }),
);

t.test('what cannot be is refused, and nothing is written', (t) =>
  withFolder(async (folder) => {
    const file = path.join(folder, 'x.yaml');
    const cases: readonly [string, NewOptions, RegExp][] = [
      [path.join(folder, 'x.yml.txt'), {}, /Cannot make a scenario in/],
      [path.join(folder, 'My Layout.yaml'), {}, /Cannot make a scenario in/],
      [file, { luks: 'tpm2', stage1: 'scripted' }, /cannot be together/],
      [file, { keep: ['srv'] }, /--keep "srv" must be an absolute path/],
      [file, { keepFile: ['/a/../b'] }, /--keep-file "\/a\/\.\.\/b" must be an absolute path/],
      [file, { user: ['root'] }, /root is there anyway/],
      [file, { user: ['A B'] }, /must be the name of a user/],
      [file, { title: 'a\nb' }, /--title must be one line/],
      [file, { from: 'btrfs-luks-rollback', luks: 'none' }, /--from cannot be together/],
      [file, { from: 'btrfs-luks-rolback' }, /There is no scenario/],
    ];
    for (const [name, options, message] of cases)
      await t.rejects(makeNew(name, options, undefined), { code: 'USAGE', message });
    // What only the rules of scenarios know is said in their words, and of the answers.
    await t.rejects(makeNew(file, { keep: ['/home'] }, undefined), {
      code: 'USAGE',
      details: /^\/home is a mount of its own/,
    });
    const { exitCode, stderr } = await new Cli(['new', file, '--root', 'zfs']).result;
    t.equal(exitCode, 2);
    t.match(stderr, /Allowed choices are btrfs-rollback/);
    t.strictSame(await readdir(folder), []);
  }),
);

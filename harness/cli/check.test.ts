// `imperm check`, as a person calls it.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { LINTS } from '../lint/index.js';
import { Cli, type CliResult, withFolder } from './cli-process.js';

function check(...args: string[]): Promise<CliResult> {
  return new Cli(['check', ...args]).result;
}

/** A scenario that differs from a shipped one, in a folder of its own. */
async function write(folder: string, text: string, base = 'tmpfs-luks-ext4'): Promise<string> {
  const file = path.join(folder, 'layout.yaml');
  const extended = path.relative(folder, path.join(repositoryRoot, 'scenarios', base, 'scenario.yaml'));
  await mkdir(folder, { recursive: true });
  await writeFile(file, `imperm: 1\ntitle: A layout\nextends: ${extended}\n${text}`);
  return file;
}

t.test('a layout in which nothing counts: 0', async (t) => {
  const { exitCode, stdout } = await check('disko-luks-rollback-log');
  t.equal(exitCode, 0);
  t.equal(stdout, '1 scenario checked: nothing found.\n');
});

t.test('a warning: 1, with its place, its reason and what to do', (t) =>
  withFolder(async (folder) => {
    const swap = 'system: { swapDevices: [{ device: /dev/disk/by-partlabel/swap }] }\n';
    const file = await write(folder, swap);
    const { exitCode, stdout } = await check(file);
    t.equal(exitCode, 1);
    t.match(
      stdout,
      `${file}:4:25: warning[swap-in-the-clear]: /dev/disk/by-partlabel/swap is swap in the clear`,
    );
    t.match(stdout, /\n {2}why {7}What programs hold in memory/);
    t.match(stdout, /\n {2}do {8}Use "randomEncryption: true"/);
    // A variant without LUKS has nothing to hide.
    t.match(stdout, /\n {2}in {8}layout \(luks=passphrase\)\n/);
    t.match(stdout, /excepted\[machine-id-forgotten\][^\n]*\n {2}because {3}the recipe leaves/);
    t.match(stdout, /1 scenario checked: 1 warning, 1 excepted\.\n$/);

    const excepted = await check(
      await write(folder, `${swap}lint: { without: { swap-in-the-clear: a test } }\n`),
    );
    t.equal(excepted.exitCode, 0, 'not when the scenario says that it does not count');
    t.match(excepted.stdout, /excepted\[swap-in-the-clear\][^\n]*\n {2}because {3}a test\n/);

    const expect = 'expect: { verdict: known-bug, reason: a fault, broken: [swap-active] }\n';
    const declared = await check(await write(folder, `${swap}${expect}`));
    t.equal(declared.exitCode, 0, 'nor when the layout is there to show a fault');
    t.match(declared.stdout, /declared\[swap-in-the-clear\][^\n]*\n {2}declared {2}a fault\n {2}why/);

    const unused = await check(await write(folder, `${expect}lint: { without: { image-owner: a test } }\n`));
    t.equal(unused.exitCode, 1, 'an exception in vain counts whatever the layout shows');
    t.match(
      unused.stdout,
      /warning\[exception-unused\]: lint.without excepts "image-owner", which finds nothing/,
    );
  }),
);

t.test('what several scenarios share is said once, and what counts comes first', async (t) => {
  const { exitCode, stdout } = await check(
    'broken/hook-too-early',
    'btrfs-luks-rollback',
    'btrfs-luks-rollback',
  );
  t.equal(exitCode, 1);
  t.match(stdout, /^\S+hook-too-early\/scenario\.yaml:12:5: warning\[rollback-before-unlock\]/);
  const shared = /rollback-scripted\.sh\S+ excepted\[read-only-parent\][^]*?\n {2}in {8}([^\n]*)/g;
  t.strictSame(
    [...stdout.matchAll(shared)].map((match) => match[1]),
    ['hook-too-early, btrfs-luks-rollback (stage1=scripted)'],
  );
  t.match(stdout, /2 scenarios checked: 1 warning, 11 excepted/);
});

t.test('all correct layouts: 0', async (t) => {
  const { exitCode, stdout } = await check('--all');
  t.equal(exitCode, 0, stdout);
  t.match(stdout, /checked: nothing found, \d+ declared, \d+ excepted\.\n$/);
});

t.test('a scenario that cannot be used: 2, with all its problems', (t) =>
  withFolder(async (folder) => {
    const file = await write(folder, 'sytsem: {}\ntimeout: never\n');
    const { exitCode, stderr, stdout } = await check(file);
    t.equal(exitCode, 2);
    t.match(stderr, `${file}:4:1: `);
    t.match(stderr, `${file}:5:10: `);
    t.equal(stdout, '');
  }),
);

t.test('nothing of a scenario is run', (t) =>
  withFolder(async (folder) => {
    const trap = path.join(folder, 'was-run');
    const text = `install: { text: 'touch ${trap}' }\nsteps: [boot, { run: { text: 'touch ${trap}; $(touch ${trap})' } }, reboot, power-off]\n`;
    t.equal((await check(await write(folder, text))).exitCode, 0);
    await t.rejects(readFile(trap), { code: 'ENOENT' });
  }),
);

t.test('the list has every lint with its reason', async (t) => {
  const { exitCode, stdout } = await check('--list');
  t.equal(exitCode, 0);
  for (const { name } of LINTS) t.match(stdout, new RegExp(`^${name}\\n {2}why {7}`, 'm'));
});

t.test('wrong command lines: 2', async (t) => {
  for (const [args, said] of [
    [[], /nothing to check/],
    [['--list', 'containers'], /takes no scenarios/],
    [['--all', 'containers'], /cannot be together/],
    [['contaienrs'], /Did you mean containers/],
    [['--fix', 'containers'], /unknown option/],
  ] as const) {
    const { exitCode, stderr } = await check(...args);
    t.equal(exitCode, 2, args.join(' '));
    t.match(stderr, said);
  }
});

t.test('plan tells what would be found', async (t) => {
  const { stdout } = await new Cli(['plan', 'broken/hook-too-early']).result;
  t.match(stdout, /\n {2}warning {2}\S+:12:5 rollback-before-unlock: the rollback is in preDeviceCommands/);
  t.notMatch(stdout, /read-only-parent/, 'what is excepted is not told');
});

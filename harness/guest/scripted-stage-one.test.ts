// The script that is PID 1 in scripted stage 1, with the scenario's commands where NixOS has them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import t, { type Test } from 'tap';

import { repositoryRoot, runProgram } from '../core/index.js';
import { loadScenarios, type StageOneHook, type SystemModel } from '../scenario/index.js';
import { renderStageOneInit } from './scripted-stage-one.js';
import { LUKS_KEY_FILE } from './units.js';
import { makeRollbackTree, makeStageOneTree, makeSystemTree } from './system-tree.js';

const [scenario] = await loadScenarios([
  path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'),
]);
const found = scenario?.variants.find(({ axes }) => axes.stage1 === 'scripted')?.scenario.system;
if (found === undefined) throw new Error('the layout has a scripted variant');
const system: SystemModel = found;

const HAS_BUSYBOX = spawnSync('busybox', ['true']).status === 0;

function withHook(
  hook: StageOneHook,
  order: 'before' | 'default' | 'after',
  text = 'echo MINE\n',
): SystemModel {
  const { rollback } = system;
  if (rollback === undefined) throw new Error('the layout has a rollback');
  const script = { ...rollback.script, text };
  return { ...system, rollback: { ...rollback, scripted: { ...rollback.scripted, hook, order, script } } };
}

/** Fails unless the texts stand in the script in this order. */
function checkOrder(t: Test, script: string, texts: readonly string[]): void {
  let position = 0;
  for (const text of texts) {
    const at = script.indexOf(text, position);
    t.ok(at >= 0, `${text} stands where it belongs`);
    position = at < 0 ? position : at + text.length;
  }
}

void t.test('the commands of each option stand where NixOS has them', (t) => {
  const POINTS: readonly [StageOneHook, 'before' | 'default' | 'after', before: string, after: string][] = [
    ['preDeviceCommands', 'after', 'loading module', 'running udev...'],
    ['preLVMCommands', 'before', 'running udev...', "openLuks '/dev/disk"],
    ['preLVMCommands', 'default', 'running udev...', "openLuks '/dev/disk"],
    ['preLVMCommands', 'after', "openLuks '/dev/disk", 'starting device mapper'],
    ['postDeviceCommands', 'before', 'starting device mapper', 'btrfs device scan'],
    ['postDeviceCommands', 'after', 'btrfs device scan', '/sys/power/resume'],
    ['postResumeCommands', 'after', '/sys/power/resume', "mountFileSystem '/dev/mapper/cryptfs' '/' "],
    ['postMountCommands', 'default', "'/var/log'", 'udevadm control --exit'],
  ];
  for (const [hook, order, before, after] of POINTS) {
    checkOrder(t, renderStageOneInit(withHook(hook, order), ['btrfs']), [before, 'echo MINE\n', after]);
  }
  t.end();
});

void t.test('nothing of the commands is taken for a placeholder or a pattern', (t) => {
  const nasty = "echo '$& $1 @mounts@ @nothing@ \\0'\n";
  t.match(renderStageOneInit(withHook('postResumeCommands', 'after', nasty), []), nasty);
  t.notMatch(renderStageOneInit(system, []), /@\w+@/);
  t.end();
});

void t.test('file systems are mounted after what they lie on and are bound from', (t) => {
  const [root] = system.fileSystems;
  if (root === undefined) throw new Error('the layout has a root');
  const { subvolume, ...plain } = root;
  t.equal(subvolume, 'root');
  const mounts: readonly [string, string, string[]][] = [
    ['/', 'none', ['size=25%', 'mode=755']],
    ['/etc/nixos', '/nix/persist/etc/nixos', ['bind', 'x-gvfs-hide']],
    ['/nix', '/dev/mapper/crypted', []],
  ];
  const fileSystems = mounts.map(([mountPoint, device, options]) => ({
    ...plain,
    mountPoint,
    device,
    fsType: { '/': 'tmpfs', '/nix': 'ext4' }[mountPoint] ?? 'none',
    options,
    neededForBoot: true,
  }));
  const tree = makeStageOneTree({ ...system, fileSystems }, undefined);
  const init = tree.get('/init');
  const text = init?.kind === 'file' ? Buffer.from(init.content).toString('utf8') : '';
  t.strictSame(
    text.split('\n').filter((line) => line.startsWith('mountFileSystem ')),
    [
      "mountFileSystem 'none' '/' 'tmpfs' 'size=25%,mode=755'",
      "mountFileSystem '/dev/mapper/crypted' '/nix' 'ext4' 'defaults'",
      "mountFileSystem '/nix/persist/etc/nixos' '/etc/nixos' 'none' 'bind'",
    ],
  );
  t.strictSame(
    [...tree.keys()],
    [
      '/init',
      '/usr/bin/e2fsck',
      '/usr/bin/fsck.ext2',
      '/usr/bin/fsck.ext3',
      '/usr/bin/fsck.ext4',
      '/usr/bin/cryptsetup',
    ],
    'no btrfs in PATH when nothing in stage 1 is btrfs',
  );
  const bare = makeStageOneTree({ ...system, luks: [] }, undefined);
  t.strictSame([...bare.keys()], ['/init', '/usr/bin/btrfs', '/usr/bin/btrfsck', '/usr/bin/fsck.btrfs']);
  t.end();
});

void t.test('swap with a key that lasts is looked at for a sleeping system', (t) => {
  const [swap] = system.swapDevices;
  if (swap === undefined) throw new Error('the layout has swap');
  const look = (of: SystemModel): string | undefined =>
    /^for device in (.*); do$/m.exec(renderStageOneInit(of, []))?.[1];
  t.equal(look(system), "'/dev/disk/by-partlabel/swap'");
  t.equal(look({ ...system, swapDevices: [{ ...swap, randomEncryption: true }] }), '');
  t.end();
});

void t.test('a key file opens without a question', (t) => {
  const luks = system.luks.map((each) => ({ ...each, unlock: 'key-file' as const }));
  const open = (of: SystemModel): string | undefined =>
    renderStageOneInit(of, []).match(/^openLuks '.*$/m)?.[0];
  t.equal(open(system), "openLuks '/dev/disk/by-partlabel/cryptfs' 'cryptfs' '' --allow-discards");
  t.equal(
    open({ ...system, luks }),
    `openLuks '/dev/disk/by-partlabel/cryptfs' 'cryptfs' ${LUKS_KEY_FILE} --allow-discards`,
  );
  t.end();
});

void t.test('the system starts with the script of stage 2, and no unit rolls back', (t) => {
  t.strictSame(makeSystemTree(system, '/nix/store/base').get('/init'), {
    kind: 'link',
    target: '/usr/lib/imperm/stage-2-init',
  });
  t.strictSame(makeSystemTree(system, '/nix/store/base').get('/initrd'), {
    kind: 'link',
    target: '/nix/store/base/boot/stage1-scripted.cpio.zst',
  });
  t.equal(makeRollbackTree(system), undefined);
  t.end();
});

const SHELLS = [['bash'], ['sh'], ...(HAS_BUSYBOX ? [['busybox', 'ash']] : [])];

void t.test(
  `the script is well-formed for ${SHELLS.map((shell) => shell.join(' ')).join(', ')}`,
  async (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'imperm-stage1-'));
    t.teardown(() => {
      rmSync(folder, { recursive: true });
    });
    const file = path.join(folder, 'init');
    for (const [program = '', ...args] of SHELLS) {
      writeFileSync(file, renderStageOneInit(system, ['btrfs']));
      await runProgram(program, [...args, '-n', file]);
      writeFileSync(file, renderStageOneInit(withHook('postResumeCommands', 'after', 'if true; then\n'), []));
      await t.rejects(
        runProgram(program, [...args, '-n', file]),
        { code: 'TOOL_FAILED' },
        'the check can fail',
      );
    }
  },
);

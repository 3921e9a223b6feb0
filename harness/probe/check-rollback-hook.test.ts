// The rollback of scripted stage 1 is judged by the log of stage 1 alone: each way of being wrong is found.
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import {
  loadScenarios,
  type RollbackLogPromise,
  type RollbackOrderPromise,
  type Scenario,
  type StageOneHook,
} from '../scenario/index.js';
import { checkFailedBoot } from './check-boot.js';
import { checkRollbackLog, checkRollbackOrder, explainNoWipe } from './check-rollback.js';
import type { BootEvidence, JournalLine } from './evidence.js';
import type { BootContext } from './finding.js';
import { parseStageOneConsole, STAGE1_SCRIPT, stripDate } from './stage-one-log.js';

const [file] = await loadScenarios([
  path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'),
]);

function variantOf(stage1: string): Scenario {
  const found = file?.variants.find(({ axes }) => axes.stage1 === stage1)?.scenario;
  if (found === undefined) throw new Error(`the layout has no variant with ${stage1} stage 1`);
  return found;
}

const scenario = variantOf('scripted');
const order = scenario.promises.find((each): each is RollbackOrderPromise => each.kind === 'rollback-order');
const log = scenario.promises.find((each): each is RollbackLogPromise => each.kind === 'rollback-log');
if (order === undefined || log === undefined) throw new Error('the layout promises a rollback');

const UNLOCKED = [
  'Passphrase for /dev/disk/by-partlabel/cryptfs: ',
  'Verifying passphrase for /dev/disk/by-partlabel/cryptfs... - success',
];
const ROLLBACK = [
  'Deleting subvolume /mnt/root',
  "Delete subvolume 256 (no-commit): '/mnt/root'",
  'Re-creating root subvolume',
];
const MODULES = ['loading module dm_mod...', 'loading module btrfs...'];
const UDEV = ['running udev...', 'Starting systemd-udevd version 257.13-1~deb13u1'];
const MAPPER = [
  'starting device mapper and LVM...',
  'Scanning for Btrfs filesystems',
  'registered: /dev/mapper/cryptfs',
];
const MOUNTS = ['mounting /dev/mapper/cryptfs on /...', 'mounting /dev/mapper/cryptfs on /nix...'];
const GOOD = [...MODULES, ...UDEV, ...UNLOCKED, ...MAPPER, ...ROLLBACK, ...MOUNTS];

function journalOf(messages: readonly string[]): JournalLine[] {
  return messages.map((message, index) => ({ monotonicUs: index * 1e6, message, writer: STAGE1_SCRIPT }));
}

function withHook(hook: StageOneHook, position: 'before' | 'default' | 'after' = 'after'): Scenario {
  const { rollback } = scenario.system;
  if (rollback === undefined) throw new Error('the layout has a rollback');
  const scripted = { ...rollback.scripted, hook, order: position };
  return { ...scenario, system: { ...scenario.system, rollback: { ...rollback, scripted } } };
}

function contextOf(messages: readonly string[], of: Scenario = scenario): BootContext {
  const evidence = { journal: journalOf(messages), subvolumes: [] } as unknown as BootEvidence;
  const session = { prompts: 1, scripts: new Map() };
  return { scenario: of, evidence, session, planted: [], installed: [], how: 'reboot' };
}

void t.test('the promises name the option, not a unit', (t) => {
  t.equal(
    order.title,
    'boot.initrd.postResumeCommands run before the root is mounted and after it is unlocked',
  );
  t.equal(log.title, 'the journal of every boot holds the log of boot.initrd.postResumeCommands');
  t.match(order, { unlocks: ['/dev/disk/by-partlabel/cryptfs'], root: '/dev/mapper/cryptfs' });
  t.equal(variantOf('systemd').promises.length, scenario.promises.length, 'both kinds promise the same');
  t.end();
});

void t.test('a rollback between unlocking and mounting is as promised', (t) => {
  t.match(checkRollbackOrder(order, contextOf(GOOD)), {
    status: 'pass',
    found: /cryptfs unlocked 5\.00 s, rollback 9\.00 s–11\.00 s, \/ mounted 12\.00 s/,
  });
  t.match(checkRollbackLog(log, contextOf(GOOD)), { status: 'pass', found: /^3 lines/ });
  t.end();
});

void t.test('each way of being wrong is found', (t) => {
  const early = contextOf(
    [...MODULES, ...ROLLBACK, ...UDEV, ...UNLOCKED, ...MAPPER, ...MOUNTS],
    withHook('preDeviceCommands'),
  );
  t.match(checkRollbackOrder(order, early), {
    status: 'fail',
    found: /wrote "Deleting subvolume \/mnt\/root" at 2\.00 s, before .* was unlocked at 8\.00 s/,
    cause: /run before there is any device/,
  });
  const locked = contextOf(
    [...UDEV, ...ROLLBACK, ...UNLOCKED, ...MAPPER, ...MOUNTS],
    withHook('preLVMCommands', 'before'),
  );
  t.match(checkRollbackOrder(order, locked), { status: 'fail', cause: /before LUKS devices are unlocked/ });
  const unlocked = contextOf(
    [...UDEV, ...UNLOCKED, ...ROLLBACK, ...MAPPER, ...MOUNTS],
    withHook('preLVMCommands'),
  );
  t.match(checkRollbackOrder(order, unlocked), { status: 'pass' });
  const late = contextOf(
    [...UDEV, ...UNLOCKED, ...MAPPER, ...MOUNTS, ...ROLLBACK],
    withHook('postMountCommands'),
  );
  t.match(checkRollbackOrder(order, late), {
    status: 'fail',
    found: /wrote "Re-creating root subvolume" at .*, after \/ was mounted at/,
    cause: /run when the root is mounted already/,
  });
  const silent = contextOf(GOOD.filter((message) => !ROLLBACK.includes(message)));
  t.match(checkRollbackOrder(order, silent), {
    status: 'fail',
    found: /nothing .* was written by the rollback/,
  });
  t.match(checkRollbackLog(log, silent), { status: 'fail', cause: /meant to be silent.*promises\.without/ });
  t.match(explainNoWipe(silent), /did not run, or wrote nothing/);
  const unopened = contextOf(GOOD.filter((message) => !UNLOCKED.includes(message)));
  t.match(checkRollbackOrder(order, unopened), { status: 'fail', found: /never said that .* is unlocked/ });
  const elsewhere = contextOf(GOOD.map((message) => message.replace('cryptfs on /...', 'other on /...')));
  t.match(checkRollbackOrder(order, elsewhere), { status: 'fail', found: /never came to mounting/ });
  const swapped = [...UDEV, ...UNLOCKED, ...MAPPER, ...[...ROLLBACK].reverse(), ...MOUNTS];
  t.match(checkRollbackLog(log, contextOf(swapped)), {
    status: 'fail',
    expected: /after the ones before it/,
  });
  t.match(explainNoWipe(contextOf(GOOD)), /has no "set -e": it goes on/);
  const { rollback, ...without } = scenario.system;
  t.ok(rollback);
  t.match(
    explainNoWipe(contextOf(GOOD, { ...scenario, system: without })),
    /declares no rollback \(boot\.initrd\.postResumeCommands\)/,
  );
  t.end();
});

void t.test('a log that calls deleted what is still there is a lie', (t) => {
  const root = { id: 256, path: 'root', uuid: 'old' };
  const context = contextOf(GOOD);
  const found = checkRollbackLog(log, {
    ...context,
    installed: [root],
    evidence: { ...context.evidence, subvolumes: [root] },
  });
  t.match(found, { status: 'fail', found: /still on the disk/ });
  t.end();
});

void t.test('a key file unlocks without a word, so nothing is demanded of the log', (t) => {
  const silent = contextOf(GOOD.filter((message) => !UNLOCKED.includes(message)));
  t.match(checkRollbackOrder({ ...order, unlocks: [] } as RollbackOrderPromise, silent), { status: 'pass' });
  t.end();
});

void t.test('a boot that stops in stage 1 is judged by the console', (t) => {
  const consoleOf = (messages: readonly string[]): string =>
    ['BdsDxe: starting Boot0001', '<<< NixOS Stage 1 >>>', ...messages]
      .map((message, index) => `[${(index / 10).toFixed(3).padStart(9)}] ${message}\n`)
      .join('');
  const stuck = [
    ...GOOD.slice(0, -1),
    '[    8.120000] BTRFS error (device dm-0): cannot find subvolume',
    'mount: mounting /dev/mapper/cryptfs on /mnt-root/ failed: No such file or directory',
    'An error occurred in stage 1 of the boot process, which has to mount the',
    '  r) to reboot',
  ];
  const judge = (text: string, of: Scenario): string[] =>
    checkFailedBoot(of, { boot: 1, journal: parseStageOneConsole(text) }).map(
      ({ promise, status }) => `${promise.id} ${status}`,
    );
  t.strictSame(judge(consoleOf(stuck), scenario), ['rollback-order pass']);
  const late = [...UDEV, ...UNLOCKED, ...MAPPER, ...MOUNTS, ...ROLLBACK, ...stuck.slice(-2)];
  t.strictSame(judge(consoleOf(late), withHook('postMountCommands')), ['rollback-order fail']);
  t.strictSame(
    judge(consoleOf(late) + consoleOf(stuck), scenario),
    ['rollback-order pass'],
    'the last boot counts',
  );
  const lines = parseStageOneConsole(
    consoleOf([...stuck.slice(0, 3), '<<< NixOS Stage 2 >>>', 'starting systemd...']),
  );
  t.strictSame(
    lines.map(({ message }) => message),
    stuck.slice(0, 3),
    'neither the kernel nor stage 2 is part of it',
  );
  t.equal(lines[0]?.monotonicUs, 200_000);
  t.end();
});

void t.test('the date that stage 1 puts before each line is taken off', (t) => {
  t.equal(stripDate('[Sat Nov 21 04:05:06 UTC 2026] mounting x on /...'), 'mounting x on /...');
  t.equal(stripDate('[  OK  ] Started x'), '[  OK  ] Started x');
  t.end();
});

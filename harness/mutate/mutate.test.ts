// Every operator in both directions: the mutant is what its title says and nothing else, and it is run, refused or called
// equivalent for its reason. The promises stay those of the layout as it is.
import path from 'node:path';

import t, { type Test } from 'tap';

import { repositoryRoot } from '../core/index.js';
import { openScenario, type Scenario, selectVariants } from '../scenario/index.js';
import { controlScenario, decide } from './decide.js';
import { makeMutants } from './make-mutants.js';
import { misspell } from './misspell.js';
import type { Original } from './mutant.js';
import { isTrialOf, type Trial, trialScenario } from './trial.js';

async function open(name: string, filter: Record<string, string> = {}): Promise<Original> {
  const source = await openScenario(path.join(repositoryRoot, 'scenarios', name, 'scenario.yaml'));
  const [variant] = selectVariants([source.scenario], { filter, spread: 'once' });
  if (variant === undefined) throw new Error('no variant');
  return { source, scenario: variant.scenario, axes: variant.axes };
}

async function openText(test: Test, text: string, files: Record<string, string> = {}): Promise<Original> {
  const folder = test.testdir({ layout: { 'scenario.yaml': text, 'install.sh': 'true\n', ...files } });
  const source = await openScenario(path.join(folder, 'layout/scenario.yaml'));
  const [variant] = source.scenario.variants;
  if (variant === undefined) throw new Error('no variant');
  return { source, scenario: variant.scenario, axes: variant.axes };
}

/** Where two models differ, as `path: before -> after`. */
function differences(before: unknown, after: unknown, at = ''): string[] {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null;
  if (!isMap(before) || !isMap(after))
    return before === after ? [] : [`${at}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => key !== 'place' && key !== 'file' && key !== 'unitPlaces',
  );
  return keys.flatMap((key) => differences(before[key], after[key], at === '' ? key : `${at}.${key}`));
}

/** What becomes of a mutant: its differences, or why it is not run. */
async function see(original: Original, id: string): Promise<string> {
  const mutant = makeMutants(original).find((each) => each.id === id);
  if (mutant === undefined) return 'there is no such mutant';
  const decision = await decide(mutant, original);
  if (decision.kind !== 'run') return `${decision.kind}: ${decision.reason}`;
  const { system, install } = decision.scenario;
  const { system: before, install: installed } = original.scenario;
  return differences({ system: before, install: installed }, { system, install }).join('\n');
}

t.test('a rollback in systemd stage 1', async (t) => {
  const layout = await open('btrfs-luks-blank-snapshot');
  const unit = 'systemd-cryptsetup@enc.service';
  t.match(await see(layout, 'rollback/drop'), /^system\.rollback: .* -> undefined$/);
  t.equal(
    await see(layout, `rollback/after:${unit}/drop`),
    `system.rollback.after.0: "${unit}" -> "local-fs-pre.target"\nsystem.rollback.after.1: "local-fs-pre.target" -> undefined`,
  );
  t.equal(
    await see(layout, `rollback/after:${unit}/misspell`),
    `system.rollback.after.0: "${unit}" -> "systemd-cryptsetup@encc.service"`,
  );
  t.equal(
    await see(layout, 'rollback/before:sysroot.mount/drop'),
    'system.rollback.before.0: "sysroot.mount" -> undefined',
  );
  t.equal(
    await see(layout, 'rollback/requiredBy:sysroot.mount/drop'),
    'system.rollback.requiredBy.0: "sysroot.mount" -> undefined',
    'NixOS takes it: nothing starts it, which is for the machine to show',
  );
  t.match(await see(layout, 'rollback/requiredBy:sysroot.mount/misspell'), /sysroott\.mount/);
  t.equal(
    await see(layout, 'rollback/remainAfterExit/drop'),
    'system.rollback.remainAfterExit: true -> false',
  );
  const swapped = await see(layout, 'rollback/after-before/swap');
  t.match(swapped, /after\.0: .* -> "sysroot\.mount"/);
  t.match(swapped, new RegExp(`before\\.0: "sysroot\\.mount" -> "${unit}"`));
  t.equal(await see(layout, 'rollback/hook/preDeviceCommands'), 'there is no such mutant');
  const dropped = await see(layout, 'rollback/script:3/drop');
  t.match(dropped, /system\.rollback\.script\.text/);
  t.match(dropped, /system\.rollback\.scripted\.script\.text/, 'both kinds of stage 1 share the script');
});

t.test('an order after the resume, where nothing can sleep', async (t) => {
  const order = 'rollback/after:local-fs-pre.target';
  const awake = await open('disko-luks-rollback-log');
  t.match(await see(awake, `${order}/drop`), /^equivalent: .*nothing to sleep on/);
  t.match(await see(awake, `${order}/misspell`), /^equivalent/);
  const sleeper = await open('btrfs-luks-blank-snapshot');
  t.match(await see(sleeper, `${order}/drop`), /^system\.rollback\.after/, 'it has swap');
});

t.test('a rollback in scripted stage 1', async (t) => {
  const layout = await open('btrfs-luks-rollback', { stage1: 'scripted' });
  t.equal(
    await see(layout, 'rollback/hook/preDeviceCommands'),
    'system.rollback.scripted.hook: "postResumeCommands" -> "preDeviceCommands"',
  );
  t.equal(await see(layout, 'rollback/order/before'), 'system.rollback.scripted.order: "after" -> "before"');
  t.match(
    await see(layout, 'rollback/script:4/drop'),
    /^system\.rollback\.scripted\.script\.text: [^\n]*$/,
    'its own script',
  );
  t.equal(await see(layout, 'rollback/before:sysroot.mount/drop'), 'there is no such mutant');
});

t.test('orders that another one implies', async (t) => {
  const layout = await openText(
    t,
    `imperm: 1
title: orders
install: install.sh
system:
  fileSystems:
    /: { device: /dev/vda2, fsType: btrfs, options: [subvol=root] }
    /nix: { device: /dev/vda2, fsType: btrfs, options: [subvol=nix, defaults] }
  rollback:
    before: [sysroot.mount, initrd-root-fs.target]
    wantedBy: [initrd.target]
    script: { text: "true" }
`,
  );
  t.match(
    await see(layout, 'rollback/before:initrd-root-fs.target/drop'),
    /^equivalent: it is before sysroot\.mount/,
  );
  t.match(await see(layout, 'rollback/before:initrd-root-fs.target/misspell'), /^equivalent/);
  t.match(
    await see(layout, 'rollback/before:sysroot.mount/drop'),
    /^system\.rollback\.before/,
    'not the other way round',
  );
  t.match(await see(layout, 'fileSystems//nix/options:defaults/drop'), /^equivalent: defaults/);
});

t.test('mounts', async (t) => {
  const layout = await open('btrfs-luks-blank-snapshot');
  t.match(await see(layout, 'fileSystems//home/drop'), /system\.fileSystems/);
  t.match(await see(layout, 'fileSystems///drop'), /^refused: .*no root to wipe/);
  t.match(
    await see(layout, 'fileSystems//persist/neededForBoot/drop'),
    /^refused: .*mounted only after stage 1/,
  );
  t.match(await see(layout, 'fileSystems//var/log/neededForBoot/drop'), /^equivalent: NixOS always mounts/);
  t.match(await see(layout, 'fileSystems//home/device/misspell'), /^refused: nothing unlocks/);
  t.match(await see(layout, 'fileSystems//boot/device/misspell'), /by-partlabel\/boott/);
  t.match(await see(layout, 'fileSystems///subvol/home'), /subvolume: "root" -> "home"/);
  t.match(
    await see(layout, 'fileSystems//boot/options:umask=0077/drop'),
    /options\.0: "umask=0077" -> undefined/,
  );
  t.match(
    await see(layout, 'fileSystems//home/options:compress=zstd/drop'),
    /^equivalent: an option of the whole btrfs/,
  );
  t.match(await see(layout, 'fileSystems///options:compress=zstd/drop'), /options\.1: "compress=zstd"/);
  t.match(
    await see(layout, 'fileSystems//home/options:noatime/drop'),
    /options\.2: "noatime"/,
    'that of one mount',
  );
  const swapped = await see(layout, 'fileSystems//home/swap:/nix');
  t.match(swapped, /subvolume: "home" -> "nix"/);
  t.match(swapped, /subvolume: "nix" -> "home"/);
});

t.test('a root in memory', async (t) => {
  const layout = await open('tmpfs-luks-ext4');
  t.match(await see(layout, 'fileSystems///options:size=25%/drop'), /"size=25%" -> "mode=755"/);
  t.match(await see(layout, 'fileSystems///options:size=25%/size=90%'), /"size=25%" -> "size=90%"/);
  t.match(await see(layout, 'fileSystems///options:mode=755/mode=777'), /"mode=755" -> "mode=777"/);
  t.notOk(
    makeMutants(layout).some(({ id }) => id.startsWith('openssh')),
    'nobody has written where the key is',
  );
  t.match(await see(layout, 'fileSystems///kept'), /fsType: "tmpfs" -> "ext4"/);
  const swap = 'swapDevices:/dev/disk/by-partuuid/3f6b8d1e-52a7-4c09-9d7b-0a4c6e2f1b85';
  t.match(await see(layout, `${swap}/randomEncryption/drop`), /randomEncryption: true -> false/);
  t.match(await see(layout, `${swap}/drop`), /system\.swapDevices\.0/);
  t.match(await see(layout, `${swap}/misspell`), /b855/);
});

t.test('what is persisted', async (t) => {
  const layout = await open('networkmanager');
  const root = 'persistence//persist/system';
  t.match(await see(layout, `${root}/misspell`), /root: "\/persist\/system" -> "\/persist\/systemm"/);
  t.match(await see(layout, `${root}/directories:/etc/nixos/drop`), /directories/);
  t.match(
    await see(layout, `${root}/directories:/var/db/sudo/misspell`),
    /"\/var\/db\/sudo" -> "\/var\/db\/sudoo"/,
  );
  const stated = `${root}/directories:/etc/NetworkManager/system-connections`;
  t.match(await see(layout, `${stated}/misspell`), /system-connectionss/, 'where it has a mode, too');
  t.match(await see(layout, `${stated}/mode`), /mode: "0700" -> "0777"/);
  t.equal(
    await see(layout, `${root}/directories:/etc/nixos/mode`),
    'there is no such mutant',
    'nothing is stated',
  );
  t.match(await see(layout, `${root}/files:/etc/machine-id/symlink`), /^equivalent: systemd reads/);
  const blank = await open('btrfs-luks-blank-snapshot');
  t.match(await see(blank, 'persistence//persist/files:/etc/adjtime/symlink'), /method: "auto" -> "symlink"/);
  t.match(await see(layout, `${root}/files:/etc/machine-id/misspell`), /machine-idd/);
  const owned = await openText(
    t,
    `imperm: 1
title: owners
install: install.sh
system:
  fileSystems:
    /: { device: none, fsType: tmpfs }
    /nix: { device: /dev/vda2, fsType: ext4 }
  persistence:
    /nix/persist: { directories: [{ directory: /srv, user: alice, group: users }] }
`,
  );
  t.match(await see(owned, 'persistence//nix/persist/directories:/srv/user'), /user: "alice" -> "nobody"/);
  t.match(await see(owned, 'persistence//nix/persist/directories:/srv/group'), /group: "users" -> "nogroup"/);
});

t.test('accounts, keys, links and devices', async (t) => {
  const layout = await open('btrfs-luks-hibernate');
  t.match(await see(layout, 'resumeDevice/drop'), /resumeDevice: .* -> undefined/);
  t.match(await see(layout, 'resumeDevice/misspell'), /resumeDevice: .*swapp/);
  t.match(await see(layout, 'luks/enc/rename'), /^refused: nothing unlocks/);
  t.match(await see(layout, 'luks/enc/device/misspell'), /system\.luks\.0\.device/);
  const accounts = await open('btrfs-luks-rollback');
  t.match(await see(accounts, 'users/root/hashedPasswordFile/drop'), /hashedPasswordFile: .* -> undefined/);
  t.match(await see(accounts, 'users/root/hashedPasswordFile/misspell'), /roott/);
  t.match(
    await see(accounts, 'openssh/hostKeys:/persist/system/etc/ssh/ssh_host_ed25519_key/misspell'),
    /keyy/,
  );
  const image = await open('btrfs-image');
  t.match(await see(image, 'tmpfiles:L+ /root/.ssh/authorized_keys/drop'), /system\.tmpfiles/);
});

t.test('the install script', async (t) => {
  const layout = await open('btrfs-luks-blank-snapshot');
  const ids = makeMutants(layout).map(({ id }) => id);
  const late = ids.find((id) => /^install:\d+\/late$/.test(id)) ?? '';
  t.match(await see(layout, late), /^install\.text: .*imperm-late/);
  t.match(await see(layout, late.replace('late', 'option:-r/drop')), /subvolume snapshot \/mnt\/root /);
  const copies = ids.filter((id) => /^install:\d+\/drop$/.test(id));
  t.equal(copies.length, 2, 'machine-id and adjtime are copied');
  const [machineId = '', adjtime = ''] = copies;
  t.match(await see(layout, machineId), /impermanence makes an empty machine id/);
  t.match(await see(layout, adjtime), /^install\.text: [^\n]*$/);
});

t.test('a mutant has the promises, disks and log of the layout as it is', async (t) => {
  const original = await open('disko-luks-rollback-log');
  for (const mutant of makeMutants(original)) {
    const decision = await decide(mutant, original);
    if (decision.kind !== 'run') continue;
    const { promises, promised, consoleAllow, disks, steps, knownBug } = decision.scenario;
    t.equal(promises, original.scenario.promises);
    t.equal(promised, original.scenario.system);
    t.same(
      [consoleAllow, disks, knownBug],
      [original.scenario.consoleAllow, original.scenario.disks, undefined],
    );
    t.same(
      steps.map(({ kind }) => kind),
      ['boot', 'run', 'reboot', 'power-off'],
      'what is done before the first reboot, and no more',
    );
  }
  const control = controlScenario(original);
  t.same(differences(control.system, original.scenario.system), []);
  t.equal(control.promises, original.scenario.promises);
});

t.test('ids are unique, and the same every time', async (t) => {
  const idsOf = async (name: string): Promise<string[]> => makeMutants(await open(name)).map(({ id }) => id);
  for (const name of ['btrfs-luks-rollback', 'tmpfs-luks-ext4', 'btrfs-luks-blank-snapshot', 'btrfs-image']) {
    const ids = await idsOf(name);
    t.same(ids, await idsOf(name));
    t.equal(new Set(ids).size, ids.length);
  }
});

t.test('the listing of every shipped layout', async (t) => {
  const expected: Record<string, readonly [made: number, run: number]> = {
    'btrfs-luks-rollback': [80, 65],
    'btrfs-luks-blank-snapshot': [100, 85],
    'disko-luks-rollback-log': [90, 75],
    'tmpfs-luks-ext4': [20, 12],
    'btrfs-image': [25, 18],
    networkmanager: [80, 65],
    containers: [80, 65],
    'small-services': [75, 60],
  };
  for (const [name, [made, run]] of Object.entries(expected)) {
    const original = await open(name);
    const mutants = makeMutants(original);
    const decisions = await Promise.all(mutants.map((mutant) => decide(mutant, original)));
    const open_ = decisions.filter(({ kind }) => kind === 'run').length;
    t.ok(mutants.length >= made && mutants.length < made * 2, `${name}: ${String(mutants.length)} made`);
    t.ok(open_ >= run && open_ < mutants.length, `${name}: ${String(open_)} run`);
  }
});

t.test('one letter too many', async (t) => {
  t.equal(misspell('/etc/nixos'), '/etc/nixoss');
  t.equal(misspell('systemd-cryptsetup@enc.service'), 'systemd-cryptsetup@encc.service');
  t.equal(misspell('initrd.target'), 'initrdd.target');
  t.equal(misspell('a-'), 'a-x');
});

t.test('what the lints tell of a mutant, and not of the layout as it is', async (t) => {
  const original = await open('btrfs-luks-blank-snapshot');
  const mutants = makeMutants(original);
  const decided = async (id: string, byLints: boolean) => {
    const mutant = mutants.find((each) => each.id === id);
    if (mutant === undefined) throw new Error(`there is no mutant ${id}`);
    return decide(mutant, original, { byLints });
  };
  const id = 'rollback/after:systemd-cryptsetup@enc.service/misspell';
  t.match(
    await decided(id, false),
    { kind: 'run', lints: /unit-missing/ },
    'a machine decides, and it is known',
  );
  t.match(await decided(id, true), { kind: 'refused', by: 'lint', reason: /\[unit-missing\]$/ });
  // The layout as it is has plain swap beside LUKS, of which a lint tells, too.
  const silent = await decided('fileSystems//home/drop', true);
  t.match(silent, { kind: 'run', lints: [] }, 'what the original has, too, tells nothing');
});

async function openTrial(name: string): Promise<Trial> {
  const { source, axes } = await open(name);
  const variant = source.scenario.variants.find((each) => each.axes === axes);
  if (variant === undefined) throw new Error('no variant');
  return { source, variant };
}

/** A mutant in a trial. */
async function tryOut(original: Original, trial: Trial, id: string): Promise<Scenario | undefined> {
  const mutant = makeMutants(original).find((each) => each.id === id);
  if (mutant === undefined) throw new Error(`there is no mutant ${id}`);
  const decision = await decide(mutant, original);
  if (decision.kind !== 'run') throw new Error(`${id} is not run`);
  return trialScenario(trial, { original, mutant, mutated: decision.scenario });
}

t.test('the same layout in other circumstances', async (t) => {
  const original = await open('btrfs-luks-blank-snapshot');
  const trial = await openTrial('bugs/root-missing-corrected');
  t.ok(isTrialOf(original, trial), 'only steps and promises differ');
  const scripted = await open('btrfs-luks-blank-snapshot', { stage1: 'scripted' });
  t.notOk(isTrialOf(scripted, trial), 'another stage 1');
  t.notOk(isTrialOf(await open('btrfs-luks-rollback'), trial), 'another layout');
  const { scenario } = trial.variant;
  const tried = await tryOut(original, trial, 'rollback/drop');
  t.equal(tried?.system.rollback, undefined, 'the system is the mutant');
  t.equal(tried?.promised, scenario.system);
  t.same(
    [tried?.steps, tried?.promises],
    [scenario.steps, scenario.promises],
    'all else is that of the trial',
  );
});

t.test('a layout that extends the one of the mutants', async (t) => {
  const original = await open('btrfs-luks-blank-snapshot');
  const trial = await openTrial('bugs/hibernation-encrypted-swap-corrected');
  t.ok(isTrialOf(original, trial));
  const { scenario } = trial.variant;
  const tried = await tryOut(original, trial, 'rollback/after:local-fs-pre.target/drop');
  t.same(tried?.system.rollback?.after, ['systemd-cryptsetup@enc.service'], 'the mutant is in it');
  t.same(
    tried?.system.luks.map(({ name }) => name),
    ['enc', 'cryptswap'],
    'so is what it has of its own',
  );
  t.equal(tried?.promised, scenario.system);
  t.same(tried?.steps, scenario.steps);
  t.equal(
    await tryOut(original, trial, 'swapDevices:/dev/disk/by-partlabel/swap/drop'),
    undefined,
    'it has other swap than that which is broken',
  );
});

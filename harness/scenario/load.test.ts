import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { HarnessError } from '../core/index.js';
import {
  findScenarios,
  loadScenario,
  loadScenarios,
  scenarioJsonSchema,
  selectVariants,
  type Scenario,
  type ScenarioFile,
} from './index.js';

/** The layout of ItsDrike/nixdots, in which every section of the format is used. */
const RECIPE = `imperm: 1
title: LUKS + btrfs, root re-created by a rollback service
source: [https://example.org/impermanence]
guests: [debian, nixos]
matrix: { disk: [virtio, nvme] }
machine: { memory: 3GiB, cpus: 4 }
disks: { main: { size: 12GiB }, spare: { size: 512MiB } }
install: install.sh
system:
  luks: { cryptfs: { device: /dev/disk/by-partlabel/cryptfs, allowDiscards: true } }
  fileSystems:
    /persist: { device: /dev/mapper/cryptfs, fsType: btrfs, options: [subvol=/persist], neededForBoot: true }
    /: { device: /dev/mapper/cryptfs, fsType: btrfs, options: [subvol=root, compress=zstd, noatime] }
    /nix: { device: /dev/mapper/cryptfs, fsType: btrfs, options: [subvol=nix, noatime] }
    /home: { device: /dev/mapper/cryptfs, fsType: btrfs, options: [subvol=home] }
    /var/log: { device: /dev/mapper/cryptfs, fsType: btrfs, options: [subvol=log] }
    /boot: { device: /dev/disk/by-label/BOOT, fsType: vfat, options: [umask=0077] }
  swapDevices: [{ device: /dev/disk/by-partlabel/swap }]
  rollback:
    after: [systemd-cryptsetup@cryptfs.service]
    before: [sysroot.mount]
    wantedBy: [initrd.target]
    script: rollback.sh
  persistence:
    /persist/system:
      hideMounts: true
      directories: [/etc/nixos, { directory: /var/db/sudo, user: root, mode: "700" }]
      files: [/etc/machine-id, { file: /etc/adjtime, method: symlink }]
  users:
    root: { hashedPasswordFile: /persist/passwords/root }
    alice: { isNormalUser: true, uid: 1000 }
  openssh: { hostKeys: [{ path: /persist/system/etc/ssh/ssh_host_ed25519_key, type: ed25519 }] }
promises:
  kept: [/etc/nixos]
  gone: [/opt]
  rollbackLog: [Re-creating root subvolume]
  console: [{ class: unmount-failed, match: Failed unmounting /nix, reason: the system runs from it }]
steps: [boot, reboot, power-off]
timeout: 1h30m5s
`;
const SCRIPTS = {
  'install.sh': 'mkfs.btrfs /dev/vda\n',
  'rollback.sh': 'btrfs subvolume create /mnt/root\n',
};

/** The recipe with one text replaced; it must be there, or the case would test nothing. */
function edit(from: string, to: string, text = RECIPE): string {
  if (!text.includes(from)) throw new Error(`not in the recipe: ${from}`);
  return text.replace(from, () => to);
}

/** `line:col` of a snippet. */
function placeIn(text: string, snippet: string): string {
  const offset = text.indexOf(snippet);
  if (offset < 0) throw new Error(`not in the text: ${snippet}`);
  const before = text.slice(0, offset).split('\n');
  return `${String(before.length)}:${String((before.at(-1) ?? '').length + 1)}`;
}

function writeRecipe(test: Test, text: string | Buffer = RECIPE, more: object = {}): string {
  return path.join(
    test.testdir({ recipe: { 'scenario.yaml': text, ...SCRIPTS }, ...more }),
    'recipe/scenario.yaml',
  );
}

/** The problems of files that must not load, each as `<path below the folder>:line:col: message`. */
async function problemsOf(test: Test, ...files: string[]): Promise<string[]> {
  try {
    await loadScenarios(files);
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'SCENARIO_INVALID') throw error;
    const folder = `${path.relative('', test.testdirName)}/`;
    return (error.details ?? '').replaceAll(folder, '').split('\n');
  }
  return [];
}

/** The problems of one recipe, without the file's name. */
async function problemsIn(test: Test, text: string | Buffer): Promise<string[]> {
  const lines = await problemsOf(test, writeRecipe(test, text));
  return lines.map((each) => each.replace('recipe/scenario.yaml:', ''));
}

const ids = (scenario: Scenario): string[] => scenario.promises.map((promise) => promise.id);

t.test('a recipe becomes a model with defaults, units and effective values', async (t) => {
  const file = writeRecipe(t);
  const scenario = await loadScenario(file);
  const shown = path.relative('', file);
  const at = (snippet: string) => {
    const [line, col] = placeIn(RECIPE, snippet).split(':').map(Number);
    return { file: shown, line, col };
  };
  t.match(scenario, {
    name: 'recipe',
    file: shown,
    machine: { memoryMiB: 3072, cpus: 4 },
    disks: [
      { name: 'main', sizeMiB: 12288, bus: 'virtio' },
      { name: 'spare', sizeMiB: 512, bus: 'virtio' },
    ],
    install: { file: path.join(path.dirname(shown), 'install.sh'), text: SCRIPTS['install.sh'] },
    timeoutMs: 5_405_000,
    steps: [{ kind: 'boot' }, { kind: 'reboot' }, { kind: 'power-off' }],
    consoleAllow: [{ class: 'unmount-failed', match: 'Failed unmounting /nix', place: at('{ class:') }],
  });
  const { system } = scenario;
  t.same(
    system.fileSystems.map((each) => [
      each.mountPoint,
      each.subvolume,
      each.neededForBoot,
      each.explicitNeededForBoot,
    ]),
    [
      ['/', 'root', true, false],
      ['/boot', undefined, false, false],
      ['/home', 'home', false, false],
      ['/nix', 'nix', true, false],
      ['/persist', 'persist', true, true],
      ['/var/log', 'log', true, false],
    ],
  );
  t.match(system.luks, [
    { name: 'cryptfs', unit: 'systemd-cryptsetup@cryptfs.service', place: at('cryptfs: {') },
  ]);
  t.match(system.rollback, {
    unit: 'rollback.service',
    requires: [],
    script: { text: SCRIPTS['rollback.sh'] },
  });
  t.match(system.persistence[0]?.directories, [
    { path: '/etc/nixos', source: '/persist/system/etc/nixos', user: 'root', group: 'root', mode: '0755' },
    { path: '/var/db/sudo', mode: '0700', place: at('{ directory:') },
  ]);
  t.match(system.persistence[0]?.files, [{ method: 'auto' }, { path: '/etc/adjtime', method: 'symlink' }]);

  const small = await loadScenario(
    writeRecipe(
      t,
      'imperm: 1\ntitle: x\ninstall: { text: "true" }\nsystem: { fileSystems: { /: { device: none, fsType: tmpfs }, /nix: { device: /dev/vda2, fsType: ext4 } } }\n',
    ),
  );
  t.match(small, {
    guests: ['debian', 'nixos'],
    machine: { memoryMiB: 2048 },
    disks: [{ name: 'main', sizeMiB: 12288 }],
    steps: [{ kind: 'boot' }, { kind: 'reboot' }, { kind: 'power-cut' }, { kind: 'power-off' }],
    timeoutMs: 600_000,
    install: { text: 'true' },
    system: { hostName: 'imperm', stage1: 'systemd', luks: [], rollback: undefined },
  });
});

t.test('promises follow from what the recipe declares', async (t) => {
  const scenario = await loadScenario(writeRecipe(t));
  t.same(ids(scenario), [
    'root-wiped',
    'gone:/',
    'gone:/opt',
    'kept:/home',
    'kept:/nix',
    'kept:/persist',
    'kept:/var/log',
    'kept:/etc/nixos',
    'kept:/var/db/sudo',
    'kept:/etc/machine-id',
    'kept:/etc/adjtime',
    'mounted:/',
    'mounted:/boot',
    'mounted:/home',
    'mounted:/nix',
    'mounted:/persist',
    'mounted:/var/log',
    'machine-id-stable',
    'ssh-host-keys-stable',
    'rollback-log',
    'rollback-order',
    'generation',
    'no-failed-units',
    'unlocked',
    'esp-private:/boot',
    'swap-active',
    'unmounted-cleanly',
    'login:root',
    'disk-clean',
    'console-clean',
  ]);
  const find = (id: string) => scenario.promises.find((promise) => promise.id === id);
  const at = (id: string) => `${String(find(id)?.place.line)}:${String(find(id)?.place.col)}`;
  t.equal(at('kept:/etc/nixos'), placeIn(RECIPE, '/etc/nixos]'), 'an explicit promise has its own place');
  t.equal(at('kept:/var/db/sudo'), placeIn(RECIPE, '{ directory:'));
  t.equal(at('kept:/home'), placeIn(RECIPE, '/home:'));
  t.equal(at('root-wiped'), placeIn(RECIPE, 'rollback:'));
  t.equal(at('rollback-log'), placeIn(RECIPE, 'rollbackLog:'));
  t.match(find('kept:/etc/nixos'), {
    of: 'directory',
    source: '/persist/system/etc/nixos',
    title: '/etc/nixos keeps its files',
  });
  t.match(find('kept:/var/db/sudo'), { user: 'root', mode: '0700', group: undefined });
  t.match(find('kept:/home'), { of: 'volume', source: undefined });
  t.match(find('rollback-log'), { by: 'rollback.service', lines: ['Re-creating root subvolume'] });
  t.match(find('rollback-order'), {
    units: ['systemd-cryptsetup@cryptfs.service', 'rollback.service', 'sysroot.mount'],
  });
  t.match(find('swap-active'), { devices: ['/dev/disk/by-partlabel/swap'] });
  t.match(find('console-clean'), { allow: [{ class: 'unmount-failed' }] });
});

t.test('promises differ where the layout does', async (t) => {
  const load = (text: string) => loadScenario(writeRecipe(t, text));
  const find = async (text: string, id: string) =>
    (await load(text)).promises.find((promise) => promise.id === id);

  const tmpfs = await load(
    edit(
      '/: { device: /dev/mapper/cryptfs, fsType: btrfs, options: [subvol=root, compress=zstd, noatime] }',
      '/: { device: none, fsType: tmpfs, options: [size=25%] }',
      edit(
        '  rollbackLog: [Re-creating root subvolume]\n',
        '',
        edit(RECIPE.slice(RECIPE.indexOf('  rollback:'), RECIPE.indexOf('  persistence:')), ''),
      ),
    ),
  );
  t.match(tmpfs.promises[0], { id: 'root-wiped', by: 'tmpfs' });
  t.notMatch(ids(tmpfs).join(' '), /rollback|kept:\/ /);

  const orderOf = async (text: string) => {
    const order = await find(text, 'rollback-order');
    return order?.kind === 'rollback-order' && order.stage1 === 'systemd' ? order.units : undefined;
  };
  const unlocked = ['rollback.service', 'sysroot.mount'];
  const renamed = RECIPE.replaceAll('mapper/cryptfs', 'mapper/.crypt-root.1').replace(
    'cryptfs: {',
    '.crypt-root.1: {',
  );
  t.same(
    await orderOf(renamed),
    ['systemd-cryptsetup@\\x2ecrypt\\x2droot.1.service', ...unlocked],
    'the order is about the unit that unlocks, not the one that the rollback names',
  );
  const inner = edit('luks: { cryptfs', 'luks: { inner: { device: /dev/sda9 }, cryptfs');
  const byUuid = edit('/: { device: /dev/mapper/cryptfs', '/: { device: /dev/disk/by-uuid/1', inner);
  t.same(
    await orderOf(byUuid),
    ['systemd-cryptsetup@inner.service', ...unlocked],
    'the root is where nothing else is',
  );
  const plainRoot = edit('/: { device: /dev/mapper/cryptfs', '/: { device: /dev/vda2', inner);
  t.same(await orderOf(plainRoot), unlocked, 'a root that is not encrypted waits for nothing');
  const twoDevices = edit('[subvol=root,', '[device=/dev/mapper/cryptfs,', byUuid);
  t.same(
    await orderOf(twoDevices),
    ['systemd-cryptsetup@cryptfs.service', ...unlocked],
    'an option names the device',
  );

  const misspelt = edit('directories: [/etc/nixos,', 'directories: [/etc/nixso,');
  t.match(
    await find(misspelt, 'kept:/etc/nixos'),
    { of: 'directory', source: undefined },
    'a misspelt path is for the machine to find',
  );

  const plain = edit(
    'files: [/etc/machine-id, {',
    'files: [{',
    edit('path: /persist/system/etc', 'path: /etc'),
  );
  t.notMatch(
    ids(await load(plain)).join(' '),
    /machine-id|ssh-host-keys/,
    'what lies on the wiped root is not promised',
  );
  const wholeEtc = edit(
    '[/etc/nixos, {',
    '[/etc, {',
    edit(
      '[/etc/machine-id, { file: /etc/adjtime, method: symlink }]',
      '[]',
      edit('path: /persist/system/etc', 'path: /etc'),
    ),
  );
  t.match(
    ids(await load(wholeEtc)).join(' '),
    /machine-id-stable ssh-host-keys-stable/,
    'a persisted folder keeps what is in it',
  );

  const mounts = [
    '/srv: { device: /persist/srv, fsType: none }',
    '/srv2: { device: /persist/srv, fsType: auto, options: [bind] }',
    '/srv3: { device: /persist/srv, fsType: auto, options: [rbind] }',
    '/lost: { device: /etc/lost, fsType: none, options: [bind] }',
    '/cache: { device: none, fsType: tmpfs }',
    '/data: { device: /dev/vdb, fsType: ext4, options: [ro] }',
    '/usb: { device: /dev/vdc, fsType: vfat }',
  ];
  const bind = edit('    /boot: {', `${mounts.map((each) => `    ${each}\n`).join('')}    /boot: {`);
  for (const path of ['/srv', '/srv2', '/srv3']) {
    t.match(await find(bind, `kept:${path}`), { of: 'directory', source: '/persist/srv' });
  }
  t.match(await find(bind, 'kept:/usb'), { of: 'volume' });
  t.notMatch(ids(await load(bind)).join(' '), /(kept:\/(lost|cache|data)|esp-private:\/usb)/);

  const linked = await load(
    edit(
      'promises:\n  kept: [/etc/nixos]',
      [
        '  etc: { machine-id: { source: /persist/etc/machine-id } }',
        '  tmpfiles:',
        '    - L /var/lib/docker - - - - /persist/var/lib/docker',
        '    - d /var/lib/other 0755 root root -',
        '    - L+ /var/lib/%H - - - - /persist/host',
        '    - d /var/lib/%H 0700 root root -',
        '    - f- /var/lib/maybe 0600 root root -',
        '    - f /persist/keys ~0600 - :users -',
        '    - D! /var/lib/other/ 0700 nobody nogroup -',
        'promises:',
        '  kept: [/etc/nixos, /var/lib/docker, { file: /etc/machine-id }]',
      ].join('\n'),
      edit('files: [/etc/machine-id, {', 'files: [{'),
    ),
  );
  t.strictSame(
    linked.promises.filter(({ kind }) => kind === 'linked').map(({ id }) => id),
    ['linked:/etc/machine-id', 'linked:/var/lib/docker'],
    'what names both ends in full',
  );
  const made = linked.promises.filter((each) => each.kind === 'made');
  t.strictSame(
    made.map(({ path, of, mode, user, group }) => [path, of, mode, user, group]),
    [
      ['/var/lib/other', 'directory', '755', 'root', 'root'],
      ['/persist/keys', 'file', undefined, undefined, undefined],
    ],
    'what is named in full and has to be made; of two lines for one path the first',
  );
  t.equal((made[1]?.place.line ?? 0) - (made[0]?.place.line ?? 0), 4, 'at the line of its rule');
  const promised = (id: string) => linked.promises.find((promise) => promise.id === id);
  t.match(promised('kept:/var/lib/docker'), {
    of: 'directory',
    source: '/persist/var/lib/docker',
    link: '/persist/var/lib/docker',
  });
  t.match(promised('kept:/etc/machine-id'), {
    of: 'file',
    source: '/persist/etc/machine-id',
    link: '/etc/static/machine-id',
  });
  t.ok(promised('machine-id-stable'), 'kept by a link');

  const without = edit('  gone:', '  without: { swap-active: no swap here, "kept:/home": shared }\n  gone:');
  t.notMatch(ids(await load(without)).join(' '), /swap-active|kept:\/home/);
  t.match(
    await find(
      edit('kept: [/etc/nixos]', 'kept: [{ file: /var/db/sudo/lecture }]'),
      'kept:/var/db/sudo/lecture',
    ),
    {
      of: 'file',
      source: '/persist/system/var/db/sudo/lecture',
    },
  );
});

t.test('every rule names the place and the reason', async (t) => {
  // What is replaced, by what, the snippet at which the problem is shown, what the message says.
  const cases: [from: string, to: string, at: string, message: RegExp][] = [
    [
      '  users:',
      '  etc: { fstab: { source: /persist/fstab } }\n  users:',
      'fstab:',
      /^system.etc.fstab is a file that system.fileSystems makes/,
    ],
    [
      '  users:',
      '  etc: { nixos: { source: /persist/nixos }, nixos/hardware: { source: /persist/hardware } }\n  users:',
      'nixos/hardware',
      /^\/etc\/nixos\/hardware cannot be made: system.etc.nixos makes \/etc\/nixos a link/,
    ],
    [
      '  users:',
      '  etc: { /nixos: { source: /persist } }\n  users:',
      '/nixos: {',
      /must be a path below \/etc/,
    ],
    [
      '  users:',
      '  autoScrub: { enable: true, fileSystems: [] }\n  users:',
      'autoScrub',
      /^system.autoScrub has nothing to scrub/,
    ],
    ['imperm: 1', 'imperm: 2', '2', /^imperm must be 1, not 2/],
    ['title: LUKS', 'titel: LUKS', 'titel', /^unknown key "titel" in the scenario. Did you mean "title"\?/],
    ['title: LUKS', 'titel: LUKS', 'imperm', /^title is missing/],
    [
      'title: LUKS + btrfs, root re-created by a rollback service',
      'title: 5',
      '5\n',
      /^title must be a text, not 5; put it in quotes: "5"/,
    ],
    [
      'title: LUKS + btrfs, root re-created by a rollback service',
      'title:',
      'title',
      /^title must be a text, not empty$/,
    ],
    [
      'title: LUKS + btrfs, root re-created by a rollback service',
      'title: [a]',
      'title',
      /^title must be a text, not a list$/,
    ],
    [
      'title: LUKS + btrfs, root re-created by a rollback service',
      'title: { a: b }',
      'title',
      /^title must be a text, not a map$/,
    ],
    [
      '[{ device: /dev/disk',
      '[{ devise: /dev/disk',
      'devise',
      /^unknown key "devise" in system.swapDevices\[0\]. Did you mean "device"/,
    ],
    [
      '    wantedBy:',
      '    wantdBy:',
      'wantdBy',
      /^unknown key "wantdBy" in system.rollback. Did you mean "wantedBy"/,
    ],
    ['[https:', '[file:', 'file:', /must be a URL/],
    [
      '[debian, nixos]',
      '[debian, nixso]',
      'nixso',
      /must be one of debian, nixos, not "nixso". Did you mean "nixos"\?/,
    ],
    ['[debian, nixos]', '[]', 'guests', /^guests must name at least one guest/],
    ['[debian, nixos]', '[nixos, nixos]', 'nixos]', /^guests has "nixos" twice/],
    ['[virtio, nvme]', '[nvme, scsi]', 'scsi', /^matrix.disk\[1\] must be one of virtio, nvme/],
    ['{ disk: [', '{ bus: [a], disk: [', 'bus', /^unknown key "bus" in matrix/],
    ['3GiB', '3GB', '3GB', /^machine.memory must be a size/],
    ['cpus: 4', 'cpus: 1.5', '1.5', /^machine.cpus must be a whole number, not 1.5/],
    ['{ main: { size: 12GiB }, spare: { size: 512MiB } }', '{}', 'disks', /^disks is empty/],
    [
      'install: install.sh',
      'install: { txt: x }',
      'txt',
      /^unknown key "txt" in install. Did you mean "text"\?/,
    ],
    ['install: install.sh', 'install: instal.sh', 'instal.sh', /instal.sh does not exist/],
    ['install: install.sh', 'install: .', '.\nsystem', /lies outside the folders/],
    ['install: install.sh', 'install: ../../x.sh', '../../x', /lies outside the folders/],
    ['install: install.sh', 'install: /etc/passwd', '/etc/passwd', /lies outside the folders/],
    ['    /: {', '    /root: {', 'fileSystems', /^system.fileSystems."\/" is missing: .*no root to wipe/],
    [
      '    /nix: {',
      '    /nixx: {',
      'fileSystems',
      /^system.fileSystems."\/nix" is missing: it holds the whole system/,
    ],
    ['    /home: {', '    /home/: {', '/home/', /^the key "\/home\/" must be an absolute path/],
    ['    /home: {', '    /a b: {', '/a b', /^the key "\/a b" must not contain white space/],
    ['/dev/disk/by-label/BOOT', 'LABEL=BOOT', 'LABEL=', /must be an absolute path, such as/],
    [
      'fsType: vfat',
      'fstype: vfat',
      'fstype',
      /^unknown key "fstype" in system.fileSystems."\/boot". Did you mean "fsType"/,
    ],
    ['fsType: vfat', 'fstype: vfat', '/boot:', /^system.fileSystems."\/boot".fsType is missing/],
    ['noatime] }\n    /nix', 'noatime, noatime] }\n    /nix', 'noatime] }\n    /nix', /has "noatime" twice/],
    ['subvol=nix, noatime', 'subvol=nix, subvol=n', 'subvol=n]', /has "subvol=" twice/],
    ['compress=zstd, noatime', '"compress=zstd,noatime"', '"compress', /must be a single mount option/],
    [
      '/: { device: /dev/mapper/cryptfs',
      '/: { device: /dev/mapper/crypfs',
      '/dev/mapper/crypfs',
      /^nothing unlocks .*system.luks has cryptfs. Did you mean "cryptfs"\?/,
    ],
    [
      '{ device: /dev/disk/by-partlabel/swap }',
      '{ device: /dev/mapper/swap }',
      '/dev/mapper/swap',
      /^nothing unlocks \/dev\/mapper\/swap/,
    ],
    [
      '[subvol=home]',
      '[device=/dev/mapper/two]',
      'device=/dev/mapper/two',
      /^nothing unlocks \/dev\/mapper\/two/,
    ],
    [
      '/dev/disk/by-partlabel/cryptfs',
      'cryptfs',
      'cryptfs, allow',
      /^system.luks.cryptfs.device must be the path of a device/,
    ],
    ['allowDiscards: true', 'allowDiscards: yes', 'yes', /must be true or false, not "yes"/],
    ['[sysroot.mount]', '[sysroot]', 'sysroot]', /must be the full name of a systemd unit/],
    ['    after:', '    name: rollback.service\n    after:', 'rollback.service', /without ".service"/],
    ['script: rollback.sh', 'script: nothing.sh', 'nothing.sh', /nothing.sh does not exist/],
    [
      ', neededForBoot: true',
      '',
      '/persist/system:',
      /^\/persist\/system lies on \/persist, which is mounted only after stage 1.*Add "neededForBoot: true" to system.fileSystems."\/persist"/,
    ],
    ['/persist/system:\n', 'persist:\n', 'persist:\n', /^the key "persist" must be an absolute path/],
    ['[/etc/nixos, {', '[/etc/../nixos, {', '/etc/..', /must be an absolute path/],
    ['[/etc/nixos, {', '["/etc/a\\nb", {', '"/etc/a', /must be an absolute path/],
    ['[/etc/nixos, {', '[etc/nixos, {', 'etc/nixos, {', /must be an absolute path/],
    [
      '[/etc/machine-id,',
      '[/etc/nixos,',
      '/etc/nixos, { file',
      /^\/etc\/nixos is persisted twice, the first time in \/persist\/system/,
    ],
    [
      '  users:',
      '    /nix/persist: { directories: [/etc/nixos] }\n  users:',
      '/etc/nixos] }\n  users',
      /persisted twice/,
    ],
    ['[/etc/nixos, {', '[/home, {', '/home, {', /is a mount of its own/],
    ['"700"', '0700', '0700', /mode must be a text, not 0700; put it in quotes: "0700"/],
    ['"700"', '"u=rwx"', '"u=rwx"', /must be an octal mode/],
    ['isNormalUser: true, ', '', 'alice', /must have "isNormalUser: true"/],
    ['type: ed25519', 'type: dsa', 'dsa', /must be one of ed25519, rsa/],
    ['  kept: [/etc/nixos]', '  kept: [etc]', 'etc]', /^promises.kept\[0\] must be an absolute path/],
    ['  kept: [/etc/nixos]', '  kept: [/a, /a]', '/a]', /^promises.kept has "\/a" twice/],
    ['  gone: [/opt]', '  gone: [/etc/nixos]', '/etc/nixos]\n  rollbackLog', /promised to be kept, too/],
    [
      '  gone:',
      '  without: { swap-activ: x }\n  gone:',
      'swap-activ',
      /does not follow from the system. Did you mean "swap-active"/,
    ],
    ['  gone:', '  without: { "gone:/opt": x }\n  gone:', '"gone:/opt"', /which promises itself makes/],
    ['  gone:', '  without: { swap-active: "" }\n  gone:', '""', /must be one line of text, not empty/],
    [
      'unmount-failed',
      'unmounts-failed',
      'unmounts-failed',
      /must be one of kernel-panic,.*Did you mean "unmount-failed"/,
    ],
    ['fsType: vfat', 'fsType: xfs', 'xfs', /is xfs, which the guest cannot test; it knows btrfs, ext4/],
    [', reason: the system runs from it', '', '{ class', /^promises.console\[0\].reason is missing/],
    ['[boot, reboot, power-off]', '[reboot, boot, power-off]', 'reboot, boot', /must begin with boot/],
    ['[boot, reboot, power-off]', '[reboot, boot, power-off]', 'boot, power', /boot cannot be between/],
    ['[boot, reboot, power-off]', '[boot, reboot]', 'reboot]', /must end with power-off/],
    ['[boot, reboot, power-off]', '[boot, power-off]', 'steps', /needs a reboot or a power-cut/],
    ['[boot, reboot, power-off]', '[]', 'steps', /must begin with boot/],
    [
      '[boot, reboot, power-off]',
      '[boot, { power-cut-at: x }, reboot, power-off]',
      '{ power-cut-at',
      /after power-cut-at the machine is off: boot, power-cut or another power-cut-at has to follow/,
    ],
    [
      '[boot, reboot, power-off]',
      '[boot, power-cut, { power-cut-at: x }, power-off]',
      '{ power-cut-at',
      /after power-cut-at the machine is off/,
    ],
    [
      '[boot, reboot, power-off]',
      '[boot, reboot, { power-cut-at: x }, boot, power-off]',
      'boot, power-off',
      /boot cannot be between/,
    ],
    ['alice: {', 'Alice: {', 'Alice', /^the key "Alice" must be the name of a user/],
    ['install: install.sh', 'install: { text: "" }', '""', /^install.text must not be empty/],
    ['/dev/disk/by-label/BOOT', '"/dev/a b"', '"/dev/a b"', /must be a device, without white space/],
    ['fsType: vfat', 'fsType: "v fat"', '"v fat"', /must be a file system type/],
    ['    after:', '    name: roll back\n    after:', 'roll back', /must be the name of a systemd service/],
    ['  luks:', '  hostName: a_b\n  luks:', 'a_b', /must be a host name/],
    ['cryptfs: {', 'crypt/fs: {', 'crypt/fs', /^the key "crypt\/fs" must be a name below \/dev\/mapper/],
    ['uid: 1000', 'uid: -1', '-1', /^system.users.alice.uid must not be negative, not -1/],
    ['uid: 1000', 'uid: 65534', '65534', /must be below 65534/],
    ['type: ed25519', 'type: rsa, bits: 1024', '1024', /must be at least 2048/],
    ['type: ed25519', 'type: rsa, bits: 16384', '16384', /must be at most 8192/],
    ['{ hostKeys: [{', '{ hostKeys: [], x: [{', 'hostKeys', /must name at least one key/],
    ['size: 512MiB', 'size: 512', '512 }', /must be a text, not 512; put it in quotes/],
    ['size: 512MiB', 'size: 0MiB', '0MiB', /^disks.spare.size must be a size such as/],
    ['disk: [virtio, nvme]', 'disk: []', 'disk:', /^matrix.disk must name at least one value/],
    ['cpus: 4', 'cpus: 0', '0 }', /^machine.cpus must be at least 1/],
    ['cpus: 4', 'cpus: 65', '65', /^machine.cpus must be at most 64/],
    ['spare: {', 'Spare: {', 'Spare', /^the key "Spare" must be a short name/],
    ['1h30m5s', '90 minutes', '90 minutes', /must be a duration/],
    ['1h30m5s', '0s', '0s', /must be longer than nothing/],
    ['1h30m5s', '25h', '25h', /must not be longer than 24h/],
  ];
  for (const [from, to, snippet, message] of cases) {
    const text = edit(from, to);
    const place = snippet === '2' ? '1:9' : placeIn(text, snippet);
    const lines = await problemsIn(t, text);
    const found = lines.find(
      (line) => line.startsWith(`${place}: `) && message.test(line.slice(place.length + 2)),
    );
    t.ok(found, `${from.trim()} → ${to.trim()}`, { place, message: String(message), lines });
    t.ok(lines.length <= 2, `no more than is wrong: ${to.trim()}`, { lines });
  }
});

t.test('what is malformed brings no second complaint, and hides no other problem', async (t) => {
  const noRollback = (text: string): string =>
    text.replace(/ {2}rollback:\n( {4}.*\n)+/, '  rollback: null\n');
  const twelve = ['/p0', '/p1', 'x', ...[3, 4, 5, 6, 7, 8, 9].map((n) => `/p${String(n)}`), 'y', '/p0'].join(
    ', ',
  );
  const cases: [text: string, places: string[]][] = [
    [edit('[boot, reboot, power-off]', '[boot, rebot, power-off]'), ['rebot']],
    [edit('/: { device: /dev/mapper/cryptfs', '/: { device: [x]'), ['device: [x]']],
    [edit('neededForBoot: true', 'neededForBoot: maybe'), ['maybe']],
    [
      edit(
        'script: rollback.sh',
        'script: x.sh',
        edit('  gone:', '  without: { rollback-order: x }\n  gone:'),
      ),
      ['x.sh'],
    ],
    [noRollback(RECIPE), ['rollbackLog:']],
    [
      edit(
        '  luks:',
        '  hostname: x\n  luks:',
        edit('/: { device: /dev/mapper/cryptfs', '/: { device: /dev/mapper/z'),
      ),
      ['hostname', '/dev/mapper/z'],
    ],
    [edit('title: LUKS', 'titel: LUKS', edit('1h30m5s', '25h')), ['imperm', 'titel', '25h']],
    [
      edit('title: LUKS', 'titel: LUKS', edit('    /nix: {', '    /nixx: {')),
      ['imperm', 'titel', 'fileSystems'],
    ],
    [edit('[/etc/nixos]', `[${twelve}]`), ['x, /p3', 'y, /p0', '/p0]']],
    [
      edit('console: [{', 'console: [{}, { class: X, reason: y }, {', edit('1h30m5s', '25h')),
      ['{}', '{}', 'X, reason', '25h'],
    ],
    ['imperm: 1\ntitle: !!binary aGk=\ninstall: { text: x }\nsystem: {}\n', ['aGk=', 'system']],
  ];
  for (const [text, snippets] of cases) {
    const lines = await problemsIn(t, text);
    const places = lines.map((line) => line.split(': ')[0]);
    const expected = snippets.map((snippet) =>
      snippet === '{}' ? placeIn(text, '{}, { class') : placeIn(text, snippet),
    );
    t.same(places, expected, snippets.join(' '), { lines });
  }
});

t.test('a wrong layout is no wrong scenario', async (t) => {
  for (const [from, to] of [
    ['before: [sysroot.mount]', 'after: [sysroot.mount]'],
    ['systemd-cryptsetup@cryptfs', 'systemd-cryptsetup@crypfs'],
    ['/etc/machine-id,', '/etc/machine_id,'],
    ['umask=0077', 'umask=0000'],
    ['/var/db/sudo', '/var/lib/my games (ü)'],
    ['  users:', '    /nix/persist: { directories: [/srv] }\n  users:'],
  ] as const) {
    const text = from.startsWith('before')
      ? edit('    after: [systemd-cryptsetup@cryptfs.service]\n', '', edit(from, to))
      : edit(from, to);
    t.same(await problemsIn(t, text), [], to);
  }
});

t.test('all problems of all files are shown at once, in their order', async (t) => {
  const text = edit(
    'timeout: 1h30m5s',
    'timeout: soon',
    edit(
      'type: ed25519',
      'typ: ed25519',
      edit('/: { device: /dev/mapper/cryptfs', '/: { device: /dev/mapper/x'),
    ),
  );
  const file = writeRecipe(t, text, { other: { 'scenario.yaml': 'imperm: 1\n', ...SCRIPTS } });
  const lines = await problemsOf(
    t,
    file,
    path.join(t.testdirName, 'other/scenario.yaml'),
    path.join(t.testdirName, 'none.yaml'),
  );
  t.same(
    lines.map((line) => line.split(': ')[0]),
    [
      'none.yaml:1:1',
      'other/scenario.yaml:1:1',
      'other/scenario.yaml:1:1',
      'other/scenario.yaml:1:1',
      `recipe/scenario.yaml:${placeIn(text, '/dev/mapper/x')}`,
      `recipe/scenario.yaml:${placeIn(text, '{ path: /persist/system/etc')}`,
      `recipe/scenario.yaml:${placeIn(text, 'typ:')}`,
      `recipe/scenario.yaml:${placeIn(text, 'soon')}`,
    ],
  );
  await t.rejects(loadScenario(file), {
    code: 'SCENARIO_INVALID',
    exitCode: 2,
    message: /4 problems in .*recipe\/scenario.yaml/,
    place: { line: Number(placeIn(text, '/dev/mapper/x').split(':')[0]) },
  });
  const twin = t.testdir({
    a: { x: { 'scenario.yaml': RECIPE, ...SCRIPTS } },
    b: { x: { 'scenario.yaml': RECIPE, ...SCRIPTS } },
  });
  const [a, b] = [path.join(twin, 'a/x/scenario.yaml'), path.join(twin, 'b/x/scenario.yaml')];
  t.match(await problemsOf(t, a, b), [/^b\/x\/scenario.yaml:1:1: the name x is taken by a\/x/]);
});

t.test('YAML that is more than plain data is refused', async (t) => {
  const bomb = [
    'a: &a0 [1, 1, 1, 1, 1, 1, 1, 1]',
    ...Array.from(
      { length: 9 },
      (_, i) =>
        `b${String(i)}: &a${String(i + 1)} [${Array.from({ length: 8 }, () => `*a${String(i)}`).join(', ')}]`,
    ),
  ].join('\n');
  for (const [text, expected] of [
    ['', /^1:1: the file is empty/],
    ['- imperm\n', /^1:1: a scenario must be a map$/],
    ['a: [\n', /^\d+:\d+: not valid YAML/],
    ['imperm: 1\nimperm: 1\n', /2:1: the same key twice/],
    ['1: a\n"1": b\n', /2:1: the same key twice/],
    ['imperm: 1\n---\nimperm: 1\n', /^2:1: a second YAML document/],
    ['title: !!js/function x\n', /1:8: YAML tags are not allowed/],
    ['title: !!binary aGk=\n', /1:17: YAML tags are not allowed/],
    ['source: !!set { a }\n', /1:15: YAML tags are not allowed/],
    ['? [a]\n: b\n', /1:3: a key must be plain text/],
    ['__proto__: { imperm: 1 }\n', /1:1: "__proto__" cannot be a key/],
    ['title: *nothing\n', /1:8: not valid YAML: Unresolved alias|1:8: the alias has no anchor/],
    ['source: &a [*a]\n', /1:13: the alias stands inside its own anchor/],
    [bomb, /more than 20000 values, those of aliases included/],
    [`title: ${'['.repeat(50)}${']'.repeat(50)}\n`, /nested deeper than 40 levels/],
    ['['.repeat(100_000), /nested deeper than 40 levels/],
    ['#'.repeat(1024 * 1024 + 1), /is larger than 1 MiB/],
    [Buffer.from('title: "\0"\n'), /holds a NUL byte/],
    [Buffer.from([0x61, 0xff, 0xfe]), /is not valid UTF-8/],
  ] as const) {
    t.match((await problemsIn(t, text)).join('\n'), expected, String(expected));
  }
  t.match(await problemsOf(t, t.testdir({})), [/^[^:]*:1:1: the scenario file .* is not a regular file/]);
  const aliased = edit(
    'options: [subvol=nix, noatime]',
    'options: *opts',
    edit('options: [subvol=root', 'options: &opts [subvol=root'),
  );
  t.match(await loadScenario(writeRecipe(t, aliased)), { name: 'recipe' }, 'an alias of plain data is fine');
  const anchors =
    'imperm: 1\nsource: &s [&t https://one]\ntitle: &t two\ninstall: { text: x }\n' +
    'system: { fileSystems: { /: { device: none, fsType: tmpfs, options: *s }, /nix: { device: /dev/vda2, fsType: ext4 } }, hostName: *t }\n';
  t.match(
    await loadScenario(writeRecipe(t, anchors)),
    { system: { hostName: 'two', fileSystems: [{ options: ['https://one'] }, {}] } },
    'an alias means the last anchor before it',
  );
});

t.test('a file that is cut off or lacks a line loads or says where it is wrong', async (t) => {
  const lines = RECIPE.split('\n');
  const texts = [
    ...Array.from({ length: Math.ceil(RECIPE.length / 17) }, (_, index) => RECIPE.slice(0, index * 17)),
    ...lines.map((_, index) => lines.filter((__, other) => other !== index).join('\n')),
    ...lines.map((line, index) => lines.with(index, line.replace(/: .*/, ':')).join('\n')),
    ...lines.map((line, index) => lines.with(index, line.replace(/[\w/.]+ ?([}\]]|$)/, '3 $1')).join('\n')),
  ];
  const file = writeRecipe(t);
  let refused = 0;
  for (const text of texts) {
    await writeFile(file, text);
    // Anything but a scenario or a list of problems is thrown on and fails the test.
    const problems = await problemsOf(t, file);
    if (problems.length > 0) refused += 1;
    const vague = problems.filter(
      (problem) => !/^recipe\/scenario\.yaml:[1-9]\d*:[1-9]\d*: \S/.test(problem),
    );
    t.same(vague, [], 'every line says where');
  }
  t.ok(refused > texts.length / 2, `${String(refused)} of ${String(texts.length)} refused`);
});

t.test('a scenario extends another one', async (t) => {
  const small = `imperm: 1
extends: ../recipe/scenario.yaml
title: the same without a rollback
system:
  rollback: null
  fileSystems:
    /home: { options: [subvol=home, noatime] }
    /srv: { device: /dev/vdb, fsType: ext4 }
promises: { gone: [/], rollbackLog: null }
`;
  const smaller = 'imperm: 1\nextends: ./small.yaml\nmachine: { cpus: 1 }\ninstall: own.sh\n';
  const file = writeRecipe(t, RECIPE, {
    bugs: { 'small.yaml': small, 'smaller.yaml': smaller, 'own.sh': 'true\n' },
  });
  const folder = path.join(path.dirname(file), '../bugs');
  const scenario = await loadScenario(path.join(folder, 'smaller.yaml'));
  t.equal(scenario.name, 'smaller');
  t.equal(scenario.title, 'the same without a rollback');
  t.same(scenario.machine, { memoryMiB: 3072, cpus: 1 });
  t.equal(scenario.install?.text, 'true\n', 'a script is looked up beside the file that names it');
  t.notOk(scenario.system.rollback, 'null removes');
  t.notMatch(ids(scenario).join(' '), /rollback|gone:\/opt/, 'lists replace');
  const shown = (name: string): string => path.join(path.relative('', path.dirname(file)), name);
  const places = Object.fromEntries(
    scenario.promises.map(({ id, place }) => [
      id,
      `${place.file}:${String(place.line)}:${String(place.col)}`,
    ]),
  );
  t.match(places, {
    'gone:/': `${shown('../bugs/small.yaml')}:${placeIn(small, '/], rollback')}`,
    'root-wiped': `${shown('../bugs/small.yaml')}:${placeIn(small, '/], rollback')}`,
    'mounted:/srv': `${shown('../bugs/small.yaml')}:${placeIn(small, '/srv')}`,
    'mounted:/nix': `${shown('scenario.yaml')}:${placeIn(RECIPE, '/nix:')}`,
    'kept:/etc/nixos': `${shown('scenario.yaml')}:${placeIn(RECIPE, '/etc/nixos]')}`,
  });
  const home = scenario.system.fileSystems.find((each) => each.mountPoint === '/home');
  t.same([home?.fsType, home?.options], ['btrfs', ['subvol=home', 'noatime']], 'maps merge');

  const bad = t.testdir({
    'a.yaml': 'imperm: 1\nextends: b.yaml\n',
    'b.yaml': 'imperm: 1\n\nextends: a.yaml\n',
    'gone.yaml': 'imperm: 1\nextends: nowhere.yaml\n',
    'version.yaml': 'extends: base.yaml\n',
    'typo.yaml': 'imperm: 1\nextends: base.yaml\nsystem:\n  rolback: null\n',
    'inherited.yaml': 'imperm: 1\nextends: broken.yaml\ntitle: x\n',
    'absolute.yaml': 'imperm: 1\nextends: /etc/x.yaml\n',
    ...Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [
        `long${String(index)}.yaml`,
        `imperm: 1\nextends: long${String(index + 1)}.yaml\n`,
      ]),
    ),
    'list.yaml': 'imperm: 1\nextends: items.yaml\n',
    'items.yaml': '- x\n',
    'Bad Name.yaml': RECIPE,
    'base.yaml': RECIPE,
    'broken.yaml': edit('type: ed25519', 'type: dsa'),
    ...SCRIPTS,
  });
  const problems = (name: string): Promise<string[]> => problemsOf(t, path.join(bad, name));
  t.match(await problems('a.yaml'), [/^b.yaml:3:10: extends goes round in a circle: a.yaml extends itself/]);
  t.match(await problems('gone.yaml'), [/^gone.yaml:2:10: the scenario file nowhere.yaml does not exist/]);
  t.match(await problems('version.yaml'), [/^version.yaml:1:1: imperm is missing/]);
  t.match(await problems('typo.yaml'), [
    /^typo.yaml:4:3: system.rolback is null, but there is nothing to remove/,
  ]);
  t.match(await problems('long0.yaml'), [/^long9.yaml:2:10: extends goes over more than 10 files/]);
  t.match(await problems('list.yaml'), [/^items.yaml:1:1: a scenario must be a map/]);
  t.match(await problems('Bad Name.yaml'), [/^Bad Name.yaml:1:1: the scenario's name would be "Bad Name"/]);
  t.match(await problems('inherited.yaml'), [/^broken.yaml:\d+:\d+: system.openssh.hostKeys\[0\].type/]);
  t.match(
    (await problems('absolute.yaml')).join('\n'),
    /absolute.yaml:2:10: extends must be the relative path/,
  );
});

t.test('a script cannot be a file from elsewhere', async (t) => {
  const file = writeRecipe(t, edit('install: install.sh', 'install: link.sh'), { 'secret.sh': 'secret\n' });
  const folder = path.dirname(file);
  await symlink('../secret.sh', path.join(folder, 'link.sh'));
  t.match(await problemsOf(t, file), [/link.sh is a link, and what it leads to lies outside/]);
  await writeFile(file, edit('install: install.sh', 'install: inner.sh'));
  await symlink('install.sh', path.join(folder, 'inner.sh'));
  t.equal(
    (await loadScenario(file)).install?.text,
    SCRIPTS['install.sh'],
    'a link within the folder is fine',
  );
  await writeFile(file, edit('install: install.sh', 'install: folder'));
  await mkdir(path.join(folder, 'folder'));
  t.match(await problemsOf(t, file), [/folder is not a regular file/]);
  await writeFile(path.join(folder, 'install.sh'), ' \n');
  await writeFile(file, RECIPE);
  t.match(await problemsOf(t, file), [/install.sh is empty/]);
});

async function loadFile(file: string): Promise<ScenarioFile> {
  const [scenario] = await loadScenarios([file]);
  if (scenario === undefined) throw new Error('nothing was loaded');
  return scenario;
}

t.test('variants are the combinations of the axes', async (t) => {
  const scenario = await loadFile(writeRecipe(t));
  const variants = selectVariants([scenario], { spread: 'full' });
  t.same(
    variants.map((each) => each.id),
    ['recipe[disk=virtio]', 'recipe[disk=nvme]'],
  );
  t.same(
    variants.map((each) => each.scenario.disks.map((disk) => disk.bus)),
    [
      ['virtio', 'virtio'],
      ['nvme', 'nvme'],
    ],
  );
  t.match(selectVariants([scenario], { filter: { disk: 'nvme' } }), [
    { id: 'recipe[disk=nvme]', axes: { disk: 'nvme' }, choices: ['disk=nvme'] },
  ]);
  t.equal(selectVariants([scenario], { spread: 'once' }).length, 1);
  t.throws(() => selectVariants([scenario], { filter: { disk: 'scsi' } }), {
    code: 'USAGE',
    message: /no value "scsi"/,
    hint: /virtio, nvme/,
  });
  t.throws(() => selectVariants([scenario], { filter: { bus: 'nvme' } }), {
    code: 'USAGE',
    message: /no axis "bus"/,
    hint: /disk/,
  });
  t.throws(() => selectVariants([scenario], { filter: { constructor: 'x' } }), { code: 'USAGE' });
});

const WIDE = edit(
  'matrix: { disk: [virtio, nvme] }',
  'matrix: { stage1: [systemd, scripted], disk: [virtio, nvme], sectorSize: [512, 4096], luks: [passphrase, key-file, tpm2, none], firmware: [uefi, secure-boot] }',
);

t.test('few variants hold every pair of values, and what NixOS cannot do is no variant', async (t) => {
  const scenario = await loadFile(writeRecipe(t, WIDE));
  const all = selectVariants([scenario], { spread: 'full' });
  t.equal(all.length, (2 * 2 * 2 * 4 - 4) * 2, 'scripted stage 1 knows no TPM');
  const few = selectVariants([scenario]);
  const pairs = (variants: typeof all): string[] => [
    ...new Set(
      variants.flatMap(({ axes }) => {
        const values = Object.entries(axes).map(([axis, value]) => `${axis}=${value}`);
        return values.flatMap((one, index) => values.slice(index + 1).map((other) => `${one} ${other}`));
      }),
    ),
  ];
  t.strictSame(pairs(few).sort(), pairs(all).sort());
  t.ok(few.length <= 11, `${String(few.length)} of ${String(all.length)} variants`);
  t.equal(few[0]?.id, all[0]?.id, 'what is written first is always tried');
  t.throws(() => selectVariants([scenario], { filter: { stage1: 'scripted', luks: 'tpm2' } }), {
    message: /no variant with stage1=scripted and luks=tpm2/,
  });
});

t.test('over several scenarios every value is tried with each, and every pair once', async (t) => {
  const one = await loadFile(writeRecipe(t, WIDE));
  const other = { ...one, name: 'other', variants: one.variants.map((variant) => ({ ...variant })) };
  const scenarios = [one, other];
  const chosen = selectVariants(scenarios);
  for (const [index, scenario] of scenarios.entries()) {
    const own = chosen.filter((variant) => scenario.variants.includes(variant));
    t.ok(own.length < selectVariants([scenario]).length, 'fewer than alone');
    for (const [axis, values] of Object.entries(scenario.axes)) {
      const tried = new Set(own.map(({ axes }) => Object.entries(axes).find(([name]) => name === axis)?.[1]));
      t.strictSame([...tried].sort(), values.map(String).sort(), `${String(index)}: ${axis}`);
    }
  }
});

t.test('an axis changes the system and what it promises', async (t) => {
  const scenario = await loadFile(writeRecipe(t, WIDE));
  const at = (filter: Record<string, string>): Scenario => {
    const [variant] = selectVariants([scenario], { filter, spread: 'once' });
    if (variant === undefined) throw new Error('there is no such variant');
    return variant.scenario;
  };
  const bare = at({ luks: 'none', sectorSize: '4096', stage1: 'scripted' });
  t.strictSame(bare.system.luks, []);
  t.equal(
    bare.system.fileSystems.find(({ mountPoint }) => mountPoint === '/')?.device,
    '/dev/disk/by-partlabel/cryptfs',
    'what was encrypted lies on the bare partition',
  );
  t.notOk(bare.promises.some(({ kind }) => kind === 'unlocked'));
  t.equal(bare.system.secureBoot, undefined);
  t.notOk(bare.promises.some(({ kind }) => kind === 'secure-boot'));
  const signed = at({ firmware: 'secure-boot' });
  t.match(
    signed.promises.find(({ kind }) => kind === 'secure-boot'),
    { id: 'secure-boot', place: { line: 5 } },
    'promised where the matrix says it',
  );
  t.match(signed.system.secureBoot, { place: { line: 5 } });
  t.strictSame(
    bare.disks.map(({ sectorBytes }) => sectorBytes),
    [4096, 4096],
  );
  t.equal(bare.system.stage1, 'scripted');
  t.match(
    at({ luks: 'tpm2' }).promises.find(({ kind }) => kind === 'unlocked'),
    { by: 'tpm2' },
  );
});

t.test('mistakes in a matrix and in what is expected are shown', async (t) => {
  const cases: [string, RegExp][] = [
    [edit('[virtio, nvme]', '[virtio, virtio]'), /matrix.disk has "virtio" twice/],
    [
      edit('matrix: { disk', 'matrix: { luks: [tpm2], stage1: [scripted], disk'),
      /scripted stage 1 knows nothing of TPMs/,
    ],
    [
      edit('matrix: { disk', 'matrix: { sectorSize: [1024], disk'),
      /matrix.sectorSize\[0\] must be one of 512, 4096/,
    ],
    [
      edit('matrix: { disk', 'matrix: { firmware: [uefi, secure-boot], disk').replace(
        'steps: [boot, reboot',
        'steps: [boot, hibernate, reboot',
      ),
      /scenario\.yaml:5:\d+.*matrix\.firmware has secure-boot, and steps hibernate/,
    ],
    [
      `${RECIPE}expect: { verdict: known-bug, reason: it does not wipe, broken: [root-wipd] }\n`,
      /expect.broken names "root-wipd", which the scenario does not promise/,
    ],
    [
      edit(
        '[{ device: /dev/disk/by-partlabel/swap }]',
        '[{ device: /dev/disk/by-uuid/1, randomEncryption: true }]',
      ),
      /labels and UUIDs are overwritten at every boot/,
    ],
    [edit('steps: [boot, reboot', 'steps: [boot, { run: none.sh }, reboot'), /none.sh .*does not exist/],
  ];
  for (const [text, pattern] of cases) {
    t.match((await problemsOf(t, writeRecipe(t, text))).join('\n'), pattern);
  }
});

t.test('scripts of steps and checks are read', async (t) => {
  const text = edit('steps: [boot, reboot', 'steps: [boot, { run: install.sh }, reboot').replace(
    'promises:\n',
    'promises:\n  checks: [{ name: x, title: X works, script: { text: "true" }, fromBoot: 2 }]\n',
  );
  const scenario = await loadScenario(writeRecipe(t, text));
  t.match(scenario.steps[1], { kind: 'run', script: { text: SCRIPTS['install.sh'] } });
  t.match(
    scenario.promises.find(({ kind }) => kind === 'check'),
    { id: 'check:x', fromBoot: 2, script: { text: 'true' } },
  );
});

t.test('power is cut in a boot before the first, and in a later one', async (t) => {
  const cuts = '[{ power-cut-at: Growing }, boot, { power-cut-at: one }, { power-cut-at: two }, power-cut,';
  const { steps } = await loadScenario(writeRecipe(t, edit('[boot, reboot,', cuts)));
  t.strictSame(
    steps.map((step) => (step.kind === 'power-cut-at' ? step.text : step.kind)),
    ['Growing', 'boot', 'one', 'two', 'power-cut', 'power-off'],
  );
  t.match(steps[0], { place: { col: 9 } });
});

t.test('every scenario of the repository loads', async (t) => {
  const found = await readdir('scenarios', { recursive: true });
  const files = found.filter((file) => path.basename(file) === 'scenario.yaml');
  t.ok(files.length >= 12);
  const scenarios = await loadScenarios(files.map((file) => path.join('scenarios', file)));
  t.equal(scenarios.length, files.length);
});

t.test('scenarios are found one folder deep', async (t) => {
  const folder = t.testdir({
    b: { 'scenario.yaml': '' },
    a: { 'scenario.yaml': '', deep: { 'scenario.yaml': '' } },
    bugs: { 'x.yaml': '' },
    'scenario.yaml': '',
  });
  t.same(await findScenarios(folder), [
    path.join(folder, 'a/scenario.yaml'),
    path.join(folder, 'b/scenario.yaml'),
  ]);
  await t.rejects(findScenarios(path.join(folder, 'none')), { code: 'USAGE' });
});

t.test('the JSON Schema for editors is up to date and fits', async (t) => {
  const file = 'scenarios/scenario.schema.json';
  const schema = scenarioJsonSchema();
  t.same(JSON.parse(await readFile(file, 'utf8')), schema, `${file} is what scenarioJsonSchema() makes`);
  const definitions = schema['definitions'] as Record<string, Record<string, unknown>>;
  const validator = (name: string) => z.fromJSONSchema({ ...definitions[name] });
  const whole = validator('whole');
  t.ok(whole.safeParse(parse(RECIPE)).success, 'it accepts the recipe');
  t.notOk(whole.safeParse(parse(edit('fsType: vfat', 'fstype: vfat'))).success, 'it knows the keys');
  t.notOk(whole.safeParse({ imperm: 1, extends: 'x.yaml' }).success, 'a whole scenario needs its parts');
  for (const [, pattern] of JSON.stringify(schema).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)) {
    t.doesNotThrow(
      () => new RegExp(JSON.parse(pattern ?? '') as string, 'u'),
      'editors read patterns as Unicode ones',
    );
  }
  const difference = validator('difference');
  t.ok(
    difference.safeParse({
      imperm: 1,
      extends: 'x.yaml',
      system: { rollback: null, fileSystems: { '/home': null } },
    }).success,
  );
  t.notOk(difference.safeParse({ imperm: 1, extends: 'x.yaml', system: { rolback: null } }).success);
  t.notOk(difference.safeParse({ extends: 'x.yaml' }).success);
});

t.test('a fault has one name, a place at which the machine is off, and what it works on', async (t) => {
  const steps = (text: string): string => edit('[boot, reboot, power-off]', text);
  const cases: [steps: string, message: RegExp][] = [
    ['[boot, { fault: { delet-subvolume: root } }, reboot, power-off]', /Did you mean "delete-subvolume"/],
    ['[boot, { fault: {} }, reboot, power-off]', /a fault has one name/],
    ['[boot, { fault: { fill: /home, clock: {} } }, reboot, power-off]', /a fault has one name/],
    [
      '[boot, { fault: { fill: /home } }, { run: { text: x } }, reboot, power-off]',
      /needs the machine to be off/,
    ],
    ['[boot, reboot, { fault: { fill: /home } }, power-off]', /needs the machine to be off/],
    ['[boot, { fault: { fill: /tmp } }, reboot, power-off]', /\/tmp is not the mount point of a file system/],
    ['[boot, { fault: { delete-subvolume: /root } }, reboot, power-off]', /must be the path of a subvolume/],
    ['[boot, { fault: { delete-subvolume: a/../b } }, reboot, power-off]', /must be the path of a subvolume/],
    [
      '[boot, { fault: { detach-disk: other } }, reboot, power-off]',
      /no disk "other"; the disks are: main, spare/,
    ],
    ['[boot, { fault: { clock: { at: "2000-13-01" } } }, reboot, power-off]', /must be a date/],
    ['[boot, { fault: { clock: { behind: 1h, ahead: 1h } } }, reboot, power-off]', /one of them/],
    ['[boot, { fault: { passphrase: { wrong: 9 } } }, reboot, power-off]', /must be at most 5/],
    ['[boot, { fault: { run-on-disk: none.sh } }, reboot, power-off]', /none\.sh/],
    ['[{ fault: { fill: / } }, install, boot, reboot, power-off]', /before install there is no file system/],
    [
      '[{ fault: { slow-disk: {} } }, install, boot, reboot, power-off]',
      /not the installer: put it after install/,
    ],
    ['[boot, install, reboot, power-off]', /install can only be the first step/],
    [
      '[{ power-cut-at: x, during: shutdown }, boot, reboot, power-off]',
      /only a running system can shut down/,
    ],
  ];
  for (const [given, message] of cases) {
    const lines = await problemsIn(t, steps(given));
    t.equal(lines.length, 1, `one problem: ${given}`);
    t.match(lines[0], message, given);
  }
  const scenario = await loadScenario(
    writeRecipe(
      t,
      steps(
        '[{ fault: { overwrite: { device: /dev/vda, size: 4KiB } } }, install, ' +
          '{ fault: { slow-disk: { bytesPerSecond: 4KiB } } }, { fault: { plant-subvolumes: ["root/a b"] } }, boot, ' +
          '{ fault: { clock: { behind: 1h } } }, reboot, { power-cut-at: x, during: shutdown }, power-cut, power-off, ' +
          '{ fault: { overwrite: { device: /dev/vda, size: 1MiB } } }]',
      ),
    ),
  );
  t.match(
    scenario.steps.flatMap((step) => (step.kind === 'fault' ? [step.fault] : [])),
    [
      { kind: 'overwrite', offset: 0, sizeBytes: 4096 },
      { kind: 'slow-disk', disk: 'main', bytesPerSecond: 4096, title: 'slow the disk main down to 4 KiB/s' },
      { kind: 'plant-subvolumes', subvolumes: ['root/a b'] },
      { kind: 'clock', shiftMs: -3_600_000, title: 'set the clock 3600 s behind the time' },
      { kind: 'overwrite', offset: 0, sizeBytes: 1_048_576 },
    ],
  );
  const known = 'title: y\nexpect: { verdict: known-bug, symptom: seen, reason: z, broken: [boots] }';
  const oneBoot = steps('[boot, power-off]').replace(/^title: .*$/m, known);
  const { knownBug } = await loadScenario(writeRecipe(t, oneBoot));
  t.match(knownBug, { symptom: 'seen' }, 'a known bug may show in the first boot');
});

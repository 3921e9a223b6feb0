// Each lint on a layout with just that fault, and on the same without it; and all of them on every scenario that is shipped.
import { readdir } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';

import { repositoryRoot } from '../core/index.js';
import { loadScenarios, type ScenarioFile } from '../scenario/index.js';
import { lintFile, lintScenario, LINTS, UNUSED_EXCEPTION } from './index.js';

const SCENARIOS = path.join(repositoryRoot, 'scenarios');

/** A layout in which nothing is found, in either kind of stage 1. */
const SOUND = `imperm: 1
title: A sound layout
matrix: { stage1: [systemd, scripted] }
install: install.sh
system:
  luks: { crypt-fs: { device: /dev/disk/by-partlabel/crypt } }
  fileSystems:
    /: { device: /dev/mapper/crypt-fs, fsType: btrfs, options: [subvol=root] }
    /nix: { device: /dev/mapper/crypt-fs, fsType: btrfs, options: [subvol=nix] }
    /persist: { device: /dev/mapper/crypt-fs, fsType: btrfs, options: [subvol=persist], neededForBoot: true }
    /data: { device: /dev/disk/by-partlabel/data, fsType: ext4 }
    /boot: { device: /dev/disk/by-label/ESP, fsType: vfat, options: [umask=0077] }
  swapDevices: [{ device: /dev/disk/by-partuuid/1, randomEncryption: true }]
  rollback:
    after: ['systemd-cryptsetup@crypt\\x2dfs.service', local-fs-pre.target]
    before: [sysroot.mount]
    requiredBy: [sysroot.mount]
    remainAfterExit: true
    blankSnapshot: root-blank
    script: rollback.sh
    scripted: { hook: postResumeCommands, order: after }
  persistence:
    /persist:
      directories: [/etc/nixos, /var/lib/nixos]
      files: [/etc/machine-id]
  users: { alice: { isNormalUser: true, hashedPasswordFile: /persist/alice } }
`;

const ROLLBACK = `mkdir -p /mnt
mount -o subvol=/ /dev/mapper/crypt-fs /mnt
[ ! -e /mnt/root ] || [ "$(stat -c %i /mnt/root)" = 256 ] || exit 1
[ "$(btrfs property get -ts /mnt/root-blank ro)" = ro=true ] || exit 1
wipe() {
  btrfs property set -ts "/mnt/$1" ro false
  btrfs subvolume list -o "/mnt/$1" | cut -f 9- -d ' ' | while IFS= read -r child; do
    wipe "$child" || return 1
  done || return 1
  btrfs subvolume delete "/mnt/$1"
}
if [ -e /mnt/root ]; then wipe root || exit 1; fi
btrfs subvolume snapshot /mnt/root-blank /mnt/root || exit 1
umount /mnt
`;

const INSTALL = 'mkfs.vfat -n ESP /dev/vda1\nmkfs.btrfs -L system /dev/vda2\n';

/** A text with one part replaced, which has to be there. */
function edit(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`not in the text: ${from}`);
  return text.replace(from, () => to);
}

async function load(
  t: Test,
  files: { scenario?: string; rollback?: string; install?: string },
): Promise<ScenarioFile> {
  const folder = t.testdir({
    layout: {
      'scenario.yaml': files.scenario ?? SOUND,
      'rollback.sh': files.rollback ?? ROLLBACK,
      'install.sh': files.install ?? INSTALL,
    },
  });
  const [file] = await loadScenarios([path.join(folder, 'layout/scenario.yaml')]);
  if (file === undefined) throw new Error('nothing was loaded');
  return file;
}

interface Fault {
  readonly lint: string;
  readonly what: string;
  readonly in?: 'scenario' | 'rollback' | 'install';
  readonly from: string;
  readonly to: string;
  /** `line:col`, in the file that was changed. */
  readonly at?: string;
  /** Kinds of stage 1 in which it is found. */
  readonly stages: readonly string[];
  /** Others that follow from the same change. */
  readonly also?: readonly string[];
}

const BOTH = ['systemd', 'scripted'];
const LIST = `  btrfs subvolume list -o "/mnt/$1" | cut -f 9- -d ' ' | while IFS= read -r child; do
    wipe "$child" || return 1
  done || return 1
`;

const FAULTS: readonly Fault[] = [
  {
    lint: 'unit-missing',
    what: 'another mapper',
    from: 'crypt\\x2dfs.service',
    to: 'cryptfs.service',
    at: '15:13',
    stages: ['systemd'],
  },
  {
    lint: 'unit-missing',
    what: 'a device of that',
    from: "'systemd-cryptsetup@crypt\\x2dfs.service'",
    to: 'dev-mapper-cryptfs.device',
    stages: ['systemd'],
  },
  {
    lint: 'unit-missing',
    what: 'a target misspelt',
    from: 'local-fs-pre.target',
    to: 'local-fs-pre.target, initrd-root-devices.target',
    at: '15:76',
    stages: ['systemd'],
  },
  {
    lint: 'unit-missing',
    what: 'a mount that stage 1 does not make',
    from: '[sysroot.mount]',
    to: '[sysroot.mount, sysroot-data.mount]',
    stages: ['systemd'],
  },
  {
    lint: 'unit-unescaped',
    what: 'the service',
    from: 'crypt\\x2dfs.service',
    to: 'crypt-fs.service',
    at: '15:13',
    stages: ['systemd'],
  },
  {
    lint: 'unit-unescaped',
    what: 'the device',
    from: "'systemd-cryptsetup@crypt\\x2dfs.service'",
    to: 'dev-mapper-crypt-fs.device',
    stages: ['systemd'],
  },
  {
    lint: 'unit-unescaped',
    what: 'a device by its label',
    from: 'requiredBy',
    to: 'requires: [dev-disk-by-partlabel-crypt.device]\n    requiredBy',
    stages: ['systemd'],
  },
  {
    lint: 'rollback-never-started',
    what: 'by a target of the booted system',
    from: 'requiredBy: [sysroot.mount]',
    to: 'wantedBy: [multi-user.target]',
    at: '17:16',
    stages: ['systemd'],
    also: ['rollback-fails-open'],
  },
  {
    lint: 'rollback-after-mount',
    what: 'after sysroot.mount',
    from: 'local-fs-pre.target',
    to: 'sysroot.mount',
    stages: ['systemd'],
  },
  {
    lint: 'rollback-after-mount',
    what: 'in no order',
    from: 'before: [sysroot.mount]',
    to: 'before: [initrd.target]',
    at: '16:14',
    stages: ['systemd'],
  },
  {
    lint: 'rollback-after-mount',
    what: 'in the last hook',
    from: 'postResumeCommands',
    to: 'postMountCommands',
    stages: ['scripted'],
  },
  {
    lint: 'rollback-before-unlock',
    what: 'after nothing',
    from: "'systemd-cryptsetup@crypt\\x2dfs.service', ",
    to: '',
    stages: ['systemd'],
  },
  {
    lint: 'rollback-before-unlock',
    what: 'in the first hook',
    from: 'postResumeCommands',
    to: 'preDeviceCommands',
    stages: ['scripted'],
  },
  {
    lint: 'rollback-before-unlock',
    what: 'before what unlocks',
    from: 'postResumeCommands, order: after',
    to: 'preLVMCommands, order: before',
    stages: ['scripted'],
  },
  {
    lint: 'mount-late',
    what: 'what is bound',
    from: '    /data:',
    to: '    /var/log: { device: /data/log, fsType: none, options: [bind] }\n    /data:',
    stages: BOTH,
  },
  {
    lint: 'label-ambiguous',
    what: 'two kinds',
    from: '/dev/disk/by-partlabel/data',
    to: '/dev/disk/by-label/ESP',
    stages: BOTH,
  },
  {
    lint: 'label-ambiguous',
    what: 'given twice',
    in: 'install',
    from: '-L system',
    to: '-L ESP',
    stages: BOTH,
  },
  {
    lint: 'esp-world-readable',
    what: 'no mask',
    from: 'options: [umask=0077]',
    to: 'options: []',
    at: '12:5',
    stages: BOTH,
  },
  { lint: 'esp-world-readable', what: 'only for files', from: 'umask=0077', to: 'fmask=0077', stages: BOTH },
  { lint: 'swap-in-the-clear', what: 'no key', from: ', randomEncryption: true', to: '', stages: BOTH },
  {
    lint: 'machine-id-forgotten',
    what: 'not named',
    from: 'files: [/etc/machine-id]',
    to: 'files: [/etc/adjtime]',
    stages: BOTH,
  },
  {
    lint: 'machine-id-link',
    what: 'by a rule of tmpfiles',
    from: 'files: [/etc/machine-id]',
    to: 'files: []\n  tmpfiles: [L /etc/machine-id - - - - /persist/etc/machine-id]',
    stages: BOTH,
  },
  {
    lint: 'machine-id-link',
    what: 'by environment.etc',
    from: 'files: [/etc/machine-id]',
    to: 'files: []\n  etc: { machine-id: { source: /persist/etc/machine-id } }',
    stages: BOTH,
  },
  { lint: 'ids-forgotten', what: 'not named', from: ', /var/lib/nixos', to: '', stages: BOTH },
  { lint: 'file-replaced', what: 'a file', from: 'files: [', to: 'files: [/etc/shadow, ', stages: BOTH },
  {
    lint: 'file-replaced',
    what: 'a link',
    from: '  users:',
    to: '  tmpfiles: [L /var/lib/NetworkManager/timestamps - - - - /persist/timestamps]\n  users:',
    stages: BOTH,
  },
  { lint: 'script-unreadable', what: 'an open brace', in: 'rollback', from: '\n}\n', to: '\n', stages: BOTH },
  {
    lint: 'tool-missing',
    what: 'grep',
    in: 'rollback',
    from: "cut -f 9- -d ' '",
    to: 'grep -o path',
    stages: ['systemd'],
  },
  {
    lint: 'tool-missing',
    what: '--mkdir',
    in: 'rollback',
    from: 'mount -o',
    to: 'mount --mkdir -o',
    at: '2:1',
    stages: ['scripted'],
  },
  {
    lint: 'tool-missing',
    what: 'findmnt',
    in: 'rollback',
    from: 'umount /mnt',
    to: 'findmnt /mnt',
    stages: BOTH,
  },
  {
    lint: 'root-may-be-directory',
    what: 'not looked',
    in: 'rollback',
    from: '[ "$(stat -c %i /mnt/root)" = 256 ] ||',
    to: 'true ||',
    at: '7:3',
    stages: BOTH,
  },
  {
    lint: 'blank-unchecked',
    what: 'not looked',
    in: 'rollback',
    from: '[ "$(btrfs property get -ts /mnt/root-blank ro)" = ro=true ] || exit 1\n',
    to: '',
    stages: BOTH,
  },
  {
    lint: 'nested-left',
    what: 'one level',
    in: 'rollback',
    from: 'wipe "$child" || return 1',
    to: 'btrfs subvolume delete "/mnt/$child"',
    stages: BOTH,
  },
  { lint: 'nested-left', what: 'no level', in: 'rollback', from: LIST, to: '', stages: BOTH },
  {
    lint: 'read-only-parent',
    what: 'not made writable',
    in: 'rollback',
    from: '  btrfs property set -ts "/mnt/$1" ro false\n',
    to: '',
    at: '9:3',
    stages: BOTH,
  },
  {
    lint: 'name-with-space',
    what: 'one field',
    in: 'rollback',
    from: '-f 9-',
    to: '-f 9',
    at: '7:39',
    stages: BOTH,
  },
  {
    lint: 'name-with-space',
    what: 'awk',
    in: 'rollback',
    from: "cut -f 9- -d ' '",
    to: "awk '{ print $NF }'",
    stages: BOTH,
    also: ['tool-missing'],
  },
  {
    lint: 'log-before-mount',
    what: 'the first line',
    in: 'rollback',
    from: 'mkdir -p /mnt',
    to: 'echo begun >/mnt/log',
    at: '1:1',
    stages: BOTH,
  },
  {
    lint: 'rollback-fails-open',
    what: 'only wanted',
    from: 'requiredBy: [sysroot.mount]',
    to: 'wantedBy: [initrd.target]',
    at: '17:16',
    stages: ['systemd'],
  },
];

t.test('nothing is found in a sound layout', async (t) => {
  t.strictSame(lintFile(await load(t, {})), []);
});

for (const fault of FAULTS) {
  t.test(`${fault.lint}: ${fault.what}`, async (t) => {
    const where = fault.in ?? 'scenario';
    const texts = { scenario: SOUND, rollback: ROLLBACK, install: INSTALL };
    const file = await load(t, { [where]: edit(texts[where], fault.from, fault.to) });
    const found = lintFile(file).filter(({ lint }) => fault.also?.includes(lint) !== true);
    t.strictSame([...new Set(found.map(({ lint }) => lint))], [fault.lint]);
    const [finding] = found;
    t.strictSame(
      [...new Set(found.flatMap(({ variants }) => variants.map(({ axes }) => axes.stage1)))],
      fault.stages,
    );
    if (fault.at !== undefined && finding !== undefined)
      t.equal(`${String(finding.place.line)}:${String(finding.place.col)}`, fault.at);
  });
}

t.test('faults that take more than one change', async (t) => {
  const find = async (test: Test, files: Parameters<typeof load>[1]): Promise<string[]> => [
    ...new Set(lintFile(await load(test, files)).map(({ lint }) => lint)),
  ];
  t.test('rollback-before-resume', async (t) => {
    const swap = edit(SOUND, '/dev/disk/by-partuuid/1, randomEncryption: true', '/dev/mapper/swap');
    const encrypted = edit(swap, 'luks: {', 'luks: { swap: { device: /dev/disk/by-partlabel/swap },');
    t.strictSame(await find(t, { scenario: encrypted }), [], 'encrypted swap, in the right order');
    t.strictSame(await find(t, { scenario: edit(encrypted, ', local-fs-pre.target', '') }), [
      'rollback-before-resume',
    ]);
    t.strictSame(await find(t, { scenario: edit(encrypted, 'postResumeCommands', 'postDeviceCommands') }), [
      'rollback-before-resume',
    ]);
    t.strictSame(
      await find(t, { scenario: edit(SOUND, ', local-fs-pre.target', '') }),
      [],
      'nothing to sleep on',
    );
  });
  t.test('root-missing-fatal', async (t) => {
    const plain = edit(ROLLBACK, 'if [ -e /mnt/root ]; then wipe root || exit 1; fi', 'wipe root');
    const blind = edit(
      plain,
      '[ ! -e /mnt/root ] || [ "$(stat -c %i /mnt/root)" = 256 ] || exit 1',
      'stat -c %i /mnt',
    );
    t.strictSame(await find(t, { rollback: blind }), ['root-missing-fatal']);
    t.strictSame(await find(t, { rollback: edit(blind, 'wipe root', 'wipe root || true') }), []);
  });
  t.test('unlock-times-out', async (t) => {
    const byUuid = SOUND.replaceAll('/dev/mapper/crypt-fs', '/dev/disk/by-uuid/1');
    t.strictSame(await find(t, { scenario: byUuid }), ['unlock-times-out']);
    const root = edit(SOUND, '/: { device: /dev/mapper/crypt-fs', '/: { device: /dev/disk/by-label/root');
    t.strictSame(
      await find(t, { scenario: root }),
      ['unlock-times-out'],
      'the rollback waits for what it is in',
    );
    const patient = byUuid.replaceAll(
      'options: [subvol=',
      'options: [x-systemd.device-timeout=infinity, subvol=',
    );
    t.strictSame(await find(t, { scenario: patient }), []);
  });
  t.test('rollback-fails-open in scripted stage 1', async (t) => {
    t.strictSame(
      await find(t, { rollback: ROLLBACK.replaceAll('exit 1', 'false').replaceAll('|| false', '') }),
      ['rollback-fails-open'],
    );
  });
  t.test('a root that is moved away first may be deleted in any way', async (t) => {
    const moving = edit(
      ROLLBACK,
      'if [ -e /mnt/root ]; then wipe root || exit 1; fi',
      'mv /mnt/root /mnt/old; wipe old || exit 1',
    );
    t.strictSame(await find(t, { rollback: moving }), []);
  });
  t.test('tools that the configuration brings, or that are asked for first', async (t) => {
    const asks = edit(ROLLBACK, 'umount /mnt', 'if command -v findmnt; then findmnt; fi');
    t.strictSame(await find(t, { rollback: asks }), []);
  });
  t.end();
});

t.test('an exception takes a finding out, and one that is not needed is a finding', async (t) => {
  const swap = edit(SOUND, ', randomEncryption: true', '');
  const text = (name: string): string => `${swap}lint: { without: { ${name}: nobody takes this disk } }\n`;
  const [excepted, ...others] = lintFile(await load(t, { scenario: text('swap-in-the-clear') }));
  t.match(excepted, { lint: 'swap-in-the-clear', excepted: 'nobody takes this disk' });
  t.strictSame(others, []);
  const unused = lintFile(await load(t, { scenario: text('ids-forgotten') })).find(
    ({ lint }) => lint === UNUSED_EXCEPTION,
  );
  t.match(unused?.message, /"ids-forgotten", which finds nothing here/);
  const unknown = lintFile(await load(t, { scenario: text('swap-in-the-claer') })).find(
    ({ lint }) => lint === UNUSED_EXCEPTION,
  );
  t.match(unknown?.message, /there is no such lint. Did you mean "swap-in-the-clear"\?/);
});

t.test('an exception that a scenario takes over has not to be needed in it', async (t) => {
  const folder = t.testdir({
    base: {
      'scenario.yaml': `${edit(SOUND, ', randomEncryption: true', '')}lint: { without: { swap-in-the-clear: x } }\n`,
      'rollback.sh': ROLLBACK,
      'install.sh': INSTALL,
    },
    upper: {
      'scenario.yaml':
        'imperm: 1\ntitle: Without swap\nextends: ../base/scenario.yaml\nsystem: { swapDevices: [] }\n',
    },
  });
  const [file] = await loadScenarios([path.join(folder, 'upper/scenario.yaml')]);
  t.strictSame(file === undefined ? undefined : lintFile(file), []);
});

async function shipped(): Promise<ReadonlyMap<string, ScenarioFile>> {
  const found = await readdir(SCENARIOS, { recursive: true });
  const names = found
    .filter((file) => path.basename(file) === 'scenario.yaml')
    .map((file) => path.dirname(file))
    .sort();
  const files = await loadScenarios(names.map((name) => path.join(SCENARIOS, name, 'scenario.yaml')));
  return new Map(names.map((name, index) => [name, files[index]] as [string, ScenarioFile]));
}

t.test('each lint is shown by a scenario in which it fires and in which promises are broken', async (t) => {
  const scenarios = await shipped();
  const missing = new Set<string>();
  for (const { name, shownBy, saidBy } of LINTS) {
    t.ok(shownBy.length > 0 || saidBy !== undefined, `${name} is shown by something, or somebody says so`);
    for (const scenario of shownBy) {
      const file = scenarios.get(scenario);
      if (file === undefined) {
        missing.add(scenario);
        continue;
      }
      const fires = file.variants.some((variant) =>
        lintScenario(variant.scenario).some(({ lint }) => lint === name),
      );
      t.ok(fires, `${name} fires in ${scenario}`);
      const isBroken =
        (file.variants[0]?.scenario.knownBug?.broken.length ?? 0) > 0 || scenario.startsWith('broken/');
      t.ok(isBroken, `${scenario} breaks promises`);
    }
  }
  t.strictSame([...missing].sort(), [], 'every scenario is there');
});

const RECIPE = [
  'ids-forgotten',
  'read-only-parent',
  'rollback-before-resume',
  'rollback-fails-open',
  'root-may-be-directory',
  'root-missing-fatal',
  'swap-in-the-clear',
];
const IN_SCRIPTED = RECIPE.filter((lint) => !['rollback-before-resume', 'root-missing-fatal'].includes(lint));
const BLANK_AS_PUBLISHED = [
  'blank-unchecked',
  'name-with-space',
  'nested-left',
  'rollback-before-resume',
  'rollback-fails-open',
  'root-may-be-directory',
  'swap-in-the-clear',
];

/** Which lints fire in which scenario, exceptions or not. Those of scenarios/bugs are for the test above. */
const FIRING: Readonly<Record<string, readonly string[]>> = {
  'broken/damaged': ['esp-world-readable', ...RECIPE],
  'broken/hook-too-early': ['rollback-before-resume', 'rollback-before-unlock', ...IN_SCRIPTED],
  'broken/path-misspelt': RECIPE,
  'broken/rollback-before-resume': ['rollback-before-resume'],
  'broken/rollback-removed': ['swap-in-the-clear'],
  'broken/rollback-too-late': [
    'rollback-after-mount',
    ...RECIPE.filter((lint) => lint !== 'rollback-before-resume'),
  ],
  'broken/secure-boot-unsigned': RECIPE,
  'broken/script-unreadable': [
    'ids-forgotten',
    'rollback-before-resume',
    'rollback-fails-open',
    'script-unreadable',
    'swap-in-the-clear',
  ],
  'broken/service-script-in-hook': ['tool-missing', ...IN_SCRIPTED],
  'broken/tpm2-cleared': RECIPE,
  'btrfs-image': [],
  'btrfs-image-as-published': ['image-owner'],
  'btrfs-image-power-cut': [],
  'btrfs-luks-blank-snapshot': ['swap-in-the-clear'],
  'btrfs-luks-blank-snapshot-as-published': BLANK_AS_PUBLISHED,
  'btrfs-luks-hibernate': ['swap-in-the-clear'],
  'btrfs-luks-hibernate-as-published': BLANK_AS_PUBLISHED,
  'btrfs-luks-rollback': RECIPE,
  'btrfs-luks-rollback-as-published': RECIPE,
  containers: RECIPE,
  'disko-luks-rollback-log': [],
  'disko-luks-rollback-log-as-published': [
    'blank-unchecked',
    'log-before-mount',
    'name-with-space',
    'nested-left',
    'rollback-fails-open',
    'root-may-be-directory',
  ],
  networkmanager: RECIPE,
  'networkmanager-as-published': ['file-replaced', ...RECIPE],
  'small-services': IN_SCRIPTED,
  'tmpfs-luks-ext4': ['machine-id-forgotten'],
  'tmpfs-two-nvme': ['machine-id-forgotten'],
};

t.test('in the scenarios that are shipped just these lints fire', async (t) => {
  const scenarios = [...(await shipped())].filter(([name]) => !name.startsWith('bugs/'));
  const firing = scenarios.map(([name, { variants }]): [string, string[]] => [
    name,
    [...new Set(variants.flatMap(({ scenario }) => lintScenario(scenario).map(({ lint }) => lint)))].sort(),
  ]);
  t.strictSame(
    Object.fromEntries(firing),
    Object.fromEntries(Object.entries(FIRING).map(([name, lints]) => [name, [...lints].sort()])),
  );
});

t.test('in the layouts that are correct nothing counts, and no exception is there in vain', async (t) => {
  for (const [name, file] of await shipped()) {
    if (name.startsWith('bugs/') || name.startsWith('broken/') || name.endsWith('-as-published')) continue;
    t.strictSame(
      lintFile(file)
        .filter(({ excepted }) => excepted === undefined)
        .map(({ lint }) => lint),
      [],
      name,
    );
  }
});

t.test('names are good names, and texts are sentences', async (t) => {
  const names = LINTS.map(({ name }) => name);
  t.equal(new Set(names).size, names.length, 'each once');
  for (const { name, reason, advice } of LINTS) {
    t.match(name, /^[a-z]+(-[a-z]+)*$/);
    t.match(reason, /^([A-Z"]|systemd ).*\.$/, `the reason of ${name}`);
    t.match(advice, /^[A-Z].*\.$/, `the advice of ${name}`);
  }
});

// What machines print, read back: framed outputs, listings, mounts, subvolumes, the journal, a powered-off disk.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import t from 'tap';

import { quote, repositoryRoot } from '../core/index.js';
import { loadScenario, type Scenario } from '../scenario/index.js';
import { planCanaries } from './canary.js';
import { checkDisk } from './check-disk.js';
import { collectBootEvidence, collectPlanted, parseMount, STARTUP_FINISHED } from './collect.js';
import { parseSubvolumes } from './subvolumes.js';
import type { DiskEvidence } from './evidence.js';
import { collectInstallEvidence, inspectDisk } from './inspect.js';
import { listingCommands, parseListing } from './listing.js';
import { accountsCommand, parseAccounts } from './accounts.js';
import { parseSections, renderSections, type Section } from './sections.js';

const BOUNDARY = 'b0undary';
const scenario = await loadScenario(path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'));

function runBash(script: string, args: readonly string[] = ['-s']): { code: number | null; stdout: Buffer } {
  const { status, stdout } = spawnSync('bash', args, { input: script, maxBuffer: 2 ** 26 });
  return { code: status, stdout };
}

/** What a machine would print for a script whose sections print this; the others succeed and say nothing. */
function answer(
  script: string,
  outputs: Readonly<Record<string, string | readonly [string, number]>>,
): Buffer {
  const names = [...script.matchAll(/^begin (\S+); /gm)].map(([, name = '']) => name);
  const unknown = Object.keys(outputs).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no section ${unknown.join(', ')} in ${names.join(', ')}`);
  const parts = names.map((name) => {
    const given = outputs[name] ?? '';
    const [output, exitCode] = typeof given === 'string' ? [given, 0] : given;
    return `\n@@${BOUNDARY} ${name}\n${output}\n@@${BOUNDARY} = ${String(exitCode)}\n`;
  });
  return Buffer.from(parts.join(''));
}

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_value, index) => index));

void t.test('users and groups that own something are asked for their numbers', (t) => {
  const kept = { kind: 'kept' as const, id: 'kept:/srv', title: 'x', path: '/srv', of: 'directory' as const };
  const place = { file: 'scenario.yaml', line: 1, col: 1 };
  const promises = [
    { ...kept, place, user: 'root', group: 'root' },
    { ...kept, place, user: 'no-such-user-here' },
  ];
  const { stdout } = runBash(accountsCommand({ ...scenario, promises }));
  const { users, groups } = parseAccounts(stdout.toString('utf8').split('\n'));
  t.strictSame([...users], [['root', 0]]);
  t.strictSame([...groups], [['root', 0]]);
  t.equal(accountsCommand({ ...scenario, promises: [] }), 'true', 'nobody is asked');
  t.end();
});

void t.test('sections come back byte by byte, with their exit codes', (t) => {
  const file = path.join(t.testdir({ all: ALL_BYTES }), 'all');
  const expected: Readonly<
    Record<string, readonly [command: string, output: Buffer | string, exitCode: number]>
  > = {
    bytes: [`cat ${quote(file)}`, ALL_BYTES, 0],
    nothing: ['true', '', 0],
    failing: ['printf "no newline"; (exit 42)', 'no newline', 42],
    newlines: [String.raw`printf '\n\n'; false`, '\n\n', 1],
    missing: ['no-such-program 2>/dev/null', '', 127],
    greedy: ['cat; echo "read: $?"', 'read: 0\n', 0],
    foreign: [String.raw`printf '\n@@other = 3\n@@b0undary2 x\n'`, '\n@@other = 3\n@@b0undary2 x\n', 0],
    last: ['echo end', 'end\n', 0],
  };
  const sections = Object.entries(expected).map(([name, [command]]): Section => ({ name, command }));
  const { code, stdout } = runBash(renderSections(sections, BOUNDARY));
  t.equal(code, 0);
  const results = parseSections(stdout, sections, BOUNDARY);
  t.equal(results.size, sections.length);
  for (const [name, [, output, exitCode]] of Object.entries(expected)) {
    t.strictSame(results.get(name), { exitCode, output: Buffer.from(output) }, name);
  }

  // A machine can die at any byte: a section counts when it is whole, and the first that does not is named.
  let position = 0;
  const ends = sections.map(({ name }) => {
    position = stdout.indexOf(`\n@@${BOUNDARY} = `, stdout.indexOf(`\n@@${BOUNDARY} ${name}\n`, position));
    return stdout.indexOf('\n', position + 1) + 1;
  });
  t.equal(ends.at(-1), stdout.length);
  for (let cut = 0; cut < stdout.length; cut += 1) {
    const missing = sections[ends.findIndex((end) => end > cut)]?.name ?? '';
    let message = 'nothing';
    try {
      parseSections(stdout.subarray(0, cut), sections, BOUNDARY);
    } catch (error) {
      message = String(error);
    }
    if (!message.endsWith(`"${missing}"`)) t.fail(`${message} and not ${missing}, cut at ${String(cut)}`);
  }
  const noise = Buffer.concat([Buffer.from('Linux imperm\nlast login\n'), stdout, Buffer.from('bye\n')]);
  t.strictSame(parseSections(noise, sections, BOUNDARY), results, 'what stands around it does not matter');
  const ended = [{ name: 'ended', command: 'exit 3' }, ...sections];
  t.throws(() => parseSections(runBash(renderSections(ended, BOUNDARY)).stdout, ended, BOUNDARY), {
    message: '"ended"',
  });
  t.end();
});

void t.test('a quoted text reaches the machine as it is', (t) => {
  const texts = ["it's", '$(reboot) `x` "y" \\', 'two\nlines', "''", '', '-n', '*', '~', '\t', 'ä…'];
  const { stdout } = runBash(`printf '%s\\0' ${texts.map(quote).join(' ')}`);
  t.strictSame(stdout.toString().split('\0'), [...texts, '']);
  t.end();
});

void t.test('a listing tells what lstat tells, whatever the names', (t) => {
  const dir = t.testdir({});
  const inside = (name: string): string => path.join(dir, 'tree', name);
  mkdirSync(inside('a dir/deeper'), { recursive: true });
  const names = [
    'plain',
    'a name\nwith a newline',
    'a name with spaces',
    'back\\slash',
    'ünï',
    '-dash',
    'a dir/deeper/$x',
  ];
  for (const name of names) writeFileSync(inside(name), `content of ${name}`);
  writeFileSync(inside('empty'), '');
  linkSync(inside('plain'), inside('hard'));
  symlinkSync('plain', inside('link'));
  symlinkSync('/nowhere', inside('dangling'));
  const all = [...names, 'empty', 'hard', 'link', 'dangling', 'a dir', 'a dir/deeper'].map(inside);
  const alone = path.join(dir, 'alone');
  symlinkSync('/nowhere', alone);

  const commands = listingCommands([path.join(dir, 'tree'), path.join(dir, 'not there'), alone]);
  const [find, digests] = [commands.find, commands.digests].map((command) => runBash(command).stdout);
  const listing = parseListing({
    find: Buffer.concat([find ?? Buffer.alloc(0), Buffer.from('\n')]),
    digests: digests ?? Buffer.alloc(0),
    // As `getfattr` 2.5.2 printed it.
    attributes: Buffer.from(
      `# file: ${inside('back\\134slash')}\nuser.b=0x32\nuser.a=0x\n\n# file: ${inside('a name\\012with a newline')}\nuser.imperm=0x612062\n\n# file: ${inside('ünï')}\nuser.ü=0x31\n\n`,
    ),
  });
  t.strictSame([...listing.keys()].sort(), [path.join(dir, 'tree'), alone, ...all].sort());
  for (const [file, facts] of listing) {
    const real = lstatSync(file);
    t.equal(facts.mode, (real.mode & 0o7777).toString(8), file);
    t.strictSame(
      [facts.uid, facts.gid, facts.sizeBytes, facts.links],
      [real.uid, real.gid, real.size, real.nlink],
    );
    t.equal(facts.inode, `${String(real.dev)}:${String(real.ino)}`);
    t.equal(Math.trunc(Number(facts.mtime)), Math.trunc(real.mtimeMs / 1000));
    t.equal(facts.type, real.isSymbolicLink() ? 'l' : real.isDirectory() ? 'd' : 'f');
    t.equal(facts.target, real.isSymbolicLink() ? readlinkSync(file) : '');
  }
  for (const name of names) {
    const digest = createHash('sha256').update(`content of ${name}`).digest('hex');
    t.equal(listing.get(inside(name))?.digest, digest, name);
  }
  t.equal(listing.get(inside('link'))?.digest, undefined);
  t.strictSame(listing.get(inside('back\\slash'))?.attributes, ['user.a=0x', 'user.b=0x32']);
  t.strictSame(listing.get(inside('a name\nwith a newline'))?.attributes, ['user.imperm=0x612062']);
  t.strictSame(listing.get(inside('ünï'))?.attributes, ['user.ü=0x31']);
  t.strictSame(listing.get(inside('plain'))?.attributes, []);

  const none = listingCommands([path.join(dir, 'not there')]);
  t.strictSame(runBash(none.find), { code: 0, stdout: Buffer.alloc(0) }, 'not the current folder instead');
  t.equal(
    parseListing({ find: Buffer.alloc(0), digests: Buffer.alloc(0), attributes: Buffer.alloc(0) }).size,
    0,
  );
  t.end();
});

void t.test('mountinfo is read with its escapes', (t) => {
  t.strictSame(
    parseMount(
      '50 1 0:33 /root / rw,noatime shared:1 - btrfs /dev/mapper/cryptfs rw,compress=zstd:3,discard=async,space_cache=v2,subvolid=270,subvol=/root',
    ),
    {
      root: '/root',
      mountPoint: '/',
      fsType: 'btrfs',
      source: '/dev/mapper/cryptfs',
      options: [
        'rw',
        'noatime',
        'rw',
        'compress=zstd:3',
        'discard=async',
        'space_cache=v2',
        'subvolid=270',
        'subvol=/root',
      ],
    },
  );
  t.match(
    parseMount(
      String.raw`99 50 0:33 /a\040b//deleted /mnt/new\012line\134x rw master:1 propagate_from:2 - tmpfs some\040thing rw`,
    ),
    {
      root: '/a b//deleted',
      mountPoint: '/mnt/new\nline\\x',
      source: 'some thing',
      fsType: 'tmpfs',
    },
  );
  t.match(parseMount(String.raw`99 50 0:33 / /a\040-\040b rw - proc proc rw`), {
    mountPoint: '/a - b',
    fsType: 'proc',
  });
  t.end();
});

const UUID = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** As `btrfs subvolume list -auq` 6.14 prints a line. */
function subvolumeLine(id: number, topLevel: number, shown: string, parent = '-'): string {
  return `ID ${String(id)} gen 20 top level ${String(topLevel)} parent_uuid ${parent.padEnd(36)} uuid ${UUID(id)} path ${shown}`;
}

void t.test('a subvolume has the same path wherever the file system was asked', (t) => {
  // Two recordings of one disk: mounted by its top level, and by its subvolume "root".
  const fromTop = [
    subvolumeLine(257, 5, 'home'),
    subvolumeLine(270, 5, 'root', UUID(258)),
    subvolumeLine(271, 270, '<FS_TREE>/root/var/lib/machines'),
    subvolumeLine(275, 270, '<FS_TREE>/root/one'),
    subvolumeLine(276, 275, '<FS_TREE>/root/one/sub volume'),
  ].join('\n');
  const fromRoot = [
    subvolumeLine(257, 5, '<FS_TREE>/home'),
    subvolumeLine(270, 5, '<FS_TREE>/root', UUID(258)),
    subvolumeLine(271, 270, 'root/var/lib/machines'),
    subvolumeLine(275, 270, 'root/one'),
    subvolumeLine(276, 275, '<FS_TREE>/root/one/sub volume'),
  ].join('\n');
  t.strictSame(parseSubvolumes(fromTop), [
    { id: 257, uuid: UUID(257), path: 'home' },
    { id: 270, uuid: UUID(270), path: 'root', parentUuid: UUID(258) },
    { id: 271, uuid: UUID(271), path: 'root/var/lib/machines' },
    { id: 275, uuid: UUID(275), path: 'root/one' },
    { id: 276, uuid: UUID(276), path: 'root/one/sub volume' },
  ]);
  t.strictSame(parseSubvolumes(fromRoot), parseSubvolumes(fromTop));
  t.strictSame(parseSubvolumes("ERROR: can't access '/x'"), []);
  t.end();
});

void t.test('a system profile that is not there leaves the other links in their places', (t) => {
  const collection = collectBootEvidence(scenario, 2, { canaryFolders: [], boundary: BOUNDARY });
  const { links } = collection.parse(
    answer(collection.script, { links: '\n\n/nix/store/x\n/nix/store/y\n' }),
  );
  t.strictSame(links, { generation: '', profile: '', current: '/nix/store/x', booted: '/nix/store/y' });
  t.end();
});

void t.test('the evidence of a boot is read', (t) => {
  const [key = ''] = scenario.system.openssh.hostKeys.map(({ path: file }) => file);
  const line = (fields: Readonly<Record<string, unknown>>): string => JSON.stringify(fields);
  const collection = collectBootEvidence(scenario, 2, {
    canaryFolders: ['/home/imperm-canary-1'],
    boundary: BOUNDARY,
  });
  const evidence = collection.parse(
    answer(collection.script, {
      'boot-id': '9db6929c-0000-4000-8000-000000000000\n',
      nonce: 'n0nce',
      os: 'nixos\n',
      clock: '21.63 1795237232\n',
      state: ['degraded\n', 1],
      mounts: '50 1 0:33 /root / rw,noatime shared:1 - btrfs /dev/mapper/cryptfs rw,subvol=/root\n',
      devices: '/dev/mapper/cryptfs\n/dev/disk/by-partlabel/ESP\n/dev/dm-0\n/dev/vda1\n',
      swaps:
        'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda2                               partition\t524284\t\t0\t\t-2\n',
      'secure-boot': 'SecureBoot 1\nSetupMode 0\nlockdown none [integrity] confidentiality\n',
      'machine-id': '0123456789abcdef0123456789abcdef\n',
      'journal-boots': '[{"index":-1,"boot_id":"d7"},{"index":0,"boot_id":"e6"}]\n',
      failed: 'persist.mount loaded failed failed /persist\n',
      journal: [
        line({
          __MONOTONIC_TIMESTAMP: '6824229',
          UNIT: 'rollback.service',
          _SYSTEMD_UNIT: 'init.scope',
          MESSAGE: 'Starting',
          MESSAGE_ID: '7d',
        }),
        line({
          __MONOTONIC_TIMESTAMP: '7330076',
          _SYSTEMD_UNIT: 'rollback.service',
          MESSAGE: [68, 101, 108, 32, 195, 164, 255],
        }),
        line({ __MONOTONIC_TIMESTAMP: '7330077', _SYSTEMD_UNIT: 'rollback.service', MESSAGE: null }),
        line({
          __MONOTONIC_TIMESTAMP: '9000000',
          _SOURCE_MONOTONIC_TIMESTAMP: '7400000',
          SYSLOG_IDENTIFIER: 'stage-1-init',
          MESSAGE: '[Sat Nov 21 04:05:06 UTC 2026] mounting /dev/vda2 on /...',
        }),
        line({
          __MONOTONIC_TIMESTAMP: '20000000',
          MESSAGE: 'Startup finished',
          MESSAGE_ID: STARTUP_FINISHED,
        }),
      ].join('\n'),
      root: `btrfs\nroot\n\tName: \t\t\troot\n\tUUID: \t\t\t${UUID(1)}\n\tParent UUID: \t\t-\n\tReceived UUID: \t\t-\n\tCreation time: \t\t2026-11-21 05:00:20 +0100\n\tSubvolume ID: \t\t270\n`,
      subvolumes: [subvolumeLine(270, 5, '<FS_TREE>/root'), subvolumeLine(271, 270, 'root/srv')].join('\n'),
      paths: '/boot\0d\x00700\x000\x000\x004096\x001.5\0\x002\x0099:1\0',
      'host-keys': `${'a'.repeat(64)}  ${key}\0`,
      links: 'system-1-link\n/nix/store/x-system\n/nix/store/x-system\n/nix/store/x-system\n',
      canaries:
        '/home/imperm-canary-1/file\0f\x00640\x004711\x004712\x003\x00981173106.7890000000\0\x001\x0033:9\0',
      'canary-digests': `${'b'.repeat(64)}  /home/imperm-canary-1/file\0`,
      'canary-attributes': '# file: /home/imperm-canary-1/file\nuser.imperm=0x01\n\n',
    }),
  );
  t.match(evidence, {
    boot: 2,
    bootId: /^9db6929c/,
    nonce: 'n0nce',
    os: 'nixos',
    uptimeS: 21.63,
    clockS: 1795237232,
    state: 'degraded',
    swaps: ['/dev/vda2'],
    secureBoot: { enabled: true, setupMode: false, lockdown: 'none [integrity] confidentiality' },
    journalBoots: 2,
    failedUnits: ['persist.mount loaded failed failed /persist'],
    startupFinishedUs: 20_000_000,
    journal: [
      {},
      {},
      {},
      { monotonicUs: 7_400_000, message: 'mounting /dev/vda2 on /...', writer: 'stage-1-init' },
      {},
    ],
    rootSubvolume: {
      uuid: UUID(1),
      parentUuid: '-',
      path: 'root',
      createdS: Date.UTC(2026, 10, 21, 4, 0, 20) / 1000,
    },
    links: { generation: 'system-1-link', profile: '/nix/store/x-system' },
  });
  t.strictSame(
    [...evidence.devices],
    [
      ['/dev/mapper/cryptfs', '/dev/dm-0'],
      ['/dev/disk/by-partlabel/ESP', '/dev/vda1'],
    ],
  );
  t.strictSame(
    evidence.journal.map(({ message }) => message),
    ['Starting', 'Del ä\ufffd', '', 'mounting /dev/vda2 on /...', 'Startup finished'],
  );
  t.match(evidence.journal, [
    { about: 'rollback.service', monotonicUs: 6824229 },
    { writer: 'rollback.service' },
  ]);
  t.strictSame(
    evidence.subvolumes.map(({ path: file }) => file),
    ['root', 'root/srv'],
  );
  t.strictSame([...evidence.hostKeys], [[key, 'a'.repeat(64)]]);
  t.match(evidence.paths.get('/boot'), { type: 'd', mode: '700' });
  t.match(evidence.canaries.get('/home/imperm-canary-1/file'), {
    uid: 4711,
    digest: 'b'.repeat(64),
    attributes: ['user.imperm=0x01'],
  });

  const tmpfs = collection.parse(answer(collection.script, { root: 'tmpfs\n', clock: '1.0 2\n' }));
  t.strictSame(
    [tmpfs.rootSubvolume, tmpfs.startupFinishedUs, tmpfs.journalBoots, tmpfs.mounts],
    [undefined, undefined, 0, []],
  );
  t.end();
});

void t.test('canaries that could not be planted are no evidence', (t) => {
  const plan = planCanaries(scenario, 1);
  const collection = collectPlanted(1, {
    folders: plan.doomed,
    plantScript: plan.script,
    boundary: BOUNDARY,
  });
  t.equal(collection.parse(answer(collection.script, {})).boot, 1);
  t.throws(
    () => collection.parse(answer(collection.script, { plant: ['mkdir: cannot create directory', 1] })),
    {
      code: 'EVIDENCE_MISSING',
      details: /cannot create/,
    },
  );
  t.end();
});

/** As sgdisk 1.0.10 prints it; its exit code is 0 for all of them. */
const SGDISK = {
  good: '\nNo problems found. 4029 free sectors (2.0 MiB) available in 2\nsegments, the largest of which is 2015 (1007.5 KiB) in size.\n',
  blank:
    'Creating new GPT entries in memory.\n\nNo problems found. 131005 free sectors (64.0 MiB) available in 1\nsegments, the largest of which is 131005 (64.0 MiB) in size.\n',
  noBackup:
    "Caution: invalid backup GPT header, but valid main header; regenerating\nbackup header from main header.\n\nWarning! One or more CRCs don't match. You should repair the disk!\nMain header: OK\nBackup header: ERROR\n\nNo problems found. 2014 free sectors (1007.0 KiB) available in 1\nsegments.\n",
  overlap: '\nProblem: partitions 2 and 1 overlap:\n  Partition 2: 2048 to 4095\n\nIdentified 1 problems!\n',
  gone: 'Problem opening /dev/vda for reading! Error is 2.\nThe specified file does not exist!\n',
};

void t.test('a powered-off disk is read, and what is missing is evidence', (t) => {
  const collection = inspectDisk(scenario, {
    device: '/dev/vda',
    passphraseFile: '/run/p',
    boundary: BOUNDARY,
  });
  const read = (outputs: Parameters<typeof answer>[1]): DiskEvidence =>
    collection.parse(answer(collection.script, outputs));
  for (const [name, output] of Object.entries(SGDISK)) {
    t.equal(read({ partitions: output }).partitionTable.valid, name === 'good', name);
  }

  const digest = 'c'.repeat(64);
  const good = read({
    'header-0': `${digest}  -\n`,
    'found-0': 'root/imperm-canary-2\0home/a dir/imperm-canary-1\0',
    'canaries-0': 'root/imperm-canary-2/a\nb\0l\x00777\x000\x000\x003\x001.0\0xyz\x001\x0033:9\0',
    'subvolumes-0': subvolumeLine(257, 5, 'home'),
  });
  t.match(good.luks, [{ name: 'cryptfs', valid: true, headerDigest: digest }]);
  t.match(good.fileSystems, [
    { device: '/dev/mapper/cryptfs', fsType: 'btrfs', clean: true },
    { device: '/dev/disk/by-partlabel/ESP', fsType: 'vfat', clean: true },
  ]);
  t.equal(good.fileSystems.length, 2, 'each device once');
  const order = [...collection.script.matchAll(/^begin (check|mount)-/gm)].map(([, what]) => what);
  t.strictSame(order, ['check', 'check', 'mount'], 'what is mounted by another name cannot be checked');
  t.strictSame(good.canaryPaths, ['root/imperm-canary-2', 'home/a dir/imperm-canary-1']);
  t.match(good.volumes, [{ device: '/dev/mapper/cryptfs', subvolumes: [{ path: 'home' }] }]);
  t.equal(good.volumes[0]?.canaries.get('root/imperm-canary-2/a\nb')?.target, 'xyz');

  const locked = read({
    'open-0': ['No key available with this passphrase.\n', 2],
    'check-0': ['ERROR: mount check: cannot open /dev/mapper/cryptfs: No such file or directory\n', 1],
    'mount-0': ['mount: special device /dev/mapper/cryptfs does not exist.\n', 32],
  });
  t.match(locked.luks, [{ valid: false, headerDigest: '', output: /No key available/ }]);
  t.match(locked.fileSystems, [{ clean: false, output: /cannot open[^]*does not exist/ }, { clean: true }]);
  t.strictSame([locked.volumes, locked.canaryPaths], [[], undefined], 'unread is not empty');
  const planted = [1, 2].map((boot) => ({
    plan: planCanaries(scenario, boot),
    evidence: { boot, canaries: new Map(), subvolumes: [] },
  }));
  const judge = (evidence: DiskEvidence): string[] =>
    checkDisk({
      scenario,
      evidence,
      installed: { headers: new Map([['cryptfs', digest]]) },
      planted,
      wasCut: false,
    }).map(({ promise, status }) => `${promise.kind} ${status}`);
  t.strictSame(judge(good).sort(), ['disk-clean fail', 'gone pass'], 'sgdisk said nothing');
  t.strictSame(judge(locked), ['disk-clean fail'], 'nothing was seen, so nothing is proved to be gone');
  t.equal(read({ 'dump-0': ['Device /dev/x does not exist.\n', 4] }).luks[0]?.valid, false);

  const onTmpfs: Scenario = {
    ...scenario,
    system: {
      ...scenario.system,
      luks: [],
      fileSystems: scenario.system.fileSystems.map((each) =>
        each.mountPoint === '/'
          ? { ...each, device: 'none', fsType: 'tmpfs' }
          : each.fsType === 'btrfs'
            ? { ...each, device: '/dev/disk/by-label/nix', fsType: 'ext4' }
            : each,
      ),
    },
  };
  const other = inspectDisk(onTmpfs, { device: '/dev/vda', passphraseFile: '/run/p', boundary: BOUNDARY });
  const ext4 = other.parse(answer(other.script, { 'found-1': 'persist/imperm-canary-1\0' }));
  t.strictSame(
    ext4.fileSystems.map(({ fsType }) => fsType),
    ['vfat', 'ext4'],
  );
  t.strictSame(
    [ext4.canaryPaths, ext4.luks, ext4.volumes.length],
    [undefined, [], 1],
    'the root is not on the disk',
  );

  const install = collectInstallEvidence(scenario, { boundary: BOUNDARY });
  const installed = install.parse(
    answer(install.script, {
      'header-0': `${digest}  -\n`,
      subvolumes: subvolumeLine(256, 5, '<FS_TREE>/root'),
    }),
  );
  t.strictSame([...installed.headers], [['cryptfs', digest]]);
  t.strictSame(
    installed.subvolumes.map(({ path: file }) => file),
    ['root'],
  );
  t.end();
});

void t.test('every script is one that bash can read, whatever the scenario calls its things', (t) => {
  const isReadable = (script: string): boolean => runBash(script, ['-n']).code === 0;
  t.notOk(isReadable("echo 'open"), 'this would show');
  const odd: Scenario = {
    ...scenario,
    promises: scenario.promises.map((promise) =>
      promise.kind === 'kept' ? { ...promise, path: `${promise.path}/it's $(x) "y"` } : promise,
    ),
    system: {
      ...scenario.system,
      luks: scenario.system.luks.map((each) => ({ ...each, name: `it's ("x` })),
      fileSystems: scenario.system.fileSystems.map((each) => ({ ...each, device: `${each.device} ('x')` })),
    },
  };
  const bare: Scenario = {
    ...scenario,
    promises: [],
    system: { ...scenario.system, luks: [], fileSystems: [], openssh: { hostKeys: [] } },
  };
  for (const [name, of] of Object.entries({ scenario, odd, bare })) {
    const plan = planCanaries(of, 1);
    const folders = [...plan.doomed, ...plan.kept.values()];
    const options = { device: "/dev/it's", passphraseFile: "/run/it's", boundary: BOUNDARY };
    const scripts = {
      plan,
      boot: collectBootEvidence(of, 1, { canaryFolders: folders, boundary: BOUNDARY }),
      planted: collectPlanted(1, { folders, plantScript: plan.script, boundary: BOUNDARY }),
      install: collectInstallEvidence(of, { boundary: BOUNDARY }),
      inspect: inspectDisk(of, options),
    };
    for (const [what, { script }] of Object.entries(scripts)) t.ok(isReadable(script), `${what} of ${name}`);
  }
  t.end();
});

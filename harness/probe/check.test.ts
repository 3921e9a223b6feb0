// Every check in both directions: evidence of a good boot passes, and each way of being broken fails for its reason.
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { loadScenario, type Scenario } from '../scenario/index.js';
import { planCanaries } from './canary.js';
import { checkBoot, checkFailedBoot } from './check-boot.js';
import { checkDisk } from './check-disk.js';
import type {
  BootEvidence,
  DiskEvidence,
  DiskVolume,
  JournalLine,
  Mount,
  PlantedEvidence,
  Subvolume,
} from './evidence.js';
import type { BootContext, DiskContext, Finding } from './finding.js';
import { parseForwardedJournal } from './forwarded-journal.js';
import type { FileFacts } from './listing.js';

const STARTING = '7d4958e842da4a758f6c1cdc7b36dcc5';
const STARTED = '39f53479d3a045ac8e11786248231fbf';

const PLACE = { file: 'scenario.yaml', line: 1, col: 1 };
const scenario = await loadScenario(path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'));

function facts(file: string, inode: string, change: Partial<FileFacts> = {}): FileFacts {
  return {
    path: file,
    type: 'f',
    mode: '640',
    uid: 4711,
    gid: 4712,
    sizeBytes: 3,
    mtime: '1.0',
    target: '',
    links: 1,
    inode,
    digest: 'aa',
    attributes: ['user.imperm=0x01'],
    ...change,
  };
}

function mount(mountPoint: string, subvolume: string): Mount {
  return {
    mountPoint,
    root: subvolume,
    fsType: 'btrfs',
    source: '/dev/mapper/cryptfs',
    options: ['rw', 'noatime', 'compress=zstd:3'],
  };
}

function unit(about: string, begin: number, end: number): JournalLine[] {
  return [
    { monotonicUs: begin, message: `Starting ${about}...`, about, messageId: STARTING },
    { monotonicUs: end, message: `Finished ${about}.`, about, messageId: STARTED },
  ];
}

function said(message: string): JournalLine {
  return { monotonicUs: 25, message, writer: 'rollback.service' };
}

const JOURNAL: readonly JournalLine[] = [
  ...unit('systemd-cryptsetup@cryptfs.service', 10, 20),
  ...unit('rollback.service', 21, 30),
  said('Deleting subvolume /mnt/root/srv'),
  said('Deleting subvolume /mnt/root'),
  said('Re-creating root subvolume'),
  ...unit('sysroot.mount', 31, 40),
];

const DIRECTORIES = scenario.system.persistence.flatMap(({ directories }) => directories);
const FILES = scenario.system.persistence.flatMap(({ files }) => files);

/** Both sides of everything persisted, and the EFI system partition. */
function watched(): Map<string, FileFacts> {
  const pairs = [...DIRECTORIES, ...FILES].flatMap(({ path: file, source }, index) =>
    [file, source].map((each): [string, FileFacts] => [
      each,
      facts(each, `9:${String(index)}`, { mode: '755' }),
    ]),
  );
  return new Map([...pairs, ['/boot', facts('/boot', '1:1', { type: 'd', mode: '700' })]]);
}

const ROOT: Subvolume = { id: 256, path: 'root', uuid: 'first' };

const GOOD: BootEvidence = {
  boot: 2,
  bootId: 'second-boot',
  nonce: 'n',
  os: 'debian',
  uptimeS: 20,
  clockS: 1020,
  state: 'running',
  mounts: [
    mount('/', '/root'),
    mount('/home', '/home'),
    mount('/nix', '/nix'),
    mount('/persist', '/persist'),
    mount('/var/log', '/log'),
    {
      ...mount('/boot', '/'),
      fsType: 'vfat',
      source: '/dev/vda1',
      options: ['rw', 'fmask=0077', 'dmask=0077'],
    },
    ...DIRECTORIES.map(({ path: file, source }) => mount(file, source)),
  ],
  devices: new Map([
    ['/dev/mapper/cryptfs', '/dev/dm-0'],
    ['/dev/disk/by-partlabel/ESP', '/dev/vda1'],
    ['/dev/disk/by-partlabel/swap', '/dev/vda2'],
  ]),
  swaps: ['/dev/vda2'],
  secureBoot: { enabled: false, setupMode: true, lockdown: '' },
  mapperTables: new Map([['cryptfs', 'table']]),
  machineId: '0123456789abcdef0123456789abcdef',
  journalBoots: 2,
  failedUnits: [],
  mountMessages: ['EXT4-fs (dm-0): mounted filesystem'],
  journal: JOURNAL,
  rootSubvolume: { uuid: 'second', parentUuid: '-', createdS: 1004, path: 'root' },
  subvolumes: [{ id: 300, path: 'root', uuid: 'second' }],
  accounts: { users: new Map([['root', 0]]), groups: new Map([['root', 0]]) },
  paths: watched(),
  hostKeys: new Map(scenario.system.openssh.hostKeys.map(({ path: file }) => [file, 'key'])),
  canaries: new Map(),
  links: { profile: 'p', generation: 'system-1-link', current: 'p', booted: 'p' },
};

const plan = planCanaries(scenario, 1);
const planted: PlantedEvidence = {
  boot: 1,
  canaries: new Map(
    [...plan.doomed, ...plan.kept.values()].map((folder, index) => [
      folder,
      facts(folder, `5:${String(index)}`),
    ]),
  ),
  subvolumes: [ROOT, { id: 257, path: 'root/srv', uuid: 'srv-1' }],
};
const keptCanaries = new Map([...planted.canaries].filter(([file]) => !plan.doomed.includes(file)));

function contextOf(change: Partial<BootEvidence> = {}, of: Scenario = scenario): BootContext {
  const previous: BootEvidence = {
    ...GOOD,
    boot: 1,
    bootId: 'first-boot',
    journalBoots: 1,
    rootSubvolume: { uuid: 'first', parentUuid: '-', createdS: 900, path: 'root' },
  };
  return {
    scenario: of,
    evidence: { ...GOOD, canaries: keptCanaries, ...change },
    previous,
    planted: [{ plan, evidence: planted }],
    installed: [ROOT],
    session: { prompts: 1, scripts: new Map() },
    how: 'reboot',
  };
}

function broken(findings: readonly Finding[]): string[] {
  return findings.filter(({ status }) => status === 'fail').map(({ promise }) => promise.id);
}

function explain(findings: readonly Finding[], id: string): string {
  const finding = findings.find(({ promise, status }) => promise.id === id && status === 'fail');
  return `${finding?.found ?? 'nothing found'} | ${finding?.cause ?? ''}`;
}

void t.test('a good boot keeps every promise', (t) => {
  const findings = checkBoot(contextOf());
  t.strictSame(broken(findings), []);
  // These are looked at when the machine is off, or at the end of a boot.
  const later = ['disk-clean', 'console-clean', 'login'];
  const looked = scenario.promises.filter(({ kind }) => !later.includes(kind));
  t.equal(findings.length, looked.length, 'every promise was looked at');
  t.end();
});

void t.test('a tmpfs has the size that is asked for', (t) => {
  const look = (asked: string, size: string | undefined, memoryKiB?: number): string => {
    const promise = {
      kind: 'mounted' as const,
      id: 'mounted:/',
      title: 'x',
      place: PLACE,
      mountPoint: '/',
      device: 'none',
      fsType: 'tmpfs',
      options: [`size=${asked}`, 'mode=755'],
    };
    const options = ['rw', ...(size === undefined ? [] : [`size=${size}`]), 'mode=755'];
    const root = { mountPoint: '/', root: '/', fsType: 'tmpfs', source: 'none', options };
    const of = { ...scenario, promises: [promise] };
    const memory = memoryKiB === undefined ? {} : { memoryKiB };
    return explain(checkBoot(contextOf({ mounts: [root], ...memory }, of)), 'mounted:/');
  };
  const kept = 'nothing found | ';
  t.equal(look('512M', '524288k'), kept);
  t.equal(look('1G', '1048576k', 2_000_000), kept);
  t.equal(look('25%', '492000k', 2_000_000), kept, 'the memory was a little less then');
  t.equal(look('50%', undefined, 2_000_000), kept, 'the default is not shown');
  t.equal(look('25%', '492000k'), kept, 'nobody knows the memory');
  t.match(look('512M', '1048576k'), /the size is 1048576k/);
  t.match(look('25%', '1800000k', 2_000_000), /the size is 1800000k/);
  t.match(look('25%', undefined, 2_000_000), /the size is the default/);
  t.end();
});

void t.test('a persisted directory belongs to whom the scenario says', (t) => {
  const [directory] = DIRECTORIES;
  if (directory === undefined) throw new Error('nothing is persisted');
  const { path, source } = directory;
  const look = (promised: { user?: string; group?: string }, owner: { uid: number; gid: number }): string => {
    const base = { kind: 'kept' as const, id: 'kept:x', title: 'x', place: PLACE, of: 'directory' as const };
    const of = { ...scenario, promises: [{ ...base, path, source, ...promised }] };
    const both = [path, source].map((each) => [each, facts(each, '1:1', owner)] as const);
    const accounts = { users: new Map([['alice', 1000]]), groups: new Map([['users', 100]]) };
    const context = { ...contextOf({ paths: new Map(both), accounts }, of), planted: [] };
    return explain(checkBoot(context), 'kept:x');
  };
  const kept = 'nothing found | ';
  t.equal(look({}, { uid: 7, gid: 7 }), kept, 'nothing is said');
  t.equal(look({ user: 'alice', group: 'users' }, { uid: 1000, gid: 100 }), kept);
  t.match(
    look({ user: 'alice' }, { uid: 0, gid: 100 }),
    /it has the user 0 \| Owner and mode are applied only/,
  );
  t.match(look({ group: 'users' }, { uid: 1000, gid: 0 }), /it has the group 0/);
  t.match(look({ user: 'bob' }, { uid: 0, gid: 0 }), /user 0/, 'nobody is called so');
  t.end();
});

void t.test('what a rule of tmpfiles makes is there, as the rule says', (t) => {
  const path = '/persist/root/.ssh';
  const promise = { kind: 'made' as const, id: 'made:x', title: 'x', place: PLACE, path };
  const accounts = { users: new Map([['root', 0]]), groups: new Map([['users', 100]]) };
  const look = (
    here: Partial<FileFacts> | undefined,
    rule: { of: 'directory' | 'file'; mode?: string; user?: string; group?: string },
  ): string => {
    const paths = new Map(here === undefined ? [] : [[path, facts(path, '1:1', here)] as const]);
    const [finding] = checkBoot(
      contextOf({ paths, accounts }, { ...scenario, promises: [{ ...promise, ...rule }] }),
    );
    return `${finding?.status ?? 'none'}: ${finding?.found ?? ''}`;
  };
  const directory = { of: 'directory' as const, mode: '700', user: 'root', group: 'users' };
  const good = { type: 'd', mode: '700', uid: 0, gid: 100 };
  t.equal(look(good, directory), 'pass: made, mode 700');
  t.equal(look({ ...good, mode: '755' }, { of: 'directory' }), 'pass: made, mode 755', 'nothing is said');
  t.equal(look(undefined, directory), `fail: ${path} does not exist`);
  t.equal(look({ ...good, type: 'f' }, directory), `fail: ${path} is no directory`);
  t.equal(look(good, { ...directory, of: 'file' }), `fail: ${path} is no file`);
  t.equal(look({ ...good, mode: '755' }, directory), 'fail: mode 755');
  t.equal(look({ ...good, uid: 1000 }, directory), 'fail: user 1000');
  t.equal(look({ ...good, gid: 0 }, directory), 'fail: group 0');
  t.end();
});

void t.test('a declared link is one, holds what it should and leads to something', (t) => {
  const path = '/var/lib/docker';
  const source = '/persist/var/lib/docker';
  const promise = { kind: 'linked' as const, id: 'linked:x', title: 'a link', place: PLACE, path };
  const scenarioOf = (target: string): Scenario => ({
    ...scenario,
    promises: [{ ...promise, target, source }],
  });
  const look = (here: Partial<FileFacts> | undefined, there = true, target = source): string => {
    const paths = new Map([
      ...(here === undefined ? [] : [[path, facts(path, '1:1', here)] as const]),
      ...(there ? [[source, facts(source, '1:2', { type: 'd' })] as const] : []),
    ]);
    const [finding] = checkBoot(contextOf({ paths }, scenarioOf(target)));
    return `${finding?.status ?? 'none'}: ${finding?.found ?? ''}`;
  };
  t.equal(look({ type: 'l', target: source }), `pass: link to ${source}`);
  t.equal(look({ type: 'l', target: '/etc/static/x' }, true, '/etc/static/x'), 'pass: link to /etc/static/x');
  t.equal(look(undefined), `fail: ${path} does not exist`);
  t.equal(look({ type: 'd' }), `fail: ${path} is a directory of its own`);
  t.equal(look({ type: 'f' }), `fail: ${path} is a file of its own`);
  t.equal(look({ type: 'l', target: '/elsewhere' }), `fail: ${path} is a link to /elsewhere`);
  t.equal(
    look({ type: 'l', target: source }, false),
    `fail: the link is there, and ${source} does not exist`,
  );

  const kept = scenario.promises.find((each) => each.kind === 'kept' && each.path === '/etc/nixos');
  if (kept?.kind !== 'kept' || kept.source === undefined) throw new Error('no such promise');
  const byLink: Scenario = { ...scenario, promises: [{ ...kept, link: '/etc/static/nixos' }] };
  const keptBy = (target: string): string | undefined =>
    checkBoot(
      contextOf(
        { paths: new Map([...watched(), [kept.path, facts(kept.path, '7:7', { type: 'l', target })]]) },
        byLink,
      ),
    )[0]?.status;
  t.equal(keptBy('/etc/static/nixos'), 'pass', 'kept by a link');
  t.equal(keptBy('/elsewhere'), 'fail', 'the link leads elsewhere');
  t.end();
});

interface Breakage {
  readonly title: string;
  readonly change: Partial<BootEvidence>;
  readonly ids: readonly string[];
  readonly says?: RegExp;
}

const withoutHome = new Map([...keptCanaries].filter(([file]) => !file.startsWith('/home/')));
const root = GOOD.rootSubvolume;
const changedCanary = (change: Partial<FileFacts>): Map<string, FileFacts> => {
  const file = plan.kept.get('kept:/home') ?? '';
  return new Map([...keptCanaries, [file, { ...facts(file, '5:0'), ...change }]]);
};
const mountsWithout = (mountPoint: string): Mount[] =>
  GOOD.mounts.filter((each) => each.mountPoint !== mountPoint);

const BREAKAGES: readonly Breakage[] = [
  {
    title: 'the root is the one of the boot before',
    change: { rootSubvolume: { ...(root ?? never()), uuid: 'first' } },
    ids: ['root-wiped'],
    says: /still the subvolume of boot 1/,
  },
  {
    title: 'the root is new, but older than the boot',
    change: { rootSubvolume: { ...(root ?? never()), createdS: 700 } },
    ids: ['root-wiped'],
    says: /before this boot began/,
  },
  {
    title: 'the root has been deleted',
    change: { mounts: [mount('/', '/root//deleted'), ...mountsWithout('/')] },
    ids: ['root-wiped', 'mounted:/'],
    says: /has been deleted/,
  },
  {
    title: 'something on / survived',
    change: { canaries: planted.canaries },
    ids: ['gone:/'],
    says: /survived/,
  },
  { title: 'a kept file is gone', change: { canaries: withoutHome }, ids: ['kept:/home'], says: /is gone/ },
  {
    title: 'a kept file has another content',
    change: { canaries: changedCanary({ digest: 'bb' }) },
    ids: ['kept:/home'],
    says: /content/,
  },
  {
    title: 'a kept file has another owner',
    change: { canaries: changedCanary({ uid: 0 }) },
    ids: ['kept:/home'],
    says: /owner was 4711:4712, is 0:4712/,
  },
  {
    title: 'a kept file has another mode',
    change: { canaries: changedCanary({ mode: '644' }) },
    ids: ['kept:/home'],
    says: /mode was 640, is 644/,
  },
  {
    title: 'a kept file has another time',
    change: { canaries: changedCanary({ mtime: '2.0' }) },
    ids: ['kept:/home'],
    says: /modification time/,
  },
  {
    title: 'a kept file lost its attributes',
    change: { canaries: changedCanary({ attributes: [] }) },
    ids: ['kept:/home'],
    says: /extended attributes/,
  },
  {
    title: 'a kept link points elsewhere',
    change: { canaries: changedCanary({ target: '/x' }) },
    ids: ['kept:/home'],
    says: /link target/,
  },
  {
    title: 'a kept hard link was cut',
    change: { canaries: changedCanary({ links: 2 }) },
    ids: ['kept:/home'],
    says: /number of links/,
  },
  {
    title: 'a persisted directory is not the one in the store',
    change: {
      paths: new Map([...watched(), ['/etc/nixos', facts('/etc/nixos', '7:7')]]),
      mounts: mountsWithout('/etc/nixos'),
    },
    ids: ['kept:/etc/nixos'],
    says: /two different files.*not mounted from the persistent store/,
  },
  {
    title: 'a persisted file has another content',
    change: {
      paths: new Map(
        [...watched()].map(([file, each]) => [
          file,
          file.endsWith('machine-id') ? { ...each, digest: 'cc' } : each,
        ]),
      ),
    },
    ids: ['kept:/etc/machine-id'],
    says: /another content/,
  },
  {
    title: 'a mount is missing',
    change: { mounts: mountsWithout('/home') },
    ids: ['mounted:/home'],
    says: /nothing is mounted/,
  },
  {
    title: 'a mount comes from another device, as its name leads elsewhere',
    change: {
      mounts: [...mountsWithout('/home'), { ...mount('/home', '/home'), source: '/dev/vdb' }],
    },
    ids: ['mounted:/home'],
    says: /it comes from \/dev\/vdb.*leads to \/dev\/dm-0 now/s,
  },
  {
    title: 'a mount has another subvolume',
    change: { mounts: [...mountsWithout('/home'), mount('/home', '/nix')] },
    ids: ['mounted:/home'],
    says: /subvolume is \/nix/,
  },
  {
    title: 'a mount lacks an option',
    change: {
      mounts: [...mountsWithout('/home'), { ...mount('/home', '/home'), options: ['rw', 'compress=zstd:3'] }],
    },
    ids: ['mounted:/home'],
    says: /noatime is missing/,
  },
  {
    title: 'the machine id is new',
    change: { machineId: 'f'.repeat(32) },
    ids: ['machine-id-stable'],
    says: /made anew/,
  },
  { title: 'the machine id is no id', change: { machineId: 'uninitialized' }, ids: ['machine-id-stable'] },
  {
    title: 'the journals of earlier boots are not found',
    change: { journalBoots: 1 },
    ids: ['machine-id-stable'],
    says: /list-boots knows 1/,
  },
  {
    title: 'the host key is new',
    change: { hostKeys: new Map([...GOOD.hostKeys].map(([file]) => [file, 'other'])) },
    ids: ['ssh-host-keys-stable'],
    says: /another key/,
  },
  { title: 'there is no host key', change: { hostKeys: new Map() }, ids: ['ssh-host-keys-stable'] },
  {
    title: 'a unit failed',
    change: { failedUnits: ['x.service loaded failed failed X'], state: 'degraded' },
    ids: ['no-failed-units'],
    says: /x\.service/,
  },
  {
    title: 'an older generation was booted',
    change: { links: { ...GOOD.links, current: 'o', booted: 'o' } },
    ids: ['generation'],
    says: /the running system is o, the booted one o.*another generation than the newest/s,
  },
  {
    title: 'it was switched to another system behind our back',
    change: { links: { ...GOOD.links, booted: 'o' } },
    ids: ['generation'],
  },
  {
    title: 'there is no system profile',
    change: { links: { ...GOOD.links, generation: '', profile: '' } },
    ids: ['generation'],
    says: /it leads to nothing.*was not kept/s,
  },
  { title: 'systemd is not done', change: { state: 'starting' }, ids: ['no-failed-units'] },
  {
    title: 'everybody can read the ESP',
    change: { paths: new Map([...watched(), ['/boot', facts('/boot', '1:1', { mode: '755' })]]) },
    ids: ['esp-private:/boot'],
    says: /umask=0077/,
  },
  { title: 'swap is not in use', change: { swaps: [] }, ids: ['swap-active'] },
  {
    title: 'the rollback wrote nothing',
    change: { journal: JOURNAL.filter(({ writer }) => writer === undefined) },
    ids: ['rollback-log'],
  },
  {
    title: 'the rollback wrote in another order',
    change: {
      journal: [
        ...JOURNAL.filter(({ writer }) => writer === undefined),
        said('Re-creating root subvolume'),
        said('Deleting subvolume /mnt/root'),
      ],
    },
    ids: ['rollback-log'],
  },
  {
    title: 'the log lies',
    change: { subvolumes: [...GOOD.subvolumes, { id: 257, path: 'root/srv', uuid: 'srv-1' }] },
    ids: ['rollback-log'],
    says: /still on the disk/,
  },
  {
    title: 'the rollback ran too late',
    change: {
      journal: [
        ...JOURNAL.filter(({ about }) => about !== 'sysroot.mount'),
        ...unit('sysroot.mount', 22, 24),
      ],
    },
    ids: ['rollback-order'],
    says: /began at .* before rollback\.service was done/,
  },
  {
    title: 'the rollback ran before the disk was unlocked',
    change: {
      journal: [
        ...JOURNAL.filter(({ about }) => !about?.startsWith('systemd-crypt')),
        ...unit('systemd-cryptsetup@cryptfs.service', 10, 29),
      ],
    },
    ids: ['rollback-order'],
  },
  {
    title: 'the rollback did not run',
    change: {
      journal: JOURNAL.filter(({ about, writer }) => about !== 'rollback.service' && writer === undefined),
    },
    ids: ['rollback-log', 'rollback-order'],
    says: /none|no trace/,
  },
];

void t.test('a boot that was cut may have left a journal, and no other may', (t) => {
  const cut = { kind: 'power-cut-at', text: 'x', during: 'boot', place: PLACE } as const;
  const [first, ...others] = scenario.steps;
  if (first === undefined) throw new Error('the scenario has no steps');
  // One cut before boot 1, one before boot 2, one behind it.
  const of = { ...scenario, steps: [cut, first, cut, { kind: 'power-cut' } as const, cut, ...others] };
  const verdicts = [1, 2, 3, 4, 5].map((journalBoots) => broken(checkBoot(contextOf({ journalBoots }, of))));
  t.strictSame(verdicts, [['machine-id-stable'], [], [], [], ['machine-id-stable']]);
  t.end();
});

function never(): never {
  throw new Error('the fixture has a root subvolume');
}

void t.test('each breakage is found, and nothing else is accused', (t) => {
  for (const { title, change, ids, says } of BREAKAGES) {
    const findings = checkBoot(contextOf(change));
    t.strictSame(broken(findings).sort(), [...ids].sort(), title);
    if (says !== undefined) t.match(explain(findings, ids[0] ?? ''), says, title);
  }
  t.end();
});

void t.test('a line of the log is about the subvolume with the longest name that fits', (t) => {
  const blank = { id: 258, path: 'root-blank', uuid: 'blank' };
  const nested = { id: 259, path: 'root/root-blank', uuid: 'nested' };
  const judge = (now: readonly Subvolume[]): string[] => {
    const context = contextOf({
      journal: [
        ...JOURNAL.filter(({ writer }) => writer === undefined),
        said('Deleting subvolume /mnt/root/root-blank'),
        said('Deleting subvolume /mnt/root'),
        said('Re-creating root subvolume'),
      ],
      subvolumes: [...GOOD.subvolumes, ...now],
    });
    const before = [ROOT, blank, nested];
    return broken(
      checkBoot({ ...context, planted: [{ plan, evidence: { ...planted, subvolumes: before } }] }),
    );
  };
  t.strictSame(judge([blank]), [], 'the blank snapshot is not what was deleted');
  t.strictSame(judge([blank, nested]), ['rollback-log'], 'the one inside the root is');
  t.end();
});

void t.test('a boot that never came up is judged by its forwarded journal', (t) => {
  const line = (at: number, writer: string, message: string): string =>
    `[${at.toFixed(6).padStart(12)}] ${writer}: ${message}\n`;
  const crypt =
    line(5, 'systemd[1]', 'Starting systemd-cryptsetup@cryptfs.service - Cryptography Setup...') +
    line(6, 'systemd[1]', 'Finished systemd-cryptsetup@cryptfs.service - Cryptography Setup.');
  const late =
    crypt +
    line(6.1, 'systemd[1]', 'Mounting sysroot.mount - /sysroot...') +
    line(6.2, 'systemd[1]', 'Mounted sysroot.mount - /sysroot.') +
    line(6.3, 'systemd[1]', 'Starting rollback.service - Rollback...') +
    line(6.4, 'rollback-start[242]', 'Deleting subvolume /mnt/root') +
    line(6.5, 'systemd[1]', 'Finished rollback.service - Rollback.');
  const good =
    crypt +
    line(6.1, 'systemd[1]', 'Starting rollback.service - Rollback...') +
    line(6.2, 'systemd[1]', 'Finished rollback.service - Rollback.') +
    line(6.3, 'systemd[1]', 'Mounting sysroot.mount - /sysroot...') +
    line(6.4, 'systemd[1]', 'Mounted sysroot.mount - /sysroot.');
  const judge = (text: string): string[] =>
    broken(checkFailedBoot(scenario, { boot: 1, journal: parseForwardedJournal(text, scenario) }));
  t.strictSame(judge(late), ['rollback-order']);
  t.strictSame(judge(good), []);
  t.strictSame(judge(late + good), [], 'only the last boot counts');
  t.equal(
    parseForwardedJournal(late, scenario).filter(({ writer }) => writer === 'rollback.service').length,
    1,
  );
  t.end();
});

/** Where the layout keeps things, from the top level of the btrfs. */
const PLACES: Readonly<Record<string, string>> = {
  '/home': 'home',
  '/nix': 'nix',
  '/persist': 'persist',
  '/var/log': 'log',
  '/etc/nixos': 'persist/system/etc/nixos',
  '/etc/NetworkManager/system-connections': 'persist/system/etc/NetworkManager/system-connections',
  '/var/db/sudo': 'persist/system/var/db/sudo',
  '/var/lib/systemd/coredump': 'persist/system/var/lib/systemd/coredump',
};
const CANARIES_ON_DISK = new Map(
  [...keptCanaries].map(([file, planted]) => {
    const path = `${PLACES[file.replace(/\/imperm-canary-1$/, '')] ?? 'nowhere'}/imperm-canary-1`;
    return [path, { ...planted, path, inode: '41:1' }] as const;
  }),
);

void t.test('the powered-off disk is judged', (t) => {
  const evidence: DiskEvidence = {
    partitionTable: { valid: true, output: 'No problems found.' },
    luks: [{ name: 'cryptfs', valid: true, headerDigest: 'h', output: '' }],
    fileSystems: [{ device: '/dev/mapper/cryptfs', fsType: 'btrfs', clean: true, output: '' }],
    blocks: [],
    trees: new Map(),
    volumes: [{ device: '/dev/mapper/cryptfs', subvolumes: [], canaries: CANARIES_ON_DISK }],
    canaryPaths: ['root/imperm-canary-2', 'home/imperm-canary-1'],
  };
  const judge = (change: Partial<DiskEvidence>, wasCut = false): string[] => {
    const context: DiskContext = {
      scenario,
      evidence: { ...evidence, ...change },
      installed: { headers: new Map([['cryptfs', 'h']]) },
      planted: [
        { plan, evidence: planted },
        { plan: planCanaries(scenario, 2), evidence: { ...planted, boot: 2, canaries: new Map() } },
      ],
      wasCut,
    };
    return broken(checkDisk(context));
  };
  t.strictSame(judge({}), []);
  const volume = (canaries: DiskVolume['canaries']): Partial<DiskEvidence> => ({
    volumes: [{ device: '/dev/mapper/cryptfs', subvolumes: [], canaries }],
  });
  const lost = new Map(CANARIES_ON_DISK);
  lost.delete('persist/system/etc/nixos/imperm-canary-1');
  t.strictSame(judge(volume(lost)), ['kept:/etc/nixos'], 'shown by the running system, not on the disk');
  const file = 'home/imperm-canary-1';
  const changed = new Map<string, FileFacts>([
    ...CANARIES_ON_DISK,
    [file, facts(file, '41:1', { digest: 'bb' })],
  ]);
  t.strictSame(judge(volume(changed)), ['kept:/home']);
  t.strictSame(
    judge({ volumes: [] }).sort(),
    Object.keys(PLACES)
      .map((file) => `kept:${file}`)
      .sort(),
    'what could not be read proves nothing',
  );
  t.strictSame(judge({ partitionTable: { valid: false, output: 'Problem: overlap' } }), ['disk-clean']);
  t.strictSame(judge({ luks: [{ name: 'cryptfs', valid: false, headerDigest: 'h', output: 'bad' }] }), [
    'disk-clean',
  ]);
  t.strictSame(judge({ luks: [{ name: 'cryptfs', valid: true, headerDigest: 'x', output: '' }] }), [
    'disk-clean',
  ]);
  t.strictSame(
    judge({ fileSystems: [{ device: '/dev/x', fsType: 'btrfs', clean: false, output: 'ERROR' }] }),
    ['disk-clean'],
  );
  t.strictSame(judge({ canaryPaths: ['root/var/lib/imperm-canary-1'] }), ['gone:/']);
  const esp = (output: string): Partial<DiskEvidence> => ({
    fileSystems: [{ device: '/dev/x', fsType: 'vfat', clean: false, output }],
  });
  const dirty =
    '0x25: Dirty bit is set. Fs was not properly unmounted and some data may be corrupt.\n Automatically removing dirty bit.\n\nLeaving filesystem unchanged.\n/dev/vda1: 17 files, 6475/130811 clusters';
  t.strictSame(judge(esp(dirty)), ['disk-clean'], 'left mounted by an orderly power-off');
  t.strictSame(judge(esp(dirty), true), [], 'the power was cut');
  t.strictSame(judge(esp(`${dirty}\nFATs differ but appear to be intact.`), true), ['disk-clean']);
  t.end();
});

void t.test('a file that is to be bound is no link, from the boot on in which its source is there', (t) => {
  const source = '/persist/system/etc/machine-id';
  const found = GOOD.paths.get('/etc/machine-id') ?? never();
  const link = { ...found, type: 'l', target: source, inode: '9:9' };
  const lookAt = (bound: boolean, boot = 2): string => {
    const promises = scenario.promises.map((promise) =>
      promise.kind === 'kept' && promise.path === '/etc/machine-id' && bound
        ? { ...promise, bound: true as const }
        : promise,
    );
    const paths = new Map([...GOOD.paths, ['/etc/machine-id', link]]);
    return explain(checkBoot(contextOf({ boot, paths }, { ...scenario, promises })), 'kept:/etc/machine-id');
  };
  t.match(lookAt(true), /it is a link \| .*replace the link.*impermanence#175/);
  t.equal(lookAt(true, 1), 'nothing found | ', 'before that there is nothing to bind');
  t.equal(lookAt(false), 'nothing found | ', 'where a link is fine');
  const without = new Map([...GOOD.paths, ['/etc/machine-id', link]] as const);
  without.delete(source);
  t.match(
    explain(checkBoot(contextOf({ paths: without })), 'kept:/etc/machine-id'),
    /does not exist \| .*nobody has made the file yet/,
  );
  t.end();
});

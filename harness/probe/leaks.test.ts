// What leaks is found, all kinds of it, and nothing else is called a leak: from lists that `find` really made, and from
// what only a machine has (other owners, nested subvolumes, canaries).
import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import t from 'tap';

import { quote, repositoryRoot } from '../core/index.js';
import { loadScenario, type Scenario } from '../scenario/index.js';
import { planDiskTrees } from './disk-trees.js';
import type { Mount } from './evidence.js';
import { findLeaks } from './find-leaks.js';
import { findStores } from './find-orphans.js';
import { inspectDisk } from './inspect.js';
import type { Leak, LeakEvidence } from './leak.js';
import { nixString } from './leak-nix.js';
import type { FileFacts, Listing } from './listing.js';
import { collectOwners, findOwner, type OwnerEvidence } from './owners.js';
import { collectRoot } from './root-tree.js';
import { listTree, parseTree, type Tree } from './tree.js';

/** A directory as `find` begins to tell of it. */
const ROOT_LINE = ['.', 'd', '755', ''].join('\0');
const BOUNDARY = 'b0undary';
const scenario = await loadScenario(path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'));
const NOBODY: OwnerEvidence = { owners: [], users: new Map([[0, 'root']]), groups: new Map([[0, 'root']]) };

function facts(file: string, type: string, change: Partial<FileFacts> = {}): FileFacts {
  const digest = type === 'f' ? { digest: 'aa' } : {};
  const target = type === 'l' ? '/nowhere' : '';
  return {
    path: file,
    type,
    mode: type === 'd' ? '755' : type === 'l' ? '777' : '644',
    uid: 0,
    gid: 0,
    sizeBytes: 3,
    mtime: '1.0',
    target,
    links: 1,
    inode: `40:${String(file.length + 1000)}`,
    attributes: [],
    ...digest,
    ...change,
  };
}

/** @param lines Type and path of each; a directory above has to be named, too. */
function listing(
  lines: readonly string[],
  changes: Readonly<Record<string, Partial<FileFacts>>> = {},
): Listing {
  return new Map(
    ['d /', ...lines].map((line) => {
      const [type, file] = [line.slice(0, 1), line.slice(2)];
      return [file, facts(file, type, changes[file])] as const;
    }),
  );
}

function evidenceOf(
  roots: { readonly fresh: readonly Listing[]; readonly end: Listing },
  change: Partial<LeakEvidence> = {},
): LeakEvidence {
  return {
    fresh: new Map(roots.fresh.map((entries, index) => [index + 1, { entries }])),
    lastBoot: roots.fresh.length,
    end: { view: 'disk', tree: { entries: roots.end } },
    stores: new Map(),
    owners: NOBODY,
    ...change,
  };
}

function told(leaks: readonly Leak[] | undefined): string[] {
  return (leaks ?? [])
    .map(({ path: file, kind, changes }) => `${kind} ${file}: ${changes.join(', ')}`)
    .sort();
}

function list(folder: string, scratch: string): Tree {
  const script = `cd ${quote(folder)} && ${listTree({ without: ['tmp', 'a*'], digests: true, scratch })}`;
  const { status, stdout } = spawnSync('bash', ['-c', script]);
  return parseTree({ exitCode: status ?? 1, output: stdout });
}

void t.test('every kind of change is found on a real file system', (t) => {
  const dir = t.testdir({
    scratch: {},
    root: {
      etc: { same: 'same', id: 'boot 1', edited: 'before', mode: 'mode', sameSize: 'aaaa' },
      var: { lib: { known: { every: 'boot' } } },
      srv: {},
      tmp: { before: 'x' },
      'a*': { left: 'out' },
      ab: { listed: 'yes' },
    },
  });
  const root = path.join(dir, 'root');
  const at = (...names: readonly string[]): string => path.join(root, ...names);
  const look = (): Tree => list(root, path.join(dir, 'scratch'));
  const first = look();
  writeFileSync(at('etc/id'), 'boot 2');
  const second = look();
  mkdirSync(at('var/lib/empty-directory'));
  writeFileSync(at('var/lib/empty'), '');
  symlinkSync('/nowhere', at('etc/link'));
  chmodSync(at('etc/mode'), 0o600);
  chmodSync(at('srv'), 0o700);
  appendFileSync(at('etc/edited'), ' and after');
  writeFileSync(at('etc/sameSize'), 'bbbb');
  writeFileSync(at('etc/two\nlines'), 'n');
  writeFileSync(at('etc/${HOME}"\\'), 'd');
  writeFileSync(Buffer.concat([Buffer.from(at('etc/')), Buffer.from([0xff])]), 'no UTF-8');
  writeFileSync(Buffer.concat([Buffer.from(at('etc/')), Buffer.from([0xfe])]), 'no UTF-8 either');
  mkdirSync(at('var/lib/app/deep'), { recursive: true });
  for (const name of ['one', 'two', 'deep/three']) writeFileSync(at('var/lib/app', name), name);
  symlinkSync('one', at('var/lib/app/current'));
  writeFileSync(at('tmp/after'), 'not state');
  writeFileSync(at('a*/after'), 'left out');
  const end = look();
  if (first.entries === undefined || second.entries === undefined || end.entries === undefined)
    throw new Error(first.problem ?? second.problem ?? end.problem);
  const leaks = findLeaks(scenario, evidenceOf({ fresh: [first.entries, second.entries], end: end.entries }));
  t.strictSame(told(leaks.lost), [
    'directory /srv: mode 0755 → 0700',
    'directory /var/lib/app: new',
    'directory /var/lib/empty-directory: new',
    'file /etc/${HOME}"\\: new',
    'file /etc/\\xfe: new',
    'file /etc/\\xff: new',
    'file /etc/edited: content',
    'file /etc/mode: mode 0644 → 0600',
    'file /etc/sameSize: content',
    'file /etc/two\nlines: new',
    'file /var/lib/empty: new',
    'link /etc/link: new',
  ]);
  t.strictSame(told(leaks.remade), ['file /etc/id: content']);
  t.match(leaks.lost?.find(({ path: file }) => file === '/var/lib/app')?.content, {
    files: 3,
    directories: 1,
    links: 1,
    sizeBytes: 'onetwodeep/three'.length,
    sample: ['current', 'deep/three', 'one'],
  });
  t.strictSame(leaks.missing, []);
  t.equal(list(path.join(dir, 'nowhere'), path.join(dir, 'scratch')).entries, undefined);
  t.end();
});

void t.test('owners, nested subvolumes and what each boot makes', (t) => {
  const lines = [
    'd /etc',
    'f /etc/owned',
    'f /etc/machine-id',
    'l /etc/resolv.conf',
    'd /var',
    'd /var/lib',
    'd /root',
  ];
  const ids = (digest: string): Record<string, Partial<FileFacts>> => ({ '/etc/machine-id': { digest } });
  const fresh = [
    listing([...lines, 'f /etc/first'], ids('11')),
    listing(lines, ids('22')),
    listing(lines, ids('33')),
  ];
  const end = listing(
    [
      ...lines,
      'd /var/lib/ct',
      'f /var/lib/ct/file',
      'd /var/lib/ct/sub',
      'f /root/a',
      'f /root/b',
      's /var/lib/socket',
      'd /var/tmp',
      'd /var/tmp/systemd-private-1',
      'f /var/tmp/systemd-private-1/x',
    ],
    {
      ...ids('33'),
      '/etc/owned': { uid: 33, gid: 1234 },
      '/etc/resolv.conf': { target: '/elsewhere' },
      '/var/lib/ct': { inode: '41:256' },
      '/var/lib/ct/file': { inode: '41:257' },
      '/var/lib/ct/sub': { inode: '42:256' },
    },
  );
  const owners = { ...NOBODY, users: new Map([[33, 'www-data']]) };
  const leaks = findLeaks(scenario, evidenceOf({ fresh, end }, { owners }));
  t.strictSame(told(leaks.lost), [
    'directory /root: all that is in it',
    'directory /var/tmp: new',
    'file /etc/owned: owner root:root → www-data:1234',
    'link /etc/resolv.conf: target /nowhere → /elsewhere',
    'socket /var/lib/socket: new',
    'subvolume /var/lib/ct: new',
  ]);
  t.match(leaks.lost?.find(({ path: file }) => file === '/var/lib/ct')?.content, { subvolumes: 1, files: 1 });
  t.strictSame(told(leaks.remade), ['file /etc/machine-id: content']);
  t.match(leaks.remade?.[0], { owner: 'systemd', because: 'well known' });
  t.strictSame(
    told(findLeaks(scenario, evidenceOf({ fresh, end: fresh[2] ?? end })).lost),
    [],
    'and no more',
  );
  const shifted = listing([...lines, 'f /etc/shift'], { ...ids('44') });
  const late = findLeaks(scenario, evidenceOf({ fresh: [...fresh.slice(0, 2), shifted], end: shifted }));
  t.strictSame(told(late.lost), ['file /etc/shift: new'], 'made by this boot and by no other');
  t.end();
});

void t.test('canaries are left out, with the folders made for them', (t) => {
  const lines = ['d /etc', 'd /srv'];
  const fresh = [listing(lines), listing(lines)];
  const planted = [
    'd /etc/imperm-canary-2',
    'f /etc/imperm-canary-2/file',
    'd /opt',
    'd /opt/imperm-canary-2',
    'd /srv/imperm-canary-2',
  ];
  const clean = findLeaks(scenario, evidenceOf({ fresh, end: listing([...lines, ...planted]) }));
  t.strictSame([clean.lost, clean.remade, clean.nix, clean.missing], [[], [], '', []]);
  const used = findLeaks(scenario, evidenceOf({ fresh, end: listing([...lines, ...planted, 'f /opt/app']) }));
  t.strictSame(told(used.lost), ['directory /opt: new']);
  t.end();
});

void t.test('what could not be looked at is never shown as nothing', (t) => {
  const entries = listing(['d /etc']);
  const good = evidenceOf({ fresh: [entries, entries], end: entries });
  t.strictSame(findLeaks(scenario, good).lost, []);
  const kept = listing(['d /etc', 'd /etc/imperm-canary-1']);
  const cases: [Partial<LeakEvidence>, RegExp][] = [
    [{ fresh: new Map([[1, { entries }]]) }, /not listed at the start of boot 2/],
    [
      {
        fresh: new Map([
          [1, { entries }],
          [2, { problem: 'EIO' }],
        ]),
      },
      /start of boot 2: EIO/,
    ],
    [{ end: { view: 'disk', tree: { problem: 'no such device' } } }, /end of boot 2: no such device/],
    [
      {
        fresh: new Map([
          [1, { entries }],
          [2, { entries: kept }],
        ]),
      },
      /root is not wiped/,
    ],
  ];
  for (const [change, pattern] of cases) {
    const leaks = findLeaks(scenario, { ...good, ...change });
    t.strictSame([leaks.lost, leaks.remade], [undefined, undefined]);
    t.match(leaks.missing.join(), pattern);
  }
  const once = findLeaks(scenario, { ...good, fresh: new Map([[1, { entries }]]), lastBoot: 1 });
  t.strictSame([once.lost, once.remade], [[], undefined]);
  t.match(once.missing.join(), /only one boot/);
  const store = findLeaks(scenario, { ...good, stores: new Map([['/persist', { problem: 'locked' }]]) });
  t.equal(store.orphans, undefined);
  t.match(store.missing.join(), /\/persist could not be read: locked/);
  const broken: [string, number, RegExp][] = [
    ['', 0, /exit code 0/],
    ['mount: permission denied\n', 32, /permission denied/],
    [ROOT_LINE + '0\0'.repeat(7) + '@@\0@@\0find: ./x: Input/output error\n\0', 1, /Input\/output error/],
  ];
  for (const [output, exitCode, pattern] of broken)
    t.match(parseTree({ exitCode, output: Buffer.from(`${output}\n`) }).problem, pattern);
  t.end();
});

void t.test('what nothing declares in a store is an orphan', async (t) => {
  const declared = [
    'd /system',
    'd /system/etc',
    'd /system/etc/nixos',
    'f /system/etc/nixos/configuration.nix',
    'f /system/etc/machine-id',
    'd /system/etc/ssh',
    'f /system/etc/ssh/ssh_host_ed25519_key',
    'f /system/etc/ssh/ssh_host_ed25519_key.pub',
    'd /imperm-canary-1',
    'd /secrets',
    'f /secrets/alice',
    'd /links',
    'f /links/target',
  ];
  const of: Scenario = {
    ...scenario,
    system: {
      ...scenario.system,
      tmpfiles: ['L+ /var/lib/x - - - - /persist/links/target'],
      users: [
        {
          name: 'alice',
          isNormalUser: true,
          hashedPasswordFile: '/persist/secrets/alice',
          place: { file: '', line: 1, col: 1 },
        },
      ],
    },
  };
  const orphans = [
    'd /system/var', // On the way to what is declared, as the next one.
    'd /system/var/lib',
    'd /system/var/lib/bluetooth',
    'f /system/var/lib/bluetooth/info',
    'f /system/etc/stray',
    'd /system/etc/empty',
    'l /link',
    'f /secrets/bob',
  ];
  const entries = listing(['d /etc']);
  const judge = (lines: readonly string[]): readonly Leak[] | undefined =>
    findLeaks(of, {
      ...evidenceOf({ fresh: [entries, entries], end: entries }),
      stores: new Map([['/persist', { entries: listing(lines) }]]),
    }).orphans;
  t.strictSame(judge(declared), []);
  const found = judge([...declared, ...orphans]);
  t.strictSame(told(found), [
    'directory /persist/system/etc/empty: not declared',
    'directory /persist/system/var/lib/bluetooth: not declared',
    'file /persist/secrets/bob: not declared',
    'file /persist/system/etc/stray: not declared',
    'link /persist/link: not declared',
  ]);
  t.strictSame(findStores(of), [{ path: '/persist', mountPoint: '/persist' }]);
  const bound = await loadScenario(path.join(repositoryRoot, 'scenarios/tmpfs-luks-ext4/scenario.yaml'));
  t.strictSame(findStores(bound), [{ path: '/nix/persist', mountPoint: '/nix' }], 'sources of bind mounts');
  const onNix: Scenario = {
    ...scenario,
    system: {
      ...scenario.system,
      openssh: { hostKeys: [] },
      fileSystems: scenario.system.fileSystems.filter(({ mountPoint }) => mountPoint !== '/persist'),
      persistence: scenario.system.persistence.map((each) => ({
        ...each,
        root: '/nix/persist',
        directories: [],
        files: [],
      })),
    },
  };
  t.strictSame(
    findStores(onNix),
    [{ path: '/nix/persist', mountPoint: '/nix' }],
    'not all of a volume with another use',
  );
});

function mount(mountPoint: string, root: string): Mount {
  return { mountPoint, root, fsType: 'btrfs', source: '/dev/mapper/cryptfs', options: [] };
}

void t.test('the disk is looked at where the system was mounted from', (t) => {
  const mounts = [
    mount('/', '/root'),
    mount('/home', '/root/home'),
    mount('/persist', '/@persist'),
    mount('/etc/x', '/root/var/x'),
  ];
  const subvolumes = [{ id: 5, path: 'root/home', uuid: 'u' }];
  const trees = planDiskTrees(scenario, { mounts, subvolumes });
  t.match(trees, [
    { name: 'root', device: '/dev/mapper/cryptfs', folder: 'root', digests: true },
    { name: '/persist', folder: '@persist', without: [], digests: false },
  ]);
  t.ok(trees[0]?.without.includes('home'), 'a subvolume with a mount point of its own is not of the root');
  t.notOk(trees[0]?.without.includes('var/x'), 'a folder that is bound elsewhere is');
  const collection = inspectDisk(scenario, {
    device: '/dev/vda',
    passphraseFile: '/run/x',
    trees: [...trees, ...trees.slice(0, 1).map((tree) => ({ ...tree, name: 'far', device: '/dev/zfs' }))],
    boundary: BOUNDARY,
  });
  const names = [...collection.script.matchAll(/^begin (\S+); /gm)].map(([, name = '']) => name);
  const answer = (code: number): Buffer =>
    Buffer.from(
      names
        .map(
          (name) =>
            `\n@@${BOUNDARY} ${name}\n${ROOT_LINE}${'0\0'.repeat(7)}@@\0@@\0\0\n@@${BOUNDARY} = ${String(name.startsWith('mount-') ? code : 0)}\n`,
        )
        .join(''),
    );
  const seen = collection.parse(answer(0)).trees;
  t.strictSame([...(seen.get('root')?.entries?.keys() ?? [])], ['/']);
  t.match(seen.get('far')?.problem, /cannot read \/dev\/zfs/);
  t.match(collection.parse(answer(1)).trees.get('/persist')?.problem, /could not be mounted/);
  for (const each of [
    collection.script,
    collectRoot({ mounts, subvolumes }, { boundary: BOUNDARY }).script,
    collectOwners({ boundary: BOUNDARY }).script,
  ])
    t.equal(spawnSync('bash', ['-n'], { input: each }).status, 0);
  t.end();
});

void t.test('owners are read from units, tmpfiles.d and packages', (t) => {
  const collection = collectOwners({ boundary: BOUNDARY });
  const outputs: Record<string, string> = {
    units:
      '/etc/systemd/system/app.service:StateDirectory=app app/sub:link %i\n/etc/systemd/system/log.service.d/x.conf:LogsDirectory=logs\nnoise\n',
    tmpfiles:
      '/usr/lib/tmpfiles.d/foo.conf:d /var/lib/foo/ 0755 - - -\n/usr/lib/tmpfiles.d/var.conf:d /var/lib 0755\n/etc/tmpfiles.d/g.conf:z /var/glob* 0755\n',
    packages: '/etc/pam.d\tlibpam\n',
    users: 'root:x:0:0::/root:/bin/bash\nweb:x:33:33::/:/bin/sh\n',
    groups: 'web:x:33:\n',
  };
  const names = [...collection.script.matchAll(/^begin (\S+); /gm)].map(([, name = '']) => name);
  const output = names
    .map((name) => `\n@@${BOUNDARY} ${name}\n${outputs[name] ?? ''}\n@@${BOUNDARY} = 0\n`)
    .join('');
  const { owners, users } = collection.parse(Buffer.from(output));
  t.equal(users.get(33), 'web');
  const of = (file: string): string | undefined => {
    const owner = findOwner(file, owners);
    return owner === undefined ? undefined : `${owner.name} ${owner.because}`;
  };
  t.equal(of('/var/lib/app/x'), 'app.service StateDirectory=');
  t.equal(of('/var/lib/private/app'), 'app.service StateDirectory=');
  t.equal(of('/var/log/logs/a'), 'log.service LogsDirectory=');
  t.equal(of('/var/lib/foo/x'), 'foo tmpfiles.d');
  t.equal(of('/etc/pam.d/new'), 'libpam package');
  t.equal(of('/var/lib'), undefined);
  t.equal(of('/var/lib/other'), undefined, 'who makes /var/lib does not own what is in it');
  t.equal(of('/home/alice/x'), 'homes well known');
  t.equal(of('/var/lib/systemd/coredump/c'), 'systemd-coredump well known');
  t.end();
});

void t.test('Nix is ready to paste', (t) => {
  t.equal(nixString('a"b\\c${d}$e\n\t'), String.raw`"a\"b\\c\${d}$e\n\t"`);
  t.equal(nixString('$${x}'), String.raw`"$\${x}"`);
  const lines = [
    'd /etc',
    'd /etc/ssh',
    'd /var',
    'd /var/lib',
    'd /var/lib/exists',
    'f /var/lib/exists/stable',
    'd /srv',
    'd /home',
  ];
  const fresh = [listing(lines), listing(lines)];
  const end = listing(
    [
      ...lines,
      'f /etc/x${y}',
      'f /etc/ssh/ssh_host_rsa_key',
      'd /var/lib/app',
      'f /var/lib/app/file',
      'd /var/lib/bluetooth',
      'f /var/lib/exists/new',
      'f /var/lib/exists/newer',
      'l /var/lib/link',
      'f /etc/shadow',
      'd /home/alice',
      'f /var/lib/two\nlines',
      'p /var/lib/pipe',
    ],
    {
      '/srv': { mode: '700', uid: 33 },
      '/var/lib/app': { uid: 33, gid: 33, mode: '750' },
      '/var/lib/bluetooth': { mode: '700' },
      '/home/alice': { uid: 1000, gid: 100, mode: '700' },
    },
  );
  const owners: OwnerEvidence = {
    owners: [],
    users: new Map([
      [33, 'web'],
      [1000, 'alice'],
    ]),
    groups: new Map([
      [33, 'web'],
      [100, 'users'],
    ]),
  };
  const { nix } = findLeaks(scenario, evidenceOf({ fresh, end }, { owners }));
  const code = nix
    .split('\n')
    .filter((line) => !/^\s*#/.test(line) && line !== '')
    .map((line) => line.trim());
  t.strictSame(code, [
    'environment.persistence."/persist/system" = {',
    'directories = [',
    '{ directory = "/home/alice"; user = "alice"; group = "users"; mode = "0700"; }',
    '{ directory = "/srv"; user = "web"; mode = "0700"; }',
    '{ directory = "/var/lib/app"; user = "web"; group = "web"; mode = "0750"; }',
    '{ directory = "/var/lib/bluetooth"; mode = "0700"; }',
    '"/var/lib/exists"',
    '];',
    'files = [',
    '"/etc/ssh/ssh_host_rsa_key"',
    String.raw`"/etc/x\${y}"`,
    String.raw`"/var/lib/two\nlines"`,
    '];',
    '};',
    'systemd.tmpfiles.rules = [',
    '"L+ /var/lib/link - - - - /nowhere"',
    '];',
  ]);
  t.match(nix, /impermanence\/issues\/175/);
  t.match(nix, /# Not to be declared: \/etc\/shadow\n#.*\n#.*users\.users/);
  t.match(nix, /# bluetooth \(paired devices\): \/var\/lib\/bluetooth, new/);
  const bare = { ...scenario, system: { ...scenario.system, persistence: [] } };
  t.match(findLeaks(bare, evidenceOf({ fresh, end })).nix, /^environment\.persistence\."\/persist" = \{/);
  t.end();
});

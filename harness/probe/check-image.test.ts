// An image judged: before its first boot, in its boots, and after the last.
import t from 'tap';

import { loadScenario, type ScenarioPromise } from '../scenario/index.js';
import { checkBoot } from './check-boot.js';
import { checkDisk } from './check-disk.js';
import { checkImage } from './check-image.js';
import { imageBootSections, imageDiskSections, parseImageBoot, parseImageDisk } from './collect-image.js';
import type { BootEvidence, DiskEvidence, Foreigner, ImageBootEvidence, ImageEvidence } from './evidence.js';
import type { Finding } from './finding.js';
import type { SectionResult } from './sections.js';

const all = await loadScenario('scenarios/btrfs-image/scenario.yaml');
const GIB = 1024 ** 3;

function only(kind: ScenarioPromise['kind']): typeof all {
  return { ...all, promises: all.promises.filter((promise) => promise.kind === kind) };
}

const SUBVOLUMES = ['@home', '@nix', '@persistent'].map((path, index) => ({
  id: 256 + index,
  path,
  uuid: `u-${path}`,
}));
const CHAGE: Foreigner = { path: '@nix/store/x-debian-system/usr/bin/chage', uid: 0, gid: 42 };
const IMAGE: ImageEvidence = {
  layout: { diskBytes: 12 * GIB, partitionEndBytes: 1.2 * GIB, partitionBytes: GIB, fileSystemBytes: GIB },
  topLevel: ['@home', '@nix', '@persistent'],
  subvolumes: SUBVOLUMES,
  foreignCount: 1,
  foreign: [CHAGE],
};
const BUILDER: Foreigner = { path: '@persistent', uid: 1000, gid: 100 };

function before(kind: ScenarioPromise['kind'], image: ImageEvidence | undefined): Finding | undefined {
  const evidence = { subvolumes: [], headers: new Map(), ...(image === undefined ? {} : { image }) };
  return checkImage(only(kind), evidence, [CHAGE])[0];
}

t.test('before the first boot', (t) => {
  t.match(before('image-subvolumes', IMAGE), { status: 'pass', found: /@home, @nix, @persistent/ });
  t.match(before('image-subvolumes', { ...IMAGE, subvolumes: SUBVOLUMES.slice(1) }), {
    status: 'fail',
    found: /@home is no subvolume/,
  });
  t.match(before('image-subvolumes', { ...IMAGE, topLevel: [...IMAGE.topLevel, 'etc'] }), {
    status: 'fail',
    found: /there is etc/,
  });
  t.match(before('image-subvolumes', undefined), { status: 'fail', found: /cannot be mounted/ });
  t.match(before('image-owners', IMAGE), { status: 'pass', found: /0:0, but for 1 path/ });
  t.match(before('image-owners', { ...IMAGE, foreignCount: 6001, foreign: [BUILDER] }), {
    status: 'fail',
    found: /6001 paths of 1000:100, @persistent first/,
  });
  t.match(
    before('image-owners', { ...IMAGE, foreign: [{ ...CHAGE, uid: 1 }] }),
    { status: 'fail' },
    'the base gives it to another',
  );
  t.match(before('grown', IMAGE), { status: 'pass' });
  t.match(before('grown', { ...IMAGE, layout: { ...IMAGE.layout!, diskBytes: 1.2 * GIB } }), {
    status: 'fail',
  });
  t.strictSame(checkImage(only('mounted'), { subvolumes: [], headers: new Map() }, []), []);
  t.end();
});

const SAID = { ok: true, output: '' };
const BOOT: ImageBootEvidence = {
  layout: {
    diskBytes: 12 * GIB,
    partitionEndBytes: 12 * GIB - 17408,
    partitionBytes: 11 * GIB,
    fileSystemBytes: 11 * GIB,
  },
  registrationGone: true,
  verify: { ok: true, output: 'checking path existence...' },
  validity: SAID,
  closure: { ok: true, output: '/nix/store/a\n/nix/store/b' },
  tmpfiles: ['systemd-tmpfiles: Setting owner of /var/log/journal'],
};

function boot(
  kind: ScenarioPromise['kind'],
  change: Partial<ImageBootEvidence> = {},
  more: Partial<BootEvidence> = {},
): Finding | undefined {
  const evidence = {
    boot: 1,
    devices: new Map([['/dev/disk/by-partlabel/nixos', '/dev/vda2']]),
    mounts: [{ mountPoint: '/nix', root: '/@nix', source: '/dev/vda2', fsType: 'btrfs', options: [] }],
    links: { profile: '/nix/store/b', current: '/nix/store/b', generation: '', booted: '' },
    image: { ...BOOT, ...change },
    ...more,
  } as unknown as BootEvidence;
  const session = { prompts: 0, scripts: new Map<string, never>() };
  return checkBoot({
    scenario: only(kind),
    evidence,
    session,
    how: 'power-on',
    planted: [],
    installed: [],
  })[0];
}

t.test('in a boot', (t) => {
  t.match(boot('image-subvolumes'), { status: 'pass' });
  const top = { mountPoint: '/mnt', root: '/', source: '/dev/vda2', fsType: 'btrfs', options: [] };
  t.match(boot('image-subvolumes', {}, { mounts: [top] }), { status: 'fail', found: /mounted at \/mnt/ });
  t.match(boot('grown'), { status: 'pass' });
  t.match(boot('grown', { layout: { ...BOOT.layout!, partitionEndBytes: 2 * GIB } }), {
    status: 'fail',
    cause: /did not grow the partition/,
  });
  t.match(boot('grown', { layout: { ...BOOT.layout!, fileSystemBytes: GIB } }), {
    status: 'fail',
    cause: /did not grow the file system/,
  });
  t.match(boot('registered'), { status: 'pass', found: /2 paths/ });
  t.match(boot('registered', { registrationGone: false }), { status: 'fail', found: /is still there/ });
  t.match(boot('registered', { verify: { ok: true, output: "path '/nix/store/b' disappeared" } }), {
    status: 'fail',
  });
  t.match(boot('registered', { validity: { ok: false, output: "path '/nix/store/c' is not valid" } }), {
    status: 'fail',
    evidence: ["path '/nix/store/c' is not valid"],
  });
  t.match(boot('registered', { closure: { ok: false, output: '' } }), { status: 'fail' });
  const links = { profile: '', current: '/nix/store/b', generation: '', booted: '' };
  t.match(boot('registered', {}, { links }), { status: 'fail', found: /profile leads to nothing/ });
  t.match(boot('tmpfiles-safe'), { status: 'pass' });
  t.match(
    boot('tmpfiles-safe', { tmpfiles: ['Detected unsafe path transition /persistent (owned by 1000)'] }),
    {
      status: 'fail',
      found: /unsafe path transition/,
    },
  );
  t.end();
});

function after(kind: ScenarioPromise['kind'], image: ImageEvidence | undefined): Finding | undefined {
  const evidence = { volumes: [], ...(image === undefined ? {} : { image }) } as unknown as DiskEvidence;
  const installed = { headers: new Map<string, string>(), image: IMAGE };
  return checkDisk({ scenario: only(kind), evidence, installed, planted: [], wasCut: false })[0];
}

t.test('after the last boot', (t) => {
  t.match(after('image-subvolumes', IMAGE), { status: 'pass' });
  const replaced = SUBVOLUMES.map((each) => (each.path === '@nix' ? { ...each, uuid: 'new' } : each));
  t.match(after('image-subvolumes', { ...IMAGE, subvolumes: replaced }), { status: 'fail', found: /^@nix/ });
  t.match(after('image-subvolumes', undefined), { status: 'fail' });
  const journal = { path: '@persistent/var/log/journal', uid: 0, gid: 999 };
  const planted = { path: '@home/imperm-canary-1/file', uid: 4711, gid: 4712 };
  t.match(after('image-owners', { ...IMAGE, foreignCount: 3, foreign: [CHAGE, journal, planted] }), {
    status: 'pass',
  });
  t.match(after('image-owners', { ...IMAGE, foreignCount: 2, foreign: [CHAGE, BUILDER] }), {
    status: 'fail',
    found: /after the last boot 1 path of 1000:100/,
  });
  t.match(
    after('image-owners', { ...IMAGE, foreignCount: 900 }),
    { status: 'fail' },
    'what was not seen proves nothing',
  );
  t.end();
});

t.test('what the machine prints is read back', (t) => {
  const results = (texts: Record<string, string>): Map<string, SectionResult> =>
    new Map(Object.entries(texts).map(([name, text]) => [name, { exitCode: 0, output: Buffer.from(text) }]));
  const layout =
    '25165824 264192 24899584\nLabel: none  uuid: 1\n\tTotal devices 1 FS bytes used 1\n\tdevid    1 size 12748587008 used 1 path /dev/vda2\n';
  t.match(parseImageBoot(all, results({ 'image-layout': layout, 'image-registration': '' })), {
    layout: {
      diskBytes: 12 * GIB,
      partitionEndBytes: (264192 + 24899584) * 512,
      fileSystemBytes: 12748587008,
    },
    registrationGone: true,
    verify: { ok: false },
  });
  const disk = parseImageDisk(
    all,
    results({
      'image-layout': 'nothing',
      'image-mount': '',
      'image-top': '@nix\n@home\n',
      'image-subvolumes': '',
      'image-foreign': '2\n1000:100 \0' + '0:42 @nix/a\nb\0',
    }),
  );
  t.match(disk, {
    topLevel: ['@nix', '@home'],
    foreignCount: 2,
    foreign: [
      { path: '', uid: 1000, gid: 100 },
      { path: '@nix/a\nb', uid: 0, gid: 42 },
    ],
  });
  t.equal(disk?.layout, undefined);
  t.equal(parseImageDisk(all, results({ 'image-top': '' })), undefined, 'it could not be mounted');
  const verify = (boot: number) => imageBootSections(all, boot).find(({ name }) => name === 'image-verify');
  t.match(verify(1), { command: /--verify --check-contents/ });
  t.notMatch(verify(2), { command: /check-contents/ }, 'once is enough, and takes long');
  const { image: _image, ...system } = all.system;
  t.strictSame([...imageBootSections({ ...all, system }, 1), ...imageDiskSections({ ...all, system })], []);
  t.end();
});

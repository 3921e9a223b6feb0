// The wrong disk is never written: each way in which a disk is not the one that was meant, or not free, refuses it.
import t from 'tap';

import type { BlockDevice, DisksEvidence } from './disks.js';
import { findAllowedDisk } from './guard.js';

const MAIN = { serial: 'S64DNF0R123456', model: 'Samsung SSD 980 PRO 1TB', sizeBytes: 1_000_204_886_016 };

function device(name: string, change: Partial<BlockDevice> = {}): BlockDevice {
  return {
    ...{ name, path: `/dev/${name}`, type: 'disk', isReadOnly: false, content: '', label: '', children: [] },
    ...MAIN,
    ...change,
  };
}

const PARTITION = { type: 'part', serial: '', model: '' };
const OTHER = device('nvme0n1', { serial: 'S64DNF0R123457' });

function evidence(disks: readonly BlockDevice[], change: Partial<DisksEvidence> = {}): DisksEvidence {
  return { disks, ids: new Map(), uses: new Map(), zfsPools: [], ...change };
}

function refusalsOf(found: DisksEvidence, wanted: Parameters<typeof findAllowedDisk>[1] = MAIN): string {
  const verdict = findAllowedDisk('main', wanted, found);
  return 'refusals' in verdict ? verdict.refusals.join('\n') : `allowed: ${verdict.device.path}`;
}

t.test('the disk that is meant, whatever the kernel calls it', (t) => {
  t.equal(refusalsOf(evidence([OTHER, device('nvme1n1')])), 'allowed: /dev/nvme1n1');
  t.equal(refusalsOf(evidence([device('sdb'), OTHER])), 'allowed: /dev/sdb');
  const told = [device('nvme1n1p1', { ...PARTITION, serial: MAIN.serial })];
  t.equal(
    refusalsOf(evidence([device('nvme1n1', { children: told })])),
    'allowed: /dev/nvme1n1',
    'a partition that shows the serial number of its disk is no other disk',
  );
  const children = [
    device('nvme1n1p1', { ...PARTITION, sizeBytes: 512 * 2 ** 20, content: 'vfat', label: 'BOOT' }),
    device('nvme1n1p2', { ...PARTITION, sizeBytes: 2 ** 30 }),
  ];
  const verdict = findAllowedDisk('main', MAIN, evidence([OTHER, device('nvme1n1', { children })]));
  t.match(verdict, {
    device: { name: 'nvme1n1' },
    holds: ['/dev/nvme1n1p1, 512 MiB: vfat, "BOOT"', '/dev/nvme1n1p2, 1024 MiB: nothing that is known'],
  });
  t.end();
});

t.test('another disk than the one that is meant', (t) => {
  t.equal(
    refusalsOf(evidence([OTHER, device('loop0', { type: 'loop', serial: '' })])),
    'No disk of this machine has the serial number S64DNF0R123456 of "main". It has: /dev/nvme0n1 (S64DNF0R123457).',
  );
  t.match(refusalsOf(evidence([])), /It has: none\.$/);
  t.match(refusalsOf(evidence([device('nvme0n1', { serial: '' })])), /\/dev\/nvme0n1 \(no serial number\)/);
  t.equal(
    refusalsOf(evidence([device('nvme1n1', { model: 'Samsung SSD 980 PRO 2TB' })])),
    '/dev/nvme1n1 has the serial number of "main" and is another model: Samsung SSD 980 PRO 2TB, not Samsung SSD 980 PRO 1TB.',
  );
  t.match(
    refusalsOf(evidence([device('nvme1n1', { sizeBytes: MAIN.sizeBytes + 512 })])),
    /another size: 1000204886528 bytes, not 1000204886016\.$/,
  );
  t.match(
    refusalsOf(evidence([device('nvme1n1', { model: '', sizeBytes: 1 })])),
    /another model: none.*\n.*another size/,
    'everything at once',
  );
  t.match(
    refusalsOf(evidence([OTHER], { ids: new Map([['/dev/nvme0n1', ['nvme-x']]]) }), {
      ...MAIN,
      id: 'nvme-x',
    }),
    /No disk of this machine has the serial number/,
    'its name in by-id alone is not enough',
  );
  t.end();
});

t.test('a serial number of several disks says nothing', (t) => {
  const twins = [device('nvme1n1'), device('nvme1n2')];
  const ids = new Map([
    ['/dev/nvme1n1', ['nvme-a_1', 'nvme-eui.1']],
    ['/dev/nvme1n2', ['nvme-a_2']],
  ]);
  t.match(refusalsOf(evidence(twins, { ids })), /^Several disks have .*: \/dev\/nvme1n1, \/dev\/nvme1n2\./);
  t.equal(refusalsOf(evidence(twins, { ids }), { ...MAIN, id: 'nvme-a_2' }), 'allowed: /dev/nvme1n2');
  t.match(
    refusalsOf(evidence(twins, { ids }), { ...MAIN, id: 'nvme-a_3' }),
    /has to be \/dev\/disk\/by-id\/nvme-a_3, .* is \/dev\/nvme1n1 \(nvme-a_1, nvme-eui\.1\), \/dev\/nvme1n2 \(nvme-a_2\)/,
  );
  const path = device('dm-0', { type: 'mpath' });
  const behind = device('sda', { children: [path] });
  t.match(refusalsOf(evidence([behind])), /^Several disks/, 'a disk and a path to it');
  t.end();
});

t.test('what is no whole disk, or cannot be written', (t) => {
  t.match(
    refusalsOf(evidence([device('sr0', { type: 'rom' })])),
    /^\/dev\/sr0 is no disk, but of the kind rom\.$/,
  );
  t.match(refusalsOf(evidence([device('nvme1n1', { isReadOnly: true })])), /^\/dev\/nvme1n1 is read-only\.$/);
  t.end();
});

t.test('a disk in use, wherever in it', (t) => {
  const mapped = device('dm-0', { ...PARTITION, type: 'crypt', path: '/dev/mapper/cryptfs' });
  const partition = device('nvme1n1p2', { ...PARTITION, children: [mapped] });
  const disk = device('nvme1n1', { children: [partition] });
  const used = (name: string, use: string): string =>
    refusalsOf(evidence([disk, OTHER], { uses: new Map([[name, [use]]]) }));
  t.equal(used('nvme1n1', 'mounted at /mnt'), '/dev/nvme1n1 is in use: mounted at /mnt.');
  t.equal(used('nvme1n1p2', 'held by cryptfs'), '/dev/nvme1n1p2 is in use: held by cryptfs.');
  t.equal(used('dm-0', 'swap'), '/dev/mapper/cryptfs is in use: swap.');
  t.equal(used('nvme0n1', 'mounted at /'), 'allowed: /dev/nvme1n1', 'that of another disk does not matter');
  t.end();
});

t.test('a member of a ZFS pool, when pools are imported', (t) => {
  const member = device('nvme1n1p1', { ...PARTITION, content: 'zfs_member', label: 'tank' });
  const disks = [device('nvme1n1', { children: [member] })];
  t.match(
    refusalsOf(evidence(disks, { zfsPools: ['tank'] })),
    /member of the ZFS pool tank, .* \(tank\): export them/,
  );
  t.equal(refusalsOf(evidence(disks)), 'allowed: /dev/nvme1n1');
  t.equal(refusalsOf(evidence([device('nvme1n1')], { zfsPools: ['tank'] })), 'allowed: /dev/nvme1n1');
  t.end();
});

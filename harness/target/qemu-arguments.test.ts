// How disks become devices.
import t from 'tap';

import { chooseFirmwareCode } from './firmware-code.js';
import type { MachineDisk, MachineSpec } from './machine-spec.js';
import { qemuArguments } from './qemu-arguments.js';

const SPEC: MachineSpec = { memoryMiB: 1024, boot: { from: 'disk' }, disks: [], nonce: 'n' };

function argumentsOf(spec: Partial<MachineSpec>, kind: 'kvm' | 'tcg' = 'tcg', vncSocket?: string): string[] {
  return qemuArguments(
    { ...SPEC, ...spec },
    {
      accelerator: { kind, reason: '', timeScale: kind === 'kvm' ? 1 : 4 },
      firmwareCode: '/code',
      nvramFile: '/vars',
      sockets: { qmp: '/q', serial: '/s', journal: '/j', agent: '/a' },
      firmwareStrings: [],
      ...(vncSocket === undefined ? {} : { vncSocket }),
    },
  );
}

/** The JSON arguments of a machine with these disks. */
function devicesOf(disks: readonly MachineDisk[]): Record<string, unknown>[] {
  return argumentsOf({ disks })
    .filter((arg) => arg.startsWith('{'))
    .map((arg) => JSON.parse(arg) as Record<string, unknown>)
    .filter((each) => 'bus' in each || 'size' in each);
}

const MAIN: MachineDisk = { name: 'main', bus: 'nvme', file: '/m', format: 'qcow2', bootIndex: 1 };

t.test('a disk is a device of its own, with sectors as wanted', (t) => {
  t.match(devicesOf([{ ...MAIN, sectorBytes: 4096 }]), [
    { driver: 'nvme', serial: 'main', logical_block_size: 4096, physical_block_size: 4096, bootindex: 1 },
  ]);
  t.match(devicesOf([{ ...MAIN, bus: 'virtio' }]), [{ driver: 'virtio-blk-pci', bus: 'disk0' }]);
  t.end();
});

t.test(
  'a CD comes first for the firmware, and is only there for a kernel that is started without it',
  (t) => {
    const drive = (boot: MachineSpec['boot']): unknown =>
      argumentsOf({ boot, cdrom: '/cd.iso' }).find((each) => each.includes('"scsi-cd"'));
    t.match(drive({ from: 'disk' }), /"bootindex":0/);
    // QEMU itself gives the first place to the kernel.
    t.notMatch(drive({ from: 'kernel', kernel: '/k', initrd: '/i', commandLine: '' }), /bootindex/);
    t.notOk(
      argumentsOf({}).some((each) => each.includes('scsi')),
      'no drive without a CD',
    );
    t.end();
  },
);

t.test('an emulated machine has one processor, unless somebody wants more', (t) => {
  const smp = (kind: 'kvm' | 'tcg', cpus?: number): string | undefined => {
    const args = argumentsOf(cpus === undefined ? {} : { cpus }, kind);
    return args[args.indexOf('-smp') + 1];
  };
  t.equal(smp('tcg'), '1');
  t.equal(smp('tcg', 4), '4');
  t.equal(smp('kvm'), '2');
  t.equal(smp('kvm', 1), '1');
  t.end();
});

t.test('a machine with Secure Boot keeps its variables from the system', (t) => {
  const secure = argumentsOf({ secureBoot: true });
  t.ok(secure.includes('driver=cfi.pflash01,property=secure,value=on'));
  t.ok(secure.some((each) => each.startsWith('q35,') && each.endsWith(',smm=on')));
  t.notOk(argumentsOf({ secureBoot: false }).some((each) => /smm|secure/.test(each)));
  const codes = { firmwareCode: '/code', secureFirmwareCode: '/secure-code' };
  t.equal(chooseFirmwareCode(codes, { secureBoot: true }), '/secure-code');
  t.equal(chooseFirmwareCode(codes, {}), '/code');
  t.throws(() => chooseFirmwareCode({ firmwareCode: '/code' }, { secureBoot: true }), {
    code: 'HOST_UNFIT',
    message: /no firmware with Secure Boot beside \/code/,
  });
  t.end();
});

t.test('namespaces are counted without gaps', (t) => {
  const other: MachineDisk = {
    name: 'other',
    bus: 'nvme',
    file: '/o',
    format: 'raw',
    namespace: { of: 'main', number: 4 },
  };
  const devices = devicesOf([MAIN, other]);
  t.match(devices[0], { driver: 'nvme', serial: 'main', drive: undefined });
  const namespaces = devices.filter(({ driver }) => driver === 'nvme-ns');
  t.strictSame(
    namespaces.map(({ nsid, drive, bus }) => [nsid, drive, bus]),
    [
      [1, 'node-main', 'dev-main'],
      [2, 'gap-2', 'dev-main'],
      [3, 'gap-3', 'dev-main'],
      [4, 'node-other', 'dev-main'],
    ],
  );
  t.equal(namespaces[0]?.['bootindex'], 1);
  t.equal(devices.filter(({ driver }) => driver === 'null-co').length, 2);
  t.end();
});

t.test('a screen is shown on a Unix socket alone, and only when it is wanted', (t) => {
  const plain = argumentsOf({ disks: [MAIN] });
  t.notOk(
    plain.some((arg) => /vnc|usb/.test(arg)),
    'as ever without it',
  );
  const shown = argumentsOf({ disks: [MAIN] }, 'tcg', '/x/v,nc');
  t.strictSame(shown.slice(0, plain.length), plain, 'nothing else changes, and no device moves');
  t.strictSame(shown.slice(plain.length), [
    '-vnc',
    'unix:/x/v,,nc',
    '-device',
    'qemu-xhci,id=usb',
    '-device',
    'usb-kbd,bus=usb.0',
  ]);
  const began = { from: 'kernel', kernel: 'k', initrd: 'i', commandLine: '' } as const;
  const restored = argumentsOf({ boot: { from: 'state', stateFile: '/s', began } }, 'tcg', '/v');
  t.ok(restored.includes('-vnc'));
  t.notOk(restored.includes('qemu-xhci,id=usb'), 'a restored machine has the devices that it had');
  t.end();
});

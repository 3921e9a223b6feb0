import type { Accelerator } from './accelerator.js';
import { ordinaryCpus, type DiskRate, type MachineDisk, type MachineSpec } from './machine-spec.js';
import type { LinePaths, MachineFiles } from './target.js';

const GAP_BYTES = 1024 * 1024;

/** Sockets that QEMU connects to; all exist before it starts. */
export interface QemuSockets extends LinePaths {
  readonly qmp: string;
}

/** Slots for disks, all hot-pluggable: pcie root ports `disk0` … */
export const DISK_SLOTS = 4;

export interface QemuArgumentOptions extends MachineFiles {
  readonly accelerator: Accelerator;
  readonly sockets: QemuSockets;
}

/** A comma ends a QEMU option value unless doubled. */
export function escapeOption(text: string): string {
  return text.replaceAll(',', ',,');
}

/** The machine: q35, UEFI, one serial console, a console for the journal, the agent's port, no network, no host devices. */
export function qemuArguments(spec: MachineSpec, options: QemuArgumentOptions): string[] {
  const kvm = options.accelerator.kind === 'kvm';
  const began = spec.boot.from === 'state' ? spec.boot.began : spec.boot;
  const socket = (id: string, path: string): string[] => [
    '-chardev',
    `socket,id=${id},path=${escapeOption(path)}`,
  ];
  return [
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    // Without the parts of the board that nobody uses: a disk controller, a bus for sensors, a keyboard.
    '-machine',
    `q35,sata=off,smbus=off,i8042=off,vmport=off${spec.secureBoot === true ? ',smm=on' : ''}`,
    // Only the firmware itself, in system management mode, may write its variables.
    ...(spec.secureBoot === true ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    '-accel',
    kvm ? 'kvm' : 'tcg,thread=multi',
    // Emulated, a modern processor model only means more to emulate; AES makes LUKS bearable.
    '-cpu',
    kvm ? 'host' : 'Nehalem,+aes,+pclmulqdq',
    '-smp',
    String(spec.cpus ?? ordinaryCpus(kvm)),
    '-m',
    String(spec.memoryMiB),
    '-drive',
    `if=pflash,format=raw,unit=0,readonly=on,file=${escapeOption(options.firmwareCode)}`,
    '-drive',
    `if=pflash,format=raw,unit=1,file=${escapeOption(options.nvramFile)}`,
    ...socket('qmp', options.sockets.qmp),
    '-mon',
    'chardev=qmp,mode=control',
    ...socket('serial', options.sockets.serial),
    '-serial',
    'chardev:serial',
    '-device',
    'virtio-serial-pci,id=ports',
    ...socket('journal', options.sockets.journal),
    '-device',
    'virtconsole,chardev=journal',
    ...socket('agent', options.sockets.agent),
    '-device',
    'virtserialport,chardev=agent,name=imperm.agent',
    ...(options.tpmSocket === undefined
      ? []
      : [
          ...socket('tpm', options.tpmSocket),
          '-tpmdev',
          'emulator,id=tpm,chardev=tpm',
          '-device',
          'tpm-crb,tpmdev=tpm',
        ]),
    '-object',
    'rng-random,id=random,filename=/dev/urandom',
    '-device',
    'virtio-rng-pci,rng=random',
    // A new identity at every start: copies of one saved state must not draw the same random numbers.
    '-device',
    'vmgenid,guid=auto',
    '-device',
    'bochs-display',
    '-rtc',
    `base=${spec.clockMs === undefined ? 'utc' : new Date(spec.clockMs).toISOString().slice(0, 19)}`,
    '-fw_cfg',
    `name=opt/imperm/nonce,string=${spec.nonce}`,
    // Powering off pauses first: the machine's processor time can still be read.
    '-action',
    'shutdown=pause,panic=pause',
    ...Array.from({ length: DISK_SLOTS }, (_, slot) => [
      '-device',
      `pcie-root-port,id=disk${String(slot)},slot=${String(slot + 1)},chassis=${String(slot + 1)}`,
    ]).flat(),
    ...diskArguments(spec.disks),
    ...(spec.cdrom === undefined ? [] : cdromArguments(spec.cdrom, began.from === 'disk')),
    ...options.firmwareStrings.flatMap((file) => ['-smbios', `type=11,path=${escapeOption(file)}`]),
    ...(began.from === 'kernel'
      ? ['-kernel', began.kernel, '-initrd', began.initrd, '-append', began.commandLine]
      : []),
    ...(spec.boot.from === 'state' ? ['-incoming', 'defer'] : []),
    ...(options.vncSocket === undefined ? [] : vncArguments(options.vncSocket, spec.boot.from !== 'state')),
  ];
}

/**
 * The screen for VNC viewers. No TCP port: the folder of the socket decides who gets in.
 *
 * @param hasKeyboard The last device, so that all others keep their places; a restored machine has those it had.
 */
function vncArguments(socket: string, hasKeyboard: boolean): string[] {
  return [
    ...['-vnc', `unix:${escapeOption(socket)}`],
    ...(hasKeyboard ? ['-device', 'qemu-xhci,id=usb', '-device', 'usb-kbd,bus=usb.0'] : []),
  ];
}

function diskArguments(disks: readonly MachineDisk[]): string[] {
  const nodes = disks.flatMap((disk) => [
    ...(disk.rate === undefined ? [] : ['-object', JSON.stringify(rateLimit(disk.name, disk.rate))]),
    '-blockdev',
    JSON.stringify(disk.rate === undefined ? blockNode(disk) : slowNode(disk)),
  ]);
  const controllers = disks.filter(({ namespace }) => namespace === undefined);
  const devices = controllers.flatMap((disk, slot) => {
    const others = disks.filter(({ namespace }) => namespace?.of === disk.name);
    return others.length === 0
      ? ['-device', JSON.stringify(diskDevice(disk, slot))]
      : namespaceArguments(disk, slot, others);
  });
  return [...nodes, ...devices];
}

/**
 * One NVMe controller with several disks. The kernel counts them without gaps, so that those between are there, too:
 * empty, and too small for anything.
 */
function namespaceArguments(disk: MachineDisk, slot: number, others: readonly MachineDisk[]): string[] {
  const { drive, bootindex, logical_block_size, physical_block_size, ...controller } = diskDevice(disk, slot);
  const size = { logical_block_size, physical_block_size };
  const last = Math.max(...others.map(({ namespace }) => namespace?.number ?? 1));
  const between = Array.from({ length: last - 1 }, (_, index) => index + 2).flatMap((number) => {
    const other = others.find(({ namespace }) => namespace?.number === number);
    const node = other === undefined ? `gap-${String(number)}` : nodeName(other.name);
    const gap = { driver: 'null-co', 'node-name': node, size: GAP_BYTES, 'read-zeroes': true };
    return [
      ...(other === undefined ? ['-blockdev', JSON.stringify(gap)] : []),
      '-device',
      JSON.stringify({ driver: 'nvme-ns', bus: deviceName(disk.name), drive: node, nsid: number, ...size }),
    ];
  });
  const first = { driver: 'nvme-ns', bus: deviceName(disk.name), drive, nsid: 1, bootindex, ...size };
  return ['-device', JSON.stringify(controller), '-device', JSON.stringify(first), ...between];
}

function cdromArguments(file: string, isBooted: boolean): string[] {
  const node = {
    driver: 'raw',
    'node-name': 'node-cdrom',
    'read-only': true,
    file: { driver: 'file', filename: file },
  };
  const drive = {
    driver: 'scsi-cd',
    bus: 'scsi.0',
    drive: node['node-name'],
    ...(isBooted ? { bootindex: 0 } : {}),
  };
  return [
    ...['-device', 'virtio-scsi-pci,id=scsi'],
    ...['-blockdev', JSON.stringify(node)],
    ...['-device', JSON.stringify(drive)],
  ];
}

/** Everything that a saved state has to have in common with the machine it is restored in. */
export function machineShape(spec: MachineSpec, accelerator: Accelerator): string {
  const sockets = { qmp: '', serial: '', journal: '', agent: '' };
  const options = { accelerator, firmwareCode: '', nvramFile: '', sockets, firmwareStrings: [] };
  return qemuArguments({ ...spec, nonce: '' }, options).join('\n');
}

/** The storage behind a disk. Flushes need not reach the host's disk: a power cut here ends QEMU, not the host. */
export function blockNode(disk: MachineDisk): Record<string, unknown> {
  return {
    driver: disk.format,
    'node-name': nodeName(disk.name),
    ...(disk.readOnly === true ? { 'read-only': true } : { discard: 'unmap', 'detect-zeroes': 'unmap' }),
    cache: { direct: false, 'no-flush': true },
    file: {
      driver: 'file',
      filename: disk.file,
      cache: { direct: false, 'no-flush': true },
      ...(disk.readOnly === true ? { 'read-only': true } : { discard: 'unmap' }),
    },
  };
}

/** The same storage behind a limit of its rate. */
function slowNode(disk: MachineDisk): Record<string, unknown> {
  const { 'node-name': name, ...storage } = blockNode(disk);
  return { driver: 'throttle', 'node-name': name, 'throttle-group': rateName(disk.name), file: storage };
}

function rateLimit(disk: string, { bytesPerSecond, operationsPerSecond }: DiskRate): Record<string, unknown> {
  return {
    'qom-type': 'throttle-group',
    id: rateName(disk),
    limits: {
      ...(bytesPerSecond === undefined ? {} : { 'bps-total': bytesPerSecond }),
      ...(operationsPerSecond === undefined ? {} : { 'iops-total': operationsPerSecond }),
    },
  };
}

function rateName(disk: string): string {
  return `rate-${disk}`;
}

/** The disk as hardware. The serial number gives it a stable name below /dev/disk/by-id. */
export function diskDevice(disk: MachineDisk, slot: number): Record<string, unknown> {
  return {
    driver: disk.bus === 'nvme' ? 'nvme' : 'virtio-blk-pci',
    id: deviceName(disk.name),
    drive: nodeName(disk.name),
    bus: `disk${String(slot)}`,
    serial: disk.name,
    ...(disk.sectorBytes === undefined
      ? {}
      : { logical_block_size: disk.sectorBytes, physical_block_size: disk.sectorBytes }),
    ...(disk.bootIndex === undefined ? {} : { bootindex: disk.bootIndex }),
  };
}

export function nodeName(disk: string): string {
  return `node-${disk}`;
}

export function deviceName(disk: string): string {
  return `dev-${disk}`;
}

import { Builder } from 'xml2js';

import { HarnessError, wallClockMs } from '../../core/index.js';
import type { Accelerator } from '../accelerator.js';
import { ordinaryCpus, type DiskRate, type MachineDisk, type MachineSpec } from '../machine-spec.js';
import type { LinePaths, MachineFiles } from '../target.js';
import { type DomainLabel, LABEL_NAMESPACE } from './label.js';

const QEMU_NAMESPACE = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** Free slots for disks; libvirt takes others for the devices that are there from power-on. */
const FREE_SLOTS = 8;

export interface DomainIdentity {
  readonly name: string;
  readonly uuid: string;
  /** Of a saved domain; libvirt gives the restored one another. Absent: libvirt makes one. */
  readonly generation?: string;
}

/** What makes a domain the one that was saved. */
export type SavedIdentity = Required<DomainIdentity>;

/** Whose files QEMU opens, and as whom it runs: numbers of a user and a group on the host of libvirt. */
export interface FileOwner {
  readonly user: number;
  readonly group: number;
}

export interface DomainOptions extends MachineFiles {
  readonly identity: DomainIdentity;
  readonly label: DomainLabel;
  readonly accelerator: Accelerator;
  readonly securityModels: readonly string[];
  readonly fileOwner: FileOwner;
  readonly lines: LinePaths;
}

type Attributes = Readonly<Record<string, string>>;
type Element =
  | string
  | {
      readonly [child: string]: Element | readonly Element[] | Attributes | undefined;
      readonly $?: Attributes;
    };

/**
 * The machine as libvirt's XML: the same as that of the target qemu, in libvirt's words. Only credentials go past
 * libvirt to QEMU: libvirt has no way to name a file of them, and what it is told itself everybody can read.
 *
 * @throws {HarnessError} INTERNAL for a disk that libvirt cannot attach: the plan should have refused it.
 */
export function renderDomain(spec: MachineSpec, options: DomainOptions): string {
  const { identity, lines } = options;
  const kvm = options.accelerator.kind === 'kvm';
  const began = spec.boot.from === 'state' ? spec.boot.began : spec.boot;
  const bootsDisk = began.from === 'disk';
  const domain: Element = {
    $: { type: kvm ? 'kvm' : 'qemu', 'xmlns:qemu': QEMU_NAMESPACE },
    name: identity.name,
    uuid: identity.uuid,
    genid: identity.generation ?? '',
    metadata: {
      'imperm:machine': { $: { 'xmlns:imperm': LABEL_NAMESPACE, ...options.label } },
    },
    memory: { $: { unit: 'MiB' }, _: String(spec.memoryMiB) },
    vcpu: String(spec.cpus ?? ordinaryCpus(kvm)),
    sysinfo: { $: { type: 'fwcfg' }, entry: { $: { name: 'opt/imperm/nonce' }, _: spec.nonce } },
    os: {
      type: { $: { arch: 'x86_64', machine: 'q35' }, _: 'hvm' },
      loader: {
        $: { type: 'pflash', readonly: 'yes', ...(spec.secureBoot === true ? { secure: 'yes' } : {}) },
        _: options.firmwareCode,
      },
      nvram: options.nvramFile,
      ...(began.from === 'kernel'
        ? { kernel: began.kernel, initrd: began.initrd, cmdline: began.commandLine }
        : {}),
    },
    features: {
      acpi: '',
      vmport: { $: { state: 'off' } },
      ...(spec.secureBoot === true ? { smm: { $: { state: 'on' } } } : {}),
    },
    cpu: kvm ? { $: { mode: 'host-passthrough' } } : EMULATED_PROCESSOR,
    clock: { $: describeClock(spec.clockMs) },
    on_poweroff: 'destroy',
    on_reboot: 'restart',
    on_crash: 'destroy',
    devices: {
      controller: [
        { $: { type: 'usb', model: 'none' } },
        { $: { type: 'pci', model: 'pcie-root' } },
        ...Array.from({ length: FREE_SLOTS + spec.disks.length }, () => ({
          $: { type: 'pci', model: 'pcie-root-port' },
        })),
        ...(spec.cdrom === undefined ? [] : [{ $: { type: 'scsi', model: 'virtio-scsi' } }]),
      ],
      disk: [
        ...spec.disks.map((disk, index) => describeDisk(disk, { index, isBooted: bootsDisk })),
        ...(spec.cdrom === undefined ? [] : [describeCdrom(spec.cdrom, bootsDisk)]),
      ],
      serial: { ...connectTo(lines.serial), target: { $: { type: 'isa-serial', port: '0' } } },
      console: { ...connectTo(lines.journal), target: { $: { type: 'virtio', port: '1' } } },
      channel: { ...connectTo(lines.agent), target: { $: { type: 'virtio', name: 'imperm.agent' } } },
      ...(options.tpmSocket === undefined
        ? {}
        : {
            tpm: {
              $: { model: 'tpm-crb' },
              backend: {
                $: { type: 'external' },
                source: { $: { type: 'unix', mode: 'connect', path: options.tpmSocket } },
              },
            },
          }),
      video: { model: { $: { type: 'bochs' } } },
      memballoon: { $: { model: 'none' } },
      rng: { $: { model: 'virtio' }, backend: { $: { model: 'random' }, _: '/dev/urandom' } },
    },
    seclabel: options.securityModels.map((model) => describeSecurity(model, options.fileOwner)),
    'qemu:commandline': {
      'qemu:arg': options.firmwareStrings
        .flatMap((file) => ['-smbios', `type=11,path=${file.replaceAll(',', ',,')}`])
        .map((value) => ({ $: { value } })),
    },
  };
  return render('domain', domain);
}

/** libvirt counts from the time in seconds. */
function describeClock(clockMs: number | undefined): Attributes {
  if (clockMs === undefined) return { offset: 'utc' };
  const nowMs = wallClockMs();
  return { offset: 'variable', basis: 'utc', adjustment: String(Math.round((clockMs - nowMs) / 1000)) };
}

/** Emulated, a modern processor model only means more to emulate; AES makes LUKS bearable. */
const EMULATED_PROCESSOR = {
  $: { mode: 'custom', match: 'exact', check: 'none' },
  model: { $: { fallback: 'forbid' }, _: 'Nehalem' },
  feature: ['aes', 'pclmuldq'].map((name) => ({ $: { policy: 'require', name } })),
};

/**
 * QEMU runs as our user and opens our files as they are: none changes its owner, and all can be removed by us. AppArmor
 * and SELinux would keep it within libvirt's own folders.
 */
function describeSecurity(model: string, { user, group }: FileOwner): Element {
  if (model !== 'dac') return { $: { type: 'none', model } };
  return { $: { type: 'static', model, relabel: 'no' }, label: `+${String(user)}:+${String(group)}` };
}

function connectTo(path: string): { readonly $: Attributes; readonly source: Element } {
  return { $: { type: 'unix' }, source: { $: { mode: 'connect', path } } };
}

function describeCdrom(file: string, isBooted: boolean): Element {
  return {
    $: { type: 'file', device: 'cdrom' },
    driver: { $: { name: 'qemu', type: 'raw' } },
    source: { $: { file } },
    target: { $: { dev: 'sda', bus: 'scsi' } },
    readonly: '',
    ...(isBooted ? { boot: { $: { order: '1' } } } : {}),
  };
}

/** A disk to be plugged into a running machine. @param index Unique among the disks of the machine. */
export function renderDisk(disk: MachineDisk, index: number): string {
  return render('disk', describeDisk(disk, { index, isBooted: false }));
}

/** What libvirt calls a disk of ours. Names of this form are kept as they are. */
export function diskAlias(name: string): string {
  return `ua-${name}`;
}

function describeRate({ bytesPerSecond, operationsPerSecond }: DiskRate): Element {
  return {
    ...(bytesPerSecond === undefined ? {} : { total_bytes_sec: String(bytesPerSecond) }),
    ...(operationsPerSecond === undefined ? {} : { total_iops_sec: String(operationsPerSecond) }),
  };
}

function describeDisk(
  disk: MachineDisk,
  { index, isBooted }: { readonly index: number; readonly isBooted: boolean },
): Element {
  if (disk.bus !== 'virtio')
    throw new HarnessError(
      'INTERNAL',
      `Internal error: libvirt is to attach the ${disk.bus} disk ${disk.name}`,
    );
  const size = String(disk.sectorBytes ?? 512);
  return {
    $: { type: 'file', device: 'disk' },
    driver: {
      $: {
        name: 'qemu',
        type: disk.format,
        // Flushes need not reach the host's disk: a power cut here ends QEMU, not the host.
        cache: 'unsafe',
        ...(disk.readOnly === true ? {} : { discard: 'unmap', detect_zeroes: 'unmap' }),
      },
    },
    source: { $: { file: disk.file } },
    target: { $: { dev: `vd${String.fromCharCode('a'.charCodeAt(0) + index)}`, bus: disk.bus } },
    blockio: { $: { logical_block_size: size, physical_block_size: size } },
    ...(disk.rate === undefined ? {} : { iotune: describeRate(disk.rate) }),
    ...(disk.readOnly === true ? { readonly: '' } : {}),
    serial: disk.name,
    // The first place is the CD's.
    ...(disk.bootIndex === undefined || !isBooted
      ? {}
      : { boot: { $: { order: String(disk.bootIndex + 1) } } }),
    alias: { $: { name: diskAlias(disk.name) } },
  };
}

function render(name: string, element: Element): string {
  return new Builder({ headless: true, rootName: name }).buildObject(element);
}

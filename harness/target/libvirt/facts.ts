import { parseStringPromise } from 'xml2js';

import { type Budget, HarnessError } from '../../core/index.js';
import type { FileOwner } from './domain-xml.js';
import { LibvirtHost } from './host.js';
import type { Virsh } from './virsh.js';

/** Before it, a TPM of one's own and firmware strings by name cannot be had. */
const OLDEST_VERSION = '9.0.0';

/** What a libvirt daemon says of itself and its host. */
export interface LibvirtFacts {
  /** `9.0.0` */
  readonly version: string;
  /** `7.2.22` */
  readonly qemuVersion: string;
  /** Whether it would run machines with KVM. Whether those live is another question. */
  readonly hasKvm: boolean;
  /** Who keeps machines apart from the host: `dac`, `apparmor`, `selinux`. None in a session of a user. */
  readonly securityModels: readonly string[];
  /** How a disk can be attached: `virtio`, `scsi` … */
  readonly diskBuses: readonly string[];
  /** We, as the host of libvirt knows us. */
  readonly fileOwner: FileOwner;
}

interface Named {
  readonly $: { readonly name?: string; readonly type?: string };
}

interface Capabilities {
  readonly capabilities: {
    readonly host: readonly [{ readonly secmodel?: readonly { readonly model: readonly string[] }[] }];
    readonly guest?: readonly {
      readonly arch: readonly (Named & { readonly domain: readonly Named[] })[];
    }[];
  };
}

interface DomainCapabilities {
  readonly domainCapabilities: {
    readonly devices: readonly [
      {
        readonly disk: readonly [
          { readonly enum?: readonly (Named & { readonly value?: readonly string[] })[] },
        ];
      },
    ];
  };
}

/**
 * Asks libvirt what it has.
 *
 * @throws {HarnessError} HOST_UNFIT when nobody answers, when it is too old, or when it has no QEMU for this machine.
 */
export async function askLibvirt(virsh: Virsh, budget: Budget): Promise<LibvirtFacts> {
  const versions = await virsh.run(['version'], budget);
  const version = /^Using library: libvirt (\S+)/m.exec(versions)?.[1] ?? '0';
  const qemuVersion = /^Running hypervisor: QEMU (\S+)/m.exec(versions)?.[1];
  if (compareVersions(version, OLDEST_VERSION) < 0) {
    throw new HarnessError('HOST_UNFIT', `libvirt ${version} is too old; ${OLDEST_VERSION} is needed`, {
      hint: 'Run without `--target libvirt`: imperm then brings a QEMU of its own.',
    });
  }
  const { host, guest } = (
    (await parseStringPromise(await virsh.run(['capabilities'], budget))) as Capabilities
  ).capabilities;
  const arch = guest?.flatMap((each) => each.arch).find(({ $ }) => $.name === 'x86_64');
  if (qemuVersion === undefined || arch === undefined) {
    throw new HarnessError('HOST_UNFIT', `libvirt at ${virsh.uri} has no QEMU for x86_64`, {
      hint: 'Install it on the host of libvirt (qemu-system-x86), then start libvirtd again.',
    });
  }
  const offer = (await parseStringPromise(
    await virsh.run(
      ['domcapabilities', '--virttype', 'qemu', '--arch', 'x86_64', '--machine', 'q35'],
      budget,
    ),
  )) as DomainCapabilities;
  const buses = offer.domainCapabilities.devices[0].disk[0].enum?.find(({ $ }) => $.name === 'bus');
  return {
    version,
    qemuVersion,
    hasKvm: arch.domain.some(({ $ }) => $.type === 'kvm'),
    securityModels: (host[0].secmodel ?? []).flatMap(({ model }) => model).filter((name) => name !== 'none'),
    diskBuses: buses?.value ?? [],
    fileOwner: await askOwner(new LibvirtHost(virsh.uri), budget),
  };
}

/** What a host has for machines. */
export interface HostCapacity {
  readonly cpus: number;
  readonly totalMiB: number;
  /** What its kernel counts as available now. */
  readonly availableMiB: number;
}

/**
 * Asks what the host of a libvirt has for machines.
 *
 * @throws {HarnessError} HOST_UNFIT when it does not say so; as `LibvirtHost.run`.
 */
export async function askCapacity(uri: string, budget: Budget): Promise<HostCapacity> {
  const said = await new LibvirtHost(uri).run('nproc; cat /proc/meminfo', budget);
  const numberOf = (pattern: RegExp): number => Number(pattern.exec(said)?.[1] ?? 0);
  const capacity = {
    cpus: numberOf(/^(\d+)\n/),
    totalMiB: Math.floor(numberOf(/^MemTotal:\s+(\d+) kB$/m) / 1024),
    availableMiB: Math.floor(numberOf(/^MemAvailable:\s+(\d+) kB$/m) / 1024),
  };
  if (Object.values(capacity).includes(0))
    throw new HarnessError('HOST_UNFIT', `The host of libvirt at ${uri} does not say what memory it has`, {
      details: said.slice(0, 400),
    });
  return capacity;
}

async function askOwner(host: LibvirtHost, budget: Budget): Promise<FileOwner> {
  const [user = '', group = ''] = (await host.run('id -u; id -g', budget)).split('\n');
  return { user: Number(user), group: Number(group) };
}

/** @returns Negative when the first is the older one. */
function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((text) => text.split('.').map(Number));
  for (const [index, part] of (b ?? []).entries()) {
    const difference = (a?.[index] ?? 0) - part;
    if (difference !== 0) return difference;
  }
  return 0;
}

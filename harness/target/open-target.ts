import { type Budget, HarnessError, takeLease } from '../core/index.js';
import { loadHost, type TargetLimits } from '../scenario/index.js';
import type { Toolbox } from '../host/index.js';
import type { Accelerator } from './accelerator.js';
import { askHardware, hardwareLimits, HardwareTarget, RealMachine } from './hardware/index.js';
import {
  askCapacity,
  askLibvirt,
  askLimits,
  type HostCapacity,
  LibvirtTarget,
  parseSshAddress,
  Virsh,
} from './libvirt/index.js';
import { QemuTarget } from './qemu.js';
import type { Target, TargetName } from './target.js';

/** A target by its name, and where it is asked. */
export type TargetChoice =
  | { readonly kind: 'qemu' }
  | { readonly kind: 'libvirt'; /** `qemu:///system` */ readonly uri: string }
  | { readonly kind: 'hardware'; /** The host file. */ readonly file: string };

/** A target that has said what it can do. Nothing has been made for it yet. */
export interface OpenTarget {
  readonly name: TargetName;
  readonly limits: TargetLimits;
  /** Whether it would run machines with KVM at all. */
  readonly hasKvm: boolean;
  /** Present: it is one real machine, which answers. */
  readonly hardware?: RealMachine;
  /** Of the other host that runs the machines: whether KVM works there is not seen here. Absent: this host runs them. */
  readonly capacity?: HostCapacity;
  make(toolbox: Toolbox, accelerator: Accelerator): Target;
}

const LOCAL_URI = /^qemu:\/\/\/(?:system|session)(?:\?|$)/;

/**
 * Asks a target what it can do.
 *
 * @param options.workDir For files that libvirt reads.
 * @throws {HarnessError} USAGE for an address that nobody here understands; HOST_UNFIT when libvirt does not answer or
 * cannot run our machines; TIMEOUT; INTERRUPTED; as `loadHost` and `askHardware`.
 */
export async function openTarget(
  choice: TargetChoice,
  { workDir, budget }: { readonly workDir: string; readonly budget: Budget },
): Promise<OpenTarget> {
  if (choice.kind === 'hardware') {
    const asked = await askHardware(await loadHost(choice.file), budget);
    const hardware = new RealMachine(asked);
    return {
      name: 'hardware',
      limits: hardwareLimits(asked),
      hasKvm: false,
      hardware,
      make: () => new HardwareTarget(hardware),
    };
  }
  if (choice.kind === 'qemu') {
    return {
      name: 'qemu',
      limits: {},
      hasKvm: true,
      make: (toolbox, accelerator) => new QemuTarget(toolbox, accelerator),
    };
  }
  const { uri } = choice;
  const isRemote = parseSshAddress(uri) !== undefined;
  if (!LOCAL_URI.test(uri) && !isRemote) {
    throw new HarnessError(
      'USAGE',
      `imperm cannot run machines at ${uri}: only libvirt on this host, or on one that ssh reaches, is supported`,
      {
        hint: 'Take --connect qemu:///system, qemu:///session or qemu+ssh://user@host/system: disks and sockets reach another host through ssh.',
      },
    );
  }
  const virsh = new Virsh(uri);
  const facts = await askLibvirt(virsh, budget);
  const lease = await takeLease(workDir);
  try {
    return {
      name: 'libvirt',
      limits: await askLimits(virsh, facts, { folder: lease.dir, budget }),
      hasKvm: facts.hasKvm,
      ...(isRemote ? { capacity: await askCapacity(uri, budget) } : {}),
      make: (_toolbox, accelerator) => new LibvirtTarget(virsh, facts, accelerator),
    };
  } finally {
    await lease.release();
  }
}

import { access } from 'node:fs/promises';

import { runProgram } from '../core/index.js';

/** How a package is called by each package manager. */
interface PackageNames {
  readonly apt: string;
  readonly dnf: string;
  /** `aur:` when only the user repository has it. */
  readonly pacman: string;
  /** An attribute of nixpkgs. */
  readonly nix: string;
}

/** Programs, and the one file, that imperm uses on the host, and the packages they come in. */
const PACKAGES = {
  mmdebstrap: { apt: 'mmdebstrap', dnf: 'mmdebstrap', pacman: 'aur:mmdebstrap', nix: 'mmdebstrap' },
  setpriv: { apt: 'util-linux', dnf: 'util-linux', pacman: 'util-linux', nix: 'util-linux' },
  flock: { apt: 'util-linux', dnf: 'util-linux', pacman: 'util-linux', nix: 'util-linux' },
  unshare: { apt: 'util-linux', dnf: 'util-linux', pacman: 'util-linux', nix: 'util-linux' },
  mount: { apt: 'mount', dnf: 'util-linux', pacman: 'util-linux', nix: 'util-linux' },
  newuidmap: { apt: 'uidmap', dnf: 'shadow-utils', pacman: 'shadow', nix: 'shadow' },
  tar: { apt: 'tar', dnf: 'tar', pacman: 'tar', nix: 'gnutar' },
  cpio: { apt: 'cpio', dnf: 'cpio', pacman: 'cpio', nix: 'cpio' },
  zstd: { apt: 'zstd', dnf: 'zstd', pacman: 'zstd', nix: 'zstd' },
  gpg: { apt: 'gpg', dnf: 'gnupg2', pacman: 'gnupg', nix: 'gnupg' },
  libvirtd: { apt: 'libvirt-daemon-system', dnf: 'libvirt-daemon-kvm', pacman: 'libvirt', nix: 'libvirt' },
  virsh: { apt: 'libvirt-clients', dnf: 'libvirt-client', pacman: 'libvirt', nix: 'libvirt' },
  'qemu-system-x86_64': {
    apt: 'qemu-system-x86',
    dnf: 'qemu-system-x86-core',
    pacman: 'qemu-system-x86',
    nix: 'qemu',
  },
  '/usr/share/keyrings/debian-archive-keyring.gpg': {
    apt: 'debian-archive-keyring',
    dnf: 'debian-keyring',
    pacman: 'debian-archive-keyring',
    nix: 'debian-archive-keyring',
  },
} as const satisfies Record<string, PackageNames>;

export type HostNeed = keyof typeof PACKAGES;
export type PackageManager = keyof PackageNames;

/**
 * What a run needs on this host.
 *
 * @param isRoot Whether we are root, who needs no user namespace to unpack Debian packages.
 */
export function hostNeeds(isRoot: boolean): HostNeed[] {
  const needs: HostNeed[] = ['mmdebstrap', 'mount', 'setpriv', 'flock', 'tar'];
  return isRoot ? needs : [...needs, 'unshare', 'newuidmap'];
}

/** The packages that bring what is needed, each once, in the order of the needs. */
export function packagesFor(needs: readonly HostNeed[], manager: PackageManager): string[] {
  return [...new Set(needs.map((need) => PACKAGES[need][manager]))];
}

/**
 * Which of the needs this host lacks.
 *
 * @param run Default `runProgram`.
 */
export async function findMissing(
  needs: readonly HostNeed[],
  run: typeof runProgram = runProgram,
): Promise<HostNeed[]> {
  const missing = new Set<string>();
  for (const need of needs.filter((name) => name.startsWith('/'))) {
    await access(need).catch(() => missing.add(need));
  }
  const programs = needs.filter((name) => !name.startsWith('/'));
  // The shell knows where programs are found; sbin is not on everybody's path, and is on sudo's.
  const script =
    'PATH=$PATH:/usr/sbin:/sbin; for name; do command -v "$name" >/dev/null || echo "$name"; done';
  const { stdout } = await run('sh', ['-c', script, 'sh', ...programs]);
  for (const name of stdout.split('\n')) missing.add(name);
  return needs.filter((need) => missing.has(need));
}

import type { Services, SystemModel } from '../scenario/index.js';

/** What the images of a system have to hold beyond the base. Systems that need the same share their images. */
export interface ImageNeeds {
  /** Debian packages of the installed system, in a fixed order, each once; their services are not enabled. */
  readonly packages: readonly string[];
  /** Kernel modules keep their signatures: under Secure Boot, Debian's kernel loads no others. */
  readonly signedModules: boolean;
  /** For a real machine: another kernel, and the network that it is talked to by. */
  readonly hardware: boolean;
}

/** Packages without what they only recommend. */
const PACKAGES_OF = {
  networkmanager: ['network-manager'],
  docker: ['docker.io', 'docker-cli'],
  incus: ['incus-base', 'incus-client'],
  autoScrub: [],
  coredump: ['systemd-coredump'],
  sudo: ['sudo'],
} satisfies Record<keyof Services, readonly string[]>;

/** What the images of a system have to hold beyond the base. */
export function imageNeeds(
  { services, secureBoot, image }: SystemModel,
  { hardware = false }: Partial<Pick<ImageNeeds, 'hardware'>> = {},
): ImageNeeds {
  const names = Object.keys(PACKAGES_OF) as (keyof Services)[];
  const wanted = names.flatMap((name) => (services[name].enable ? PACKAGES_OF[name] : []));
  // Loads the registration at the first boot.
  const ofImage = image === undefined ? [] : ['nix-bin'];
  return {
    packages: [...new Set([...wanted, ...ofImage])].sort(),
    signedModules: secureBoot !== undefined,
    hardware,
  };
}

import type { Services, SystemModel } from '../scenario/index.js';

/** Packages without what they only recommend. */
const PACKAGES_OF = {
  networkmanager: ['network-manager'],
  docker: ['docker.io', 'docker-cli'],
  incus: ['incus-base', 'incus-client'],
  autoScrub: [],
  coredump: ['systemd-coredump'],
  sudo: ['sudo'],
} satisfies Record<keyof Services, readonly string[]>;

/**
 * Debian packages that a system needs beyond the base. Systems that need the same share their images.
 *
 * @returns In a fixed order, each once.
 */
export function extraPackages({ services, image }: SystemModel): readonly string[] {
  const names = Object.keys(PACKAGES_OF) as (keyof Services)[];
  const wanted = names.flatMap((name) => (services[name].enable ? PACKAGES_OF[name] : []));
  // Loads the registration at the first boot.
  const ofImage = image === undefined ? [] : ['nix-bin'];
  return [...new Set([...wanted, ...ofImage])].sort();
}

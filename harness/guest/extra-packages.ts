import type { SystemModel } from '../scenario/index.js';

/**
 * Debian packages that a system needs beyond the base. Systems that need the same share their images.
 *
 * @returns In a fixed order, each once.
 */
export function extraPackages(system: SystemModel): readonly string[] {
  return [...(system.services.sudo.enable ? ['sudo'] : [])].sort();
}

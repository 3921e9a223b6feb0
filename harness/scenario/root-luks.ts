import type { LuksDevice, SystemModel } from './model.js';
import { findRoot } from './mount-tree.js';

const MAPPER = '/dev/mapper/';

/**
 * Finds the LUKS devices that have to be unlocked before the root can be rolled back.
 *
 * @returns The devices that the root's mount names. Where it names its file system by label or UUID, every device
 * that no other mount or swap names as its own: the root can only be in one of those.
 */
export function rootLuksDevices(system: SystemModel): readonly LuksDevice[] {
  const root = findRoot(system.fileSystems);
  if (root === undefined || !root.device.startsWith('/')) return [];
  const named = (devices: readonly string[]): readonly LuksDevice[] =>
    system.luks.filter((luks) => devices.includes(MAPPER + luks.name));
  const rootDevices = devicesOf(root);
  const ofRoot = named(rootDevices);
  if (ofRoot.length > 0 || !root.device.startsWith('/dev/disk/')) return ofRoot;
  const others = system.fileSystems.filter((each) => each.device !== root.device).flatMap(devicesOf);
  const taken = named([...others, ...system.swapDevices.map((each) => each.device)]);
  return system.luks.filter((luks) => !taken.includes(luks));
}

/** The device of a mount, and the further ones of a file system over several devices. */
function devicesOf(mount: {
  readonly device: string;
  readonly options: readonly string[];
}): readonly string[] {
  const further = mount.options.filter((option) => option.startsWith('device='));
  return [mount.device, ...further.map((option) => option.slice('device='.length))];
}

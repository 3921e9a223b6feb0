import type { Place } from '../core/index.js';
import type { DiskImage, FileSystem } from './model.js';
import { parseSizeMiB } from './quantity.js';
import type { ScenarioInput } from './schema.js';

/** How a partition is named by its label. */
export const BY_PARTLABEL = '/dev/disk/by-partlabel/';

/** Makes the model of an image that has passed all checks: its subvolumes are those that the system mounts. */
export function resolveImage(
  input: NonNullable<ScenarioInput['image']>,
  fileSystems: readonly FileSystem[],
  place: Place,
): DiskImage {
  const partition = (given: { partLabel: string; size: string }): DiskImage['esp'] => ({
    partLabel: given.partLabel,
    device: BY_PARTLABEL + given.partLabel,
    sizeMiB: parseSizeMiB(given.size),
  });
  const btrfs = partition(input.btrfs);
  const subvolumes = fileSystems.flatMap(({ device, subvolume }) =>
    device === btrfs.device && subvolume !== undefined && subvolume !== '' ? [subvolume] : [],
  );
  const [uid = 0, gid = 0] = input.owner === 'root' ? [] : input.owner.split(':').map(Number);
  return {
    esp: partition(input.esp),
    btrfs,
    subvolumes: [...new Set(subvolumes)].sort(),
    owner: { uid, gid },
    place,
  };
}

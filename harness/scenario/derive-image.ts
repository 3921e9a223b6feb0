import type { SystemModel } from './model.js';
import type { ScenarioPromise } from './promise.js';

/** What a system promises that comes as an image. */
export function deriveImage({ image }: SystemModel): readonly ScenarioPromise[] {
  if (image === undefined) return [];
  const { place, btrfs, subvolumes } = image;
  return [
    {
      kind: 'image-subvolumes',
      id: 'image-subvolumes',
      title: `the image holds ${subvolumes.join(', ')}, and nothing moves them`,
      place,
    },
    { kind: 'image-owners', id: 'image-owners', title: 'everything in the image belongs to root', place },
    {
      kind: 'grown',
      id: 'grown',
      title: `the partition ${btrfs.partLabel} and its file system reach to the end of the disk`,
      place,
    },
    {
      kind: 'registered',
      id: 'registered',
      title: 'Nix knows every path of the store, and the registration is gone',
      place,
    },
    {
      kind: 'tmpfiles-safe',
      id: 'tmpfiles-safe',
      title: 'systemd-tmpfiles refuses no path for its owner',
      place,
    },
  ];
}

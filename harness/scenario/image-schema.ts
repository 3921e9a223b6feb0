import { z } from 'zod';
import { SIZE_PATTERN } from './quantity.js';

const size = z.string().regex(SIZE_PATTERN, 'must be a size such as 128MiB (MiB, GiB or TiB)');
const partLabel = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,36}$/, 'must be the label of a partition: up to 36 of A-Z, a-z, 0-9, "_" and "-"');

/** The section `image` of a scenario: data alone, as it is made on the host. */
export const image = z.strictObject({
  esp: z
    .strictObject({
      partLabel: partLabel.default('ESP').meta({ description: 'Label of the partition.' }),
      size: size.default('128MiB').meta({ description: 'Size of the partition.' }),
    })
    .prefault({})
    .meta({ description: 'The EFI system partition.' }),
  btrfs: z
    .strictObject({
      partLabel: partLabel.default('nixos').meta({ description: 'Label of the partition.' }),
      size: size.default('1GiB').meta({ description: 'Size of the partition before the first boot.' }),
    })
    .prefault({})
    .meta({
      description:
        'The last partition: a btrfs with the subvolumes that system.fileSystems mounts. The first boot grows it to the end of the disk.',
    }),
  owner: z
    .string()
    .regex(
      /^(root|[0-9]{1,5}:[0-9]{1,5})$/,
      'must be root, or a user and a group as numbers, such as "1000:100"',
    )
    .default('root')
    .meta({
      description:
        'Who owns everything in the image. Anything but root is the fault of an image that was built without a fake root.',
    }),
});

import { BY_PARTLABEL } from './resolve-image.js';
import { formatPath } from './located.js';
import { parseSizeMiB } from './quantity.js';
import type { RuleContext } from './rule-context.js';
import type { ScenarioInput, SystemInput } from './schema.js';

/** What lies around the partitions: 1 MiB before the first, and the second table behind the last. */
const TABLES_MIB = 2;

type ImageInput = NonNullable<ScenarioInput['image']>;

/** Checks that a scenario says in one way, and not in two, how its disk is filled. */
export function checkProvisioning(input: Partial<ScenarioInput>, context: RuleContext): void {
  const { install, image } = input;
  if (
    install === undefined &&
    image === undefined &&
    context.isWhole(['install']) &&
    context.isWhole(['image'])
  ) {
    context.report(
      ['install'],
      'install is missing: a scenario fills its disk with a script that runs in the installer (install), or with an image (image)',
    );
  }
  if (install !== undefined && image !== undefined) {
    context.report(
      ['image'],
      'install and image are both there, and the disk can be filled in one way only. ' +
        'Take one out; in a file that extends another write "install: null".',
    );
  }
  if (image !== undefined) checkImage(image, input, context);
}

function checkImage(image: ImageInput, input: Partial<ScenarioInput>, context: RuleContext): void {
  if (image.esp.partLabel === image.btrfs.partLabel)
    context.report(
      ['image', 'btrfs', 'partLabel'],
      `both partitions of the image are called ${image.esp.partLabel}`,
    );
  const [disk] = Object.values(input.disks ?? {});
  const neededMiB = parseSizeMiB(image.esp.size) + parseSizeMiB(image.btrfs.size) + TABLES_MIB;
  if (disk !== undefined && parseSizeMiB(disk.size) <= neededMiB) {
    context.report(
      ['image'],
      `the image takes ${String(neededMiB)} MiB, and the disk has ${disk.size}: it has to be smaller, or nothing could grow`,
    );
  }
  const large = (input.matrix?.sectorSize ?? []).findIndex((bytes) => bytes !== 512);
  if (large >= 0) {
    context.report(
      ['matrix', 'sectorSize', large],
      'an image has a partition table for sectors of 512 bytes; a disk with others does not see its partitions',
    );
  }
  const signed = (input.matrix?.firmware ?? []).indexOf('secure-boot');
  if (signed >= 0) {
    context.report(
      ['matrix', 'firmware', signed],
      'the boot loader of an image is not signed: Secure Boot is for layouts that are installed',
    );
  }
  if (input.system !== undefined) checkImageSystem(image, input.system, context);
}

function checkImageSystem(image: ImageInput, system: SystemInput, context: RuleContext): void {
  if (Object.keys(system.luks).length > 0)
    context.report(
      ['system', 'luks'],
      'an image holds no LUKS device: its key would be the same for everybody',
    );
  if (system.swapDevices.length > 0)
    context.report(
      ['system', 'swapDevices'],
      'an image has no partition for swap: its last one is the btrfs, which grows',
    );
  const [esp, btrfs] = [BY_PARTLABEL + image.esp.partLabel, BY_PARTLABEL + image.btrfs.partLabel];
  const mounts = Object.entries(system.fileSystems);
  for (const [mountPoint, { device, fsType, options }] of mounts) {
    const path = ['system', 'fileSystems', mountPoint];
    if (!device.startsWith('/dev/')) continue;
    if (device !== esp && device !== btrfs) {
      context.report(
        [...path, 'device'],
        `the image has no ${device}; its partitions are ${esp} and ${btrfs}`,
      );
    } else if (fsType !== (device === esp ? 'vfat' : 'btrfs')) {
      context.report(
        [...path, 'fsType'],
        `${device} is a ${device === esp ? 'vfat' : 'btrfs'} in the image, not ${fsType}`,
      );
    } else if (device === btrfs && !options.some((option) => /^subvol=\/?[^/]/.test(option))) {
      context.report(
        path,
        `${formatPath(path)} has no option "subvol=…": only subvolumes are made in the image, and nothing mounts the top level`,
      );
    }
  }
  if (!context.isWhole(['system', 'fileSystems'])) return;
  if (!mounts.some(([, { device }]) => device === esp))
    context.report(['system', 'fileSystems'], `nothing mounts the EFI system partition of the image, ${esp}`);
}

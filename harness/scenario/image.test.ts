// A scenario whose disk is an image: what it becomes, and what is refused.
import path from 'node:path';
import t, { type Test } from 'tap';
import { HarnessError } from '../core/index.js';
import { loadScenario, loadScenarios, selectVariants } from './index.js';

const IMAGE = `imperm: 1
title: An image
image: { btrfs: { partLabel: nixos, size: 1GiB } }
system:
  fileSystems:
    /: { device: none, fsType: tmpfs, options: [mode=755] }
    /nix: { device: /dev/disk/by-partlabel/nixos, fsType: btrfs, options: [subvol=/@nix] }
    /persistent: { device: /dev/disk/by-partlabel/nixos, fsType: btrfs, options: [subvol=@persistent], neededForBoot: true }
    /boot: { device: /dev/disk/by-partlabel/ESP, fsType: vfat, options: [umask=0077] }
`;

function edit(from: string, to: string): string {
  if (!IMAGE.includes(from)) throw new Error(`not in the scenario: ${from}`);
  return IMAGE.replace(from, () => to);
}

function write(test: Test, text: string): string {
  return path.join(test.testdir({ image: { 'scenario.yaml': text } }), 'image/scenario.yaml');
}

async function problemsIn(test: Test, text: string): Promise<string> {
  try {
    await loadScenario(write(test, text));
  } catch (error) {
    if (error instanceof HarnessError && error.code === 'SCENARIO_INVALID') return error.details ?? '';
    throw error;
  }
  return '';
}

t.test('the subvolumes of the image are those that the system mounts', async (t) => {
  const { install, system, promises } = await loadScenario(write(t, IMAGE));
  t.equal(install, undefined);
  t.match(system.image, {
    esp: { partLabel: 'ESP', device: '/dev/disk/by-partlabel/ESP', sizeMiB: 128 },
    btrfs: { partLabel: 'nixos', device: '/dev/disk/by-partlabel/nixos', sizeMiB: 1024 },
    subvolumes: ['@nix', '@persistent'],
    owner: { uid: 0, gid: 0 },
    place: { line: 3, col: 1 },
  });
  const ids = promises.map(({ id }) => id);
  for (const id of ['image-subvolumes', 'image-owners', 'grown', 'registered', 'tmpfiles-safe'])
    t.ok(ids.includes(id), id);
  const fault = await loadScenario(write(t, edit('image: {', 'image: { owner: "1000:100",')));
  t.match(fault.system.image, { owner: { uid: 1000, gid: 100 } });
});

t.test('a layout that has no LUKS device is said to have none', async (t) => {
  const variants = selectVariants(await loadScenarios([write(t, IMAGE)]));
  t.match(variants, [{ id: 'image', axes: { luks: 'none', firmware: 'uefi' } }]);
});

t.test('refused, at the place where it stands', async (t) => {
  const cases: [string, RegExp][] = [
    [
      edit('image: {', 'images: {'),
      /install is missing: a scenario fills its disk with a script .* or with an image/,
    ],
    [edit('image: {', 'install: { text: "true" }\nimage: {'), /:4:1: install and image are both there/],
    [edit('1GiB', '12GiB'), /:3:1: the image takes 12418 MiB, and the disk has 12GiB/],
    [edit('partLabel: nixos', 'partLabel: ESP'), /both partitions of the image are called ESP/],
    [edit('image: {', 'image: { owner: me,'), /image.owner must be root, or a user and a group as numbers/],
    [edit('image: {', 'matrix: { sectorSize: [512, 4096] }\nimage: {'), /:3:29: .*sectors of 512 bytes/],
    [edit('image: {', 'matrix: { firmware: [secure-boot] }\nimage: {'), /:3:22: .*is not signed/],
    [
      edit('system:', 'system:\n  swapDevices: [{ device: /dev/vda3 }]'),
      /:5:3: an image has no partition for swap/,
    ],
    [edit('system:', 'system:\n  luks: { x: { device: /dev/vda3 } }'), /:5:3: an image holds no LUKS device/],
    [
      edit('by-partlabel/nixos, fsType: btrfs, options: [subvol=/@nix]', 'by-label/nixos, fsType: btrfs'),
      /the image has no \/dev\/disk\/by-label\/nixos/,
    ],
    [edit('subvol=/@nix', 'noatime'), /:7:5: system.fileSystems."\/nix" has no option "subvol=…"/],
    [edit('fsType: vfat', 'fsType: ext4'), /ESP is a vfat in the image, not ext4/],
    [
      edit('    /boot: { device: /dev/disk/by-partlabel/ESP, fsType: vfat, options: [umask=0077] }\n', ''),
      /nothing mounts the EFI system partition/,
    ],
  ];
  for (const [text, expected] of cases) t.match(await problemsIn(t, text), expected);
});

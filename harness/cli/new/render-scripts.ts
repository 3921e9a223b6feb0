import path from 'node:path';

import { quote } from '../../core/index.js';
import type { Answers } from './answers.js';

/** Name of the LUKS device, and of its partition. */
export const LUKS_NAME = 'cryptroot';
/** Name of the partition that holds everything but the boot loader. */
export const PARTITION = 'system';

/** The device that the file systems are on. */
export function deviceOf({ luks }: Pick<Answers, 'luks'>): string {
  return luks === 'none' ? `/dev/disk/by-partlabel/${PARTITION}` : `/dev/mapper/${LUKS_NAME}`;
}

/** Where what is kept lies. */
export function storeOf({ root }: Pick<Answers, 'root'>): string {
  return root === 'tmpfs' ? '/nix/persist' : '/persist';
}

/** The script that fills the disk, in the installer. */
export function renderInstall(answers: Answers): string {
  const device = deviceOf(answers);
  const store = `/mnt${storeOf(answers)}`;
  return [
    '#!/bin/bash',
    '# Runs as root in the installer, with the empty disk in $DISK. On a real machine you would type these lines.',
    'set -euo pipefail',
    '',
    'parted --script "$DISK" unit MiB \\',
    '  mklabel gpt \\',
    '  mkpart ESP fat32 1 513 set 1 esp on \\',
    `  mkpart ${PARTITION} 513 100%`,
    `udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{ESP,${PARTITION}}`,
    '',
    'mkfs.vfat -F 32 /dev/disk/by-partlabel/ESP',
    ...(answers.luks === 'none' ? [] : renderLuks()),
    ...(answers.root === 'tmpfs' ? renderTmpfs(device) : renderBtrfs(device, answers.root)),
    'mount -o umask=0077 /dev/disk/by-partlabel/ESP /mnt/boot',
    '',
    '# What has to be there in the first boot: the configuration, who the machine is, and the passwords.',
    `mkdir -p ${store}/etc/nixos`,
    `echo '{ imports = [ ./hardware-configuration.nix ]; }' >${store}/etc/nixos/configuration.nix`,
    `systemd-id128 new >${store}/etc/machine-id`,
    ...renderFiles(answers, store),
    `mkdir -m 0700 ${store}/passwords`,
    `for user in ${['root', ...answers.user].join(' ')}; do`,
    `  mkpasswd --method=sha-512 --stdin <"$PASSWORD_FILE" >"${store}/passwords/$user"`,
    'done',
    `chmod 0600 ${store}/passwords/*`,
    '',
  ].join('\n');
}

/** Who keeps a file promises its content: there has to be one. */
function renderFiles({ keepFile }: Answers, store: string): string[] {
  const files = keepFile.filter((file) => file !== '/etc/machine-id');
  return files.flatMap((file) => [
    `mkdir -p ${quote(path.dirname(`${store}${file}`))}`,
    `echo 'from the install' >${quote(`${store}${file}`)}`,
  ]);
}

function renderLuks(): string[] {
  const partition = `/dev/disk/by-partlabel/${PARTITION}`;
  return [
    '',
    '# Few iterations: a test machine has no attacker, and every boot pays for them. Leave --pbkdf… out on a real one.',
    'cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \\',
    `  ${partition} "$LUKS_PASSPHRASE_FILE"`,
    `cryptsetup open --key-file "$LUKS_PASSPHRASE_FILE" ${partition} ${LUKS_NAME}`,
  ];
}

function renderBtrfs(device: string, root: Answers['root']): string[] {
  return [
    '',
    `mkfs.btrfs --quiet ${device}`,
    `mount -o subvol=/ ${device} /mnt`,
    'btrfs --quiet subvolume create /mnt/{root,home,nix,persist,log}',
    ...(root === 'btrfs-snapshot'
      ? [
          '# What every boot goes back to: the root as long as it is empty.',
          'btrfs --quiet subvolume snapshot -r /mnt/root /mnt/root-blank',
        ]
      : []),
    'umount /mnt',
    '',
    `mount -o subvol=root,compress=zstd ${device} /mnt`,
    'mkdir -p /mnt/{boot,home,nix,persist,var/log}',
    ...[
      ['home', 'home'],
      ['nix', 'nix'],
      ['persist', 'persist'],
      ['log', 'var/log'],
    ].map(
      ([subvolume, folder]) =>
        `mount -o subvol=${subvolume ?? ''},compress=zstd ${device} /mnt/${folder ?? ''}`,
    ),
  ];
}

function renderTmpfs(device: string): string[] {
  return [
    '',
    `mkfs.ext4 -q ${device}`,
    '# Everybody has to be able to enter the root, or NixOS does not install there.',
    'mount -t tmpfs -o mode=0755 none /mnt',
    'mkdir -p /mnt/{boot,nix,home,var/log}',
    `mount ${device} /mnt/nix`,
    'mkdir -p /mnt/nix/persist/{home,var/log}',
    'mount --bind /mnt/nix/persist/home /mnt/home',
    'mount --bind /mnt/nix/persist/var/log /mnt/var/log',
  ];
}

/** The script that empties the root in stage 1: the same for bash (systemd) and for busybox (scripted). */
export function renderRollback(answers: Answers): string {
  const isSnapshot = answers.root === 'btrfs-snapshot';
  return [
    '# Runs in stage 1, before the root is mounted. Nothing is deleted before it is sure what it is, and that there is something',
    '# to put in its place; when anything fails the boot stops, rather than going on with an old root.',
    'give_up() {',
    '  echo "Not rolled back: $*"',
    '  exit 1',
    '}',
    '',
    'mkdir -p /mnt',
    `mount -o subvol=/ ${deviceOf(answers)} /mnt || give_up "the file system cannot be mounted"`,
    '',
    '# The root of a subvolume has the inode number 256. On a plain directory "list -o" would name every subvolume of the disk.',
    '[ ! -e /mnt/root ] || [ "$(stat -c %i /mnt/root)" = 256 ] || give_up "/root is a directory, not a subvolume"',
    ...(isSnapshot
      ? [
          '[ "$(btrfs property get -ts /mnt/root-blank ro)" = ro=true ] || give_up "there is no read-only snapshot /root-blank"',
        ]
      : []),
    '',
    '# systemd and containers make subvolumes in the root, and one that holds another cannot be deleted: from the leaves up.',
    'delete_recursively() {',
    '  btrfs property set -ts "/mnt/$1" ro false',
    '  btrfs subvolume list -o "/mnt/$1" | cut -f 9- -d \' \' | while IFS= read -r child; do',
    '    delete_recursively "$child"',
    '  done',
    '  echo "Deleting /$1"',
    '  # Fails when something in it is left.',
    '  btrfs subvolume delete "/mnt/$1" >/dev/null',
    '}',
    '',
    'if [ -e /mnt/root ]; then delete_recursively root || give_up "/root cannot be deleted"; fi',
    ...(isSnapshot
      ? [
          'echo "Restoring /root from /root-blank"',
          'btrfs subvolume snapshot /mnt/root-blank /mnt/root >/dev/null || give_up "the snapshot cannot be made"',
        ]
      : [
          'echo "Making /root anew"',
          'btrfs subvolume create /mnt/root >/dev/null || give_up "the subvolume cannot be made"',
        ]),
    'umount /mnt',
    '',
  ].join('\n');
}

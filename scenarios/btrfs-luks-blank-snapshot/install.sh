#!/bin/bash
# Runs in the installer as root. $DISK is the disk to fill, $LUKS_PASSPHRASE_FILE holds the passphrase.
set -euo pipefail

parted --script "$DISK" unit MiB \
  mklabel gpt \
  mkpart boot fat32 1 513 set 1 esp on \
  mkpart swap linux-swap 513 1025 \
  mkpart root 1025 100%
udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{boot,swap,root}

# Few iterations: a test machine has no attacker, and every boot pays for them.
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  /dev/disk/by-partlabel/root "$LUKS_PASSPHRASE_FILE"
cryptsetup open --key-file "$LUKS_PASSPHRASE_FILE" /dev/disk/by-partlabel/root enc

mkfs.vfat -n boot /dev/disk/by-partlabel/boot
mkswap --quiet /dev/disk/by-partlabel/swap
mkfs.btrfs --quiet /dev/mapper/enc

mount -t btrfs /dev/mapper/enc /mnt
btrfs --quiet subvolume create /mnt/{root,home,nix,persist,log}
# What every boot goes back to: the root as long as it is empty.
btrfs --quiet subvolume snapshot -r /mnt/root /mnt/root-blank
umount /mnt

options=compress=zstd,noatime
mount -o "subvol=root,$options" /dev/mapper/enc /mnt
mkdir -p /mnt/{boot,home,nix,persist,var/log}
mount -o "subvol=home,$options" /dev/mapper/enc /mnt/home
mount -o "subvol=nix,$options" /dev/mapper/enc /mnt/nix
mount -o "subvol=persist,$options" /dev/mapper/enc /mnt/persist
mount -o "subvol=log,$options" /dev/mapper/enc /mnt/var/log
mount -o umask=0077 /dev/disk/by-partlabel/boot /mnt/boot

mkdir -p /mnt/persist/etc/nixos
echo '{ imports = [ ./hardware-configuration.nix ]; }' >/mnt/persist/etc/nixos/configuration.nix
systemd-id128 new >/mnt/persist/etc/machine-id
printf '0.0 0 0.0\n0\nUTC\n' >/mnt/persist/etc/adjtime
touch /mnt/persist/etc/NIXOS

#!/bin/bash
# Runs in the installer as root. $DISK is the disk to fill, $LUKS_PASSPHRASE_FILE holds the passphrase.
set -euo pipefail

parted --script "$DISK" unit MiB \
  mklabel gpt \
  mkpart ESP fat32 1 513 set 1 esp on \
  mkpart swap linux-swap 513 1025 \
  mkpart cryptfs 1025 100%
udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{ESP,swap,cryptfs}

cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  /dev/disk/by-partlabel/cryptfs "$LUKS_PASSPHRASE_FILE"
cryptsetup open --key-file "$LUKS_PASSPHRASE_FILE" /dev/disk/by-partlabel/cryptfs crypfs

mkfs.btrfs -L cryptfs /dev/mapper/cryptfs
mount /dev/mapper/cryptfs /mnt

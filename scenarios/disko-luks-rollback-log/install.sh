#!/bin/bash
# Runs in the installer as root. $DISK is the disk to fill, $LUKS_PASSPHRASE_FILE holds the passphrase.
# What disko makes of the recipe's disk-config.nix, with the read-only snapshot that needs a hook there.
set -euo pipefail

sgdisk --zap-all "$DISK" >/dev/null
sgdisk --new=1:0:+512M --typecode=1:EF00 --change-name=1:ESP \
  --new=2:0:0 --typecode=2:8309 --change-name=2:luks "$DISK" >/dev/null
udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{ESP,luks}

mkfs.vfat /dev/disk/by-partlabel/ESP
# Few iterations: a test machine has no attacker, and every boot pays for them.
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  --key-file "$LUKS_PASSPHRASE_FILE" /dev/disk/by-partlabel/luks
cryptsetup open --key-file "$LUKS_PASSPHRASE_FILE" --allow-discards /dev/disk/by-partlabel/luks cryptroot

mkfs.btrfs --quiet --force /dev/mapper/cryptroot
mount -t btrfs -o subvol=/ /dev/mapper/cryptroot /mnt
btrfs --quiet subvolume create /mnt/{root,home,nix,persist}
btrfs --quiet subvolume snapshot -r /mnt/root /mnt/root-blank
umount /mnt

options=compress=zstd,noatime
mount -o "subvol=/root,$options" /dev/mapper/cryptroot /mnt
mkdir -p /mnt/{boot,home,nix,persist}
mount -o "subvol=/home,$options" /dev/mapper/cryptroot /mnt/home
mount -o "subvol=/nix,$options" /dev/mapper/cryptroot /mnt/nix
mount -o "subvol=/persist,$options" /dev/mapper/cryptroot /mnt/persist
mount -o umask=0077 /dev/disk/by-partlabel/ESP /mnt/boot

# The recipe has copied all of /etc to its persistent place before it is mounted over.
mkdir -p /mnt/persist/etc/nixos
echo '{ imports = [ ./hardware-configuration.nix ./impermanence.nix ]; }' >/mnt/persist/etc/nixos/configuration.nix
systemd-id128 new >/mnt/persist/etc/machine-id

#!/bin/bash
# Runs in the installer as root. $DISK is the disk to fill, $LUKS_PASSPHRASE_FILE holds the passphrase.
set -euo pipefail

parted --script "$DISK" unit MiB \
  mklabel gpt \
  mkpart ESP fat32 1 513 set 1 esp on \
  mkpart swap linux-swap 513 1025 \
  mkpart cryptfs 1025 100%
udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{ESP,swap,cryptfs}

mkfs.vfat -F 32 -n BOOT /dev/disk/by-partlabel/ESP
mkswap --quiet --label swap /dev/disk/by-partlabel/swap

# Few iterations: a test machine has no attacker, and every boot pays for them.
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  /dev/disk/by-partlabel/cryptfs "$LUKS_PASSPHRASE_FILE"
cryptsetup open --key-file "$LUKS_PASSPHRASE_FILE" --allow-discards /dev/disk/by-partlabel/cryptfs cryptfs

mkfs.btrfs --quiet /dev/mapper/cryptfs
mount /dev/mapper/cryptfs /mnt
btrfs --quiet subvolume create /mnt/{root,home,nix,persist,log}
umount /mnt

options=compress=zstd,noatime
mount -o "subvol=root,$options" /dev/mapper/cryptfs /mnt
mkdir -p /mnt/{boot,home,nix,persist,var/log}
mount -o "subvol=home,$options" /dev/mapper/cryptfs /mnt/home
mount -o "subvol=nix,$options" /dev/mapper/cryptfs /mnt/nix
mount -o "subvol=persist,$options" /dev/mapper/cryptfs /mnt/persist
mount -o "subvol=log,$options" /dev/mapper/cryptfs /mnt/var/log
mount -o umask=0077 /dev/disk/by-partlabel/ESP /mnt/boot

# What the recipe copies before the first reboot: the identity of the machine.
mkdir -p /mnt/persist/system/etc/{nixos,ssh}
systemd-id128 new >/mnt/persist/system/etc/machine-id
echo '{ imports = [ ./hardware-configuration.nix ]; }' >/mnt/persist/system/etc/nixos/configuration.nix

mkdir -m 0700 /mnt/persist/passwords
for user in root itsdrike; do
  mkpasswd --method=sha-512 --stdin <"$PASSWORD_FILE" >"/mnt/persist/passwords/$user"
done
chmod 0600 /mnt/persist/passwords/*

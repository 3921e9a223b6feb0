#!/bin/bash
# Runs in the installer as root. $DISK is the disk to fill, $LUKS says whether it is to be encrypted.
set -euo pipefail

parted --script "$DISK" \
  unit MiB \
  mklabel gpt \
  mkpart ESP fat32 1 513 \
  set 1 boot on \
  mkpart swap linux-swap 513 1537 \
  mkpart nix 1537 100% \
  print
sgdisk --partition-guid=2:3f6b8d1e-52a7-4c09-9d7b-0a4c6e2f1b85 "$DISK" >/dev/null
udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{ESP,swap,nix} \
  /dev/disk/by-partuuid/3f6b8d1e-52a7-4c09-9d7b-0a4c6e2f1b85
for number in 1 2 3; do parted "$DISK" -- align-check optimal "$number"; done

# The kernel tells which partition of a disk is which: vda1 or nvme0n1p1, none of another disk with a longer name, and in
# whatever order they are listed.
partition() {
  lsblk --noheadings --list --paths --output NAME,PARTN "$DISK" | awk -v number="$1" '$2 == number { print $1 }'
}
boot=$(partition 1) nix=$(partition 3)
[ -b "$boot" ] && [ -b "$nix" ]

if [ "$LUKS" != none ]; then
  # Few iterations: a test machine has no attacker, and every boot pays for them.
  cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$nix" "$LUKS_PASSPHRASE_FILE"
  cryptsetup luksOpen --key-file "$LUKS_PASSPHRASE_FILE" "$nix" crypted
  nix=/dev/mapper/crypted
fi

mkfs.fat -F 32 -n boot "$boot"
mkfs.ext4 -q -L nixos "$nix"

mount -t tmpfs -o mode=755 none /mnt
mkdir -p /mnt/{boot,nix,etc/nixos,var/log}
mount "$boot" /mnt/boot -o umask=0077
mount "$nix" /mnt/nix
mkdir -p /mnt/nix/persist/{etc/nixos,var/log}
mount -o bind /mnt/nix/persist/etc/nixos /mnt/etc/nixos
mount -o bind /mnt/nix/persist/var/log /mnt/var/log

echo '{ imports = [ ./hardware-configuration.nix ]; }' >/mnt/etc/nixos/configuration.nix
mkdir -m 0700 /mnt/nix/persist/passwords
mkpasswd --method=sha-512 --stdin <"$PASSWORD_FILE" >/mnt/nix/persist/passwords/root
chmod 0600 /mnt/nix/persist/passwords/root

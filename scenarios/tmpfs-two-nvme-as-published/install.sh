#!/bin/bash
# The recipe's own search for partitions, and only so much of the rest as shows what comes of it.
set -e

parted --script "$DISK" \
  unit MiB \
  mklabel gpt \
  mkpart ESP fat32 1 513 \
  set 1 boot on \
  mkpart swap linux-swap 513 1537 \
  mkpart nix 1537 100%
udevadm wait --settle --timeout=30 /dev/disk/by-partlabel/{ESP,swap,nix}

for i in {1..3}; do
  export "PART$i"="$(lsblk -lp | grep part | grep "${DISK}" | awk -v line="$i" 'NR==line{print $1}')"
done
echo "$PART1"
echo "$PART2"
echo "$PART3"

mkfs.fat -F 32 -n boot "${PART1}"
mkswap -L swap "${PART2}"
mkfs.ext4 -q -L nixos "${PART3}"

mount -t tmpfs -o mode=755 none /mnt
mkdir -p /mnt/{boot,nix,etc/nixos,var/log}
mount "$PART1" /mnt/boot -o umask=0077
mount "$PART3" /mnt/nix

#!/bin/bash
# Runs in the installer as root. $DISK is the disk to fill.
set -euo pipefail

controller=$(cat /sys/class/nvme/nvme0/address)
name_of() { basename "$(readlink -f "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_main_$1")"; }
for _ in {1..300}; do
  [ "$(name_of 1) $(name_of 10)" != 'nvme0n1 nvme0n10' ] || break
  echo "$controller" >/sys/bus/pci/drivers/nvme/unbind
  echo "$controller" >/sys/bus/pci/drivers/nvme/bind
  udevadm wait --settle --timeout=30 /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_main_{1,10}
done
DISK=/dev/$(name_of 1)
echo "to be filled: $DISK; somebody else's: /dev/$(name_of 10)"

parted --script "$DISK" unit MiB \
  mklabel gpt \
  mkpart ESP fat32 1 513 set 1 boot on \
  mkpart swap linux-swap 513 1537 \
  mkpart nix 1537 100%
udevadm settle

for number in 1 2 3; do
  declare "part$number=$(lsblk -lp | grep part | grep "$DISK" | awk -v line="$number" 'NR == line { print $1 }')"
done
lsblk -lp
echo "found: $part1 $part2 $part3"

mkfs.fat -F 32 -n boot "$part1"
mkfs.ext4 -q -F -L nixos "$part3"

mount -t tmpfs -o mode=755 none /mnt
mkdir -p /mnt/{boot,nix,etc/nixos,var/log}
mount "$part1" /mnt/boot -o umask=0077
mount "$part3" /mnt/nix
mkdir -p /mnt/nix/persist/{etc/nixos,var/log}
mount -o bind /mnt/nix/persist/etc/nixos /mnt/etc/nixos
mount -o bind /mnt/nix/persist/var/log /mnt/var/log

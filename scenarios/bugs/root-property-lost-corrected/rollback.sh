mount --mkdir /dev/mapper/cryptfs /mnt

delete_recursively() {
  IFS=$'\n'
  for child in $(btrfs subvolume list -o "$1" | cut -f 9- -d ' '); do
    delete_recursively "/mnt/$child"
  done
  echo "Deleting subvolume $1"
  btrfs subvolume delete "$1"
}

delete_recursively /mnt/root
echo "Re-creating root subvolume"
btrfs subvolume create /mnt/root
btrfs property set -t inode /mnt/root compression zstd

umount /mnt

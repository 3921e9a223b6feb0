# Makes the root subvolume anew. Subvolumes may hold subvolumes (systemd makes some by itself), and a subvolume that
# holds another cannot be deleted: delete from the leaves up.
mount --mkdir /dev/mapper/crypt-fs /mnt

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

umount /mnt

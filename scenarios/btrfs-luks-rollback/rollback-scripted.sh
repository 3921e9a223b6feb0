# The same in scripted stage 1: busybox ash, whose mount knows no --mkdir. These lines become part of the script of
# stage 1, so what they set stays set, and no command that fails ends them.
mkdir -p /mnt
mount /dev/mapper/cryptfs /mnt

delete_recursively() {
  local IFS=$'\n' child
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

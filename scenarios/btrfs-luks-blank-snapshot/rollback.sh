# Nothing is deleted before it is sure that root is a subvolume and that there is a snapshot to put in its place.
mkdir -p /mnt
mount -o subvol=/ /dev/mapper/enc /mnt

give_up() {
  echo "Not rolled back: $*"
  exit 1
}

# Every subvolume is the root of an inode tree: its number is 256. "list -o" on a plain directory would name all
# subvolumes of the disk.
[ ! -e /mnt/root ] || [ "$(stat -c %i /mnt/root)" = 256 ] || give_up "/root is a directory, not a subvolume"
[ "$(btrfs property get -ts /mnt/root-blank ro)" = ro=true ] || give_up "there is no read-only snapshot /root-blank"

delete_recursively() {
  btrfs property set -ts "/mnt/$1" ro false
  btrfs subvolume list -o "/mnt/$1" | cut -f 9- -d ' ' | while IFS= read -r child; do
    delete_recursively "$child"
  done
  echo "Deleting /$1"
  # Fails when something in it is left.
  btrfs subvolume delete "/mnt/$1" >/dev/null
}

if [ -e /mnt/root ]; then delete_recursively root || give_up "/root cannot be deleted"; fi
echo "Restoring /root from /root-blank"
btrfs subvolume snapshot /mnt/root-blank /mnt/root >/dev/null || give_up "the snapshot cannot be made"
umount /mnt

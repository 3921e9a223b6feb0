# The log goes to the journal of the boot, and to a file that is kept. A line is written when its work is done.
mkdir -p /mnt
mount -t btrfs -o subvol=/ /dev/mapper/cryptroot /mnt

say() {
  echo "$*"
  echo "$*" >>/mnt/persist/rollback.log || echo "The log in /persist cannot be written"
}

# Whoever looks for the reason after a reset has to find it: what is unmounted is on the disk.
give_up() {
  say "Not rolled back: $*"
  umount /mnt
  exit 1
}

say "Rollback running"
[ ! -e /mnt/root ] || [ "$(stat -c %i /mnt/root)" = 256 ] || give_up "/root is a directory, not a subvolume"
[ "$(btrfs property get -ts /mnt/root-blank ro)" = ro=true ] || give_up "there is no read-only snapshot /root-blank"

delete_recursively() {
  btrfs property set -ts "/mnt/$1" ro false
  btrfs subvolume list -o "/mnt/$1" | cut -f 9- -d ' ' | while IFS= read -r child; do
    delete_recursively "$child"
  done
  # Fails when something in it is left.
  btrfs subvolume delete "/mnt/$1" >/dev/null && say "Deleted /$1"
}

if [ -e /mnt/root ]; then delete_recursively root || give_up "/root cannot be deleted"; fi
btrfs subvolume snapshot /mnt/root-blank /mnt/root >/dev/null || give_up "the snapshot cannot be made"
say "Restored /root from /root-blank"
umount /mnt

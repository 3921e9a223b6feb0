mkdir -p /mnt
mount -o subvol=/ /dev/mapper/enc /mnt

btrfs subvolume list -o /mnt/root |
cut -f9 -d' ' |
while read subvolume; do
  echo "deleting /$subvolume subvolume..."
  btrfs subvolume delete "/mnt/$subvolume"
done &&
echo "deleting /root subvolume..." &&
btrfs subvolume delete /mnt/root

echo "restoring blank /root subvolume..."
btrfs subvolume snapshot /mnt/root-blank /mnt/root

umount /mnt

echo "Rollback running" > /mnt/rollback.log
mkdir -p /mnt
mount -t btrfs /dev/mapper/cryptroot /mnt

btrfs subvolume list -o /mnt/root | cut -f9 -d' ' | while read subvolume; do
  echo "Deleting /$subvolume subvolume..." >> /mnt/rollback.log
  btrfs subvolume delete "/mnt/$subvolume"
done

echo "Deleting /root subvolume..." >> /mnt/rollback.log
btrfs subvolume delete /mnt/root

echo "Restoring blank /root subvolume..." >> /mnt/rollback.log
btrfs subvolume snapshot /mnt/root-blank /mnt/root

umount /mnt

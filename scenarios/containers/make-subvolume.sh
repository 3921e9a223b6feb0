# Run after the script of the layout: one more subvolume beside the others, for the instances.
mkdir -p /run/top /mnt/persist/lxd
mount /dev/mapper/cryptfs /run/top
btrfs --quiet subvolume create /run/top/lxd
umount /run/top

# What the recipe copies while the services stand still.
mkdir -p -m 0711 /mnt/persist/var/lib/{docker,incus}

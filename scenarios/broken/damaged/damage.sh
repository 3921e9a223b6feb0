set -eux
store=/persist/system

# The identity of the machine, and of who may log in.
systemd-id128 new >$store/etc/machine-id
rm $store/etc/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ed25519 -N '' -f $store/etc/ssh/ssh_host_ed25519_key
echo '$6$damaged$' >/persist/passwords/itsdrike

# What was planted below a persisted path, and a subvolume that is mounted.
rm -r $store/etc/nixos/imperm-canary-*
mkdir -p /run/top
mount -o subvol=/ /dev/mapper/cryptfs /run/top
mv /run/top/home /run/top/elsewhere
umount /run/top

# The header of LUKS; swap; a FAT that nobody has unmounted; a disk that is none of this system's business.
cryptsetup config --label damaged /dev/disk/by-partlabel/cryptfs
swapoff --all
wipefs --all --quiet /dev/disk/by-partlabel/swap
umount /boot
printf '\001' | dd of=/dev/disk/by-partlabel/ESP bs=1 seek=65 conv=notrunc status=none
printf damaged | dd of=/dev/disk/by-id/virtio-other bs=1 seek=100M conv=notrunc status=none
sync

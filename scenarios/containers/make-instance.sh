# The same programs as an image of Incus, with an init of their own.
set -eux
incus admin init --preseed <<'YAML'
storage_pools:
  - { name: default, driver: btrfs, config: { source: /persist/lxd } }
profiles:
  - name: default
    devices:
      root: { type: disk, path: /, pool: default }
YAML
image=/run/tiny-image
mkdir -p $image
mv /run/tiny $image/rootfs
printf '#!/bin/sh\nexec sleep 1000000\n' >$image/rootfs/sbin/init
chmod 0755 $image/rootfs/sbin/init
printf 'architecture: x86_64\ncreation_date: 1700000000\nproperties: { description: tiny }\n' >$image/metadata.yaml
tar --create --gzip --file /run/tiny.tar.gz --directory $image metadata.yaml rootfs
incus image import /run/tiny.tar.gz --alias tiny
incus --quiet launch tiny keeper || {
  cat /var/log/incus/keeper/lxc.log
  exit 1
}
incus exec keeper -- sh -c 'echo "made in boot 1" >/root/content'
incus exec keeper -- cat /root/content
incus stop --force keeper
btrfs subvolume list -o /persist/lxd | sort >/persist/subvolumes-of-incus
[ -s /persist/subvolumes-of-incus ]

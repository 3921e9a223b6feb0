#!/bin/bash
# Runs inside a fresh Debian tree (a chroot that is thrown away afterwards) and makes the images in /imperm/out:
#   vmlinuz                the kernel of both guests
#   stage1-systemd.cpio.zst  generic systemd stage 1; a scenario adds a few kilobytes in a second initrd
#   installer.cpio.zst     the RAM-only installer and inspector
#   system.tar             what the installed system's store path holds: usr/, etc/ and boot/, with real owners and modes
# Input: /imperm/in/{agent,installer,system,stage1}: files copied over the respective tree.
set -euo pipefail

out=/imperm/out
work=/imperm/work
mkdir -p "$out" "$work"
kernel=$(basename /usr/lib/modules/*)
# One number for every time stamp: the same packages must give the same images.
epoch=${SOURCE_DATE_EPOCH:?}

# Documentation, translations and package tools: never used inside a machine under test.
prune() {
  (
    cd "$1"
    rm -rf usr/share/{doc,doc-base,locale,man,info,lintian,common-licenses,bash-completion,initramfs-tools,perl,perl5,debconf,bug,menu,pixmaps,zsh} \
      usr/lib/dracut usr/lib/klibc usr/lib/apt usr/lib/dpkg usr/lib/kernel usr/include usr/games usr/src usr/local \
      usr/lib/udev/hwdb.bin usr/lib/udev/hwdb.d usr/lib/x86_64-linux-gnu/{perl-base,gconv} usr/lib/systemd/boot/efi/*.stub \
      usr/lib/systemd/{catalog,portable} usr/lib/systemd/system-generators/systemd-{ssh,gpt-auto,hibernate-resume,sysv}-generator etc/apt etc/dracut.conf* etc/initramfs-tools etc/kernel etc/cron* etc/dpkg etc/logrotate.d etc/ucf.conf
    rm -f usr/bin/{apt*,dpkg*,perl*,debconf*,deb-systemd*,ucf*,sqv,dracut*,lsinitr*} usr/sbin/{dpkg-*,mkinitramfs,update-initramfs} usr/lib/x86_64-linux-gnu/libapt-*
  )
}

# A tree in which `chroot` works, made of hard links: no copy, no mounts.
link_tree() {
  mkdir -p "$1"
  cp -al /usr "$1/usr"
  cp -a /etc "$1/etc"
  for link in bin sbin lib lib64; do ln -s "usr/$link" "$1/$link"; done
  prune "$1"
}

make_cpio() { # tree, output, zstd level
  (
    cd "$1"
    find . -exec touch --no-dereference --date="@$epoch" {} +
    find . -print0 | LC_ALL=C sort -z | cpio --null --quiet --create --format=newc --reproducible --owner=+0:+0 | zstd --quiet --force -T0 "-$3" -o "$2"
  )
}

mask() {
  local tree=$1 unit
  shift
  for unit; do ln -sf /dev/null "$tree/etc/systemd/system/$unit"; done
}

copy_overlay() { # name, tree
  [ ! -d "/imperm/in/$1" ] || cp -rT --no-preserve=ownership,timestamps "/imperm/in/$1" "$2"
}

cp --dereference "/boot/vmlinuz-$kernel" "$out/vmlinuz"

# ---- stage 1: dracut only collects programs, libraries and udev rules; its own boot logic is left out ----------
# NixOS puts bash, all of coreutils, kmod, systemd, less, mount, umount, fsck and (for btrfs) btrfs-progs into
# stage 1's PATH and nothing else: a rollback script that calls grep or sed must fail here as it would there.
coreutils=$(dpkg -L coreutils | grep -E '^(/usr)?/(s?bin)/' | sed 's|.*/||' | tr '\n' ' ')
nixos_tools="bash $coreutils less mount umount fsck btrfs mkfs.btrfs systemctl journalctl udevadm systemd-ask-password systemd-cat systemd-escape systemd-run systemd-tmpfiles systemd-tty-ask-password-agent systemd-notify systemd-creds systemd-id128 lsmod modprobe insmod rmmod depmod modinfo kmod"
dracut --quiet --force --no-hostonly --no-hostonly-cmdline --no-early-microcode --reproducible --nofscks \
  --modules "bash systemd systemd-initrd systemd-ask-password systemd-cryptsetup systemd-journald systemd-modules-load systemd-sysctl systemd-tmpfiles systemd-udevd udev-rules dm" \
  --drivers "btrfs" --install "$nixos_tools" --compress cat --kver "$kernel" "$work/dracut.cpio" >"$out/dracut.log" 2>&1
mkdir -p "$work/stage1"
(cd "$work/stage1" && cpio --quiet -id <"$work/dracut.cpio")

cd "$work/stage1"
rm -rf "usr/lib/modules/$kernel/kernel" var/tmp usr/lib/dracut usr/lib/systemd/system-generators/systemd-gpt-auto-generator etc/cmdline.d
for module in virtio_blk virtio_pci btrfs dm-crypt dm-mod vfat nls_cp437 nls_ascii nls_iso8859-1 efivarfs ext4 overlay loop aesni-intel xts sha256-ssse3 \
  virtio-rng crc32c-intel xxhash_generic blake2b_generic autofs4 cryptd essiv; do
  modprobe --set-version "$kernel" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }'
done | sort -u | while read -r module; do
  module=usr/lib/modules/${module#*/lib/modules/}
  mkdir -p "$(dirname "$module")"
  case $module in # decompressed: the whole image is compressed once, and loading costs less
    *.xz) xz -dc "/$module" >"${module%.xz}" ;;
    *.zst) zstd -qdc "/$module" >"${module%.zst}" ;;
    *) cp "/$module" "$module" ;;
  esac
done
cp "/usr/lib/modules/$kernel"/modules.{order,builtin,builtin.modinfo} "usr/lib/modules/$kernel/"
depmod --basedir "$work/stage1" "$kernel"
# udev's rules call dmsetup by its full path; in NixOS that path is not in PATH either.
mv usr/sbin/dmsetup usr/lib/udev/dmsetup
sed -i 's|/usr/sbin/dmsetup|/usr/lib/udev/dmsetup|' usr/lib/udev/rules.d/*.rules
# Rules for devices that play no part before the root is mounted; each costs time for every device.
(cd usr/lib/udev/rules.d && rm -f 60-{autosuspend,cdrom_id,drm,evdev,fido-id,input-id,persistent-alsa,persistent-input,persistent-storage-tape,persistent-v4l,sensor}.rules \
  7[0-9]-*.rules 80-net-setup-link.rules 81-net-dhcp.rules)
# What dracut's modules brought along and NixOS's stage 1 does not have.
for dir in usr/bin usr/sbin; do
  for program in "$dir"/*; do
    name=$(basename "$program")
    case " $nixos_tools sh init systemd-cryptsetup " in *" $name "*) continue ;; esac
    case $name in mount.* | fsck.* | systemd-*) continue ;; esac
    rm -f "$program"
  done
done
: >etc/machine-id
copy_overlay stage1 .
make_cpio . "$out/stage1-systemd.cpio.zst" 12

# ---- the installed system -----------------------------------------------------------------------------------
system=$work/system
link_tree "$system"
(
  cd "$system"
  rm -f etc/machine-id etc/ssh/ssh_host_* etc/resolv.conf etc/mtab etc/hostname etc/fstab etc/crypttab etc/.updated etc/*- etc/.pwd.lock
  rm -f usr/lib/modules/*/modules.{dep,alias,symbols,builtin.alias} # the binary indexes are enough
  copy_overlay agent .
  copy_overlay system .
  mkdir boot
  cp "$out/vmlinuz" "$out/stage1-systemd.cpio.zst" boot/
  chmod 0755 etc usr boot
)
# Each of these only costs time on a root that is new at every boot, or waits for something a test machine lacks.
mask "$system" systemd-networkd.service systemd-networkd.socket systemd-network-generator.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-firstboot.service systemd-pcrphase.service systemd-pcrphase-sysinit.service ldconfig.service systemd-update-done.service \
  systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-boot-random-seed.service systemd-pstore.service \
  systemd-boot-update.service systemd-bless-boot.service getty@tty1.service
rm -rf "$system"/{bin,sbin,lib,lib64}
rm -f "$system"/etc/systemd/system/sysinit.target.wants/systemd-pstore.service
tar --create --file "$out/system.tar" --directory "$system" --sort=name --mtime="@$epoch" --numeric-owner --xattrs --format=posix \
  --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime usr etc boot

# ---- the installer -------------------------------------------------------------------------------------------
installer=$work/installer
link_tree "$installer"
(
  cd "$installer"
  mkdir -p dev proc sys run tmp root var/log mnt boot
  cp -a /var/lib var/ 2>/dev/null || true
  rm -rf var/lib/{apt,dpkg,ucf,systemd/deb-systemd-helper-*} etc/ssh/ssh_host_* etc/machine-id etc/hostname etc/resolv.conf
  copy_overlay agent .
  copy_overlay installer .
  ln -sf usr/lib/systemd/systemd init
)
mask "$installer" ssh.service ssh.socket systemd-networkd.service systemd-networkd.socket systemd-network-generator.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-firstboot.service systemd-pcrphase.service systemd-pcrphase-sysinit.service ldconfig.service systemd-update-done.service \
  systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-pstore.service getty@tty1.service systemd-logind.service
make_cpio "$installer" "$out/installer.cpio.zst" 9

dpkg-query --show --showformat='${Package} ${Version}\n' >"$out/packages.txt"
printf '%s\n' "$kernel" >"$out/kernel-release"

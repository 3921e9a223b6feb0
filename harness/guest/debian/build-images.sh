#!/bin/bash
# Runs inside a fresh Debian tree (a chroot that is thrown away afterwards) and makes the images in /imperm/out:
#   vmlinuz                   the kernel of both guests
#   stage1-systemd.cpio.zst   generic systemd stage 1; a scenario adds a few kilobytes in a second initrd
#   stage1-scripted.cpio.zst  the same for scripted stage 1
#   stage1-tpm2.cpio.zst      what stage 1 needs to talk to a TPM; only variants that have one load it
#   installer.cpio.zst        the RAM-only installer and inspector; of the base alone
#   system.tar                what the installed system's store path holds: usr/, etc/ and boot/, with real owners and modes
# Input: /imperm/in/{agent,installer,system,stage1,network}: files copied over the respective tree. With base-packages.txt, what a
# build of the base left in packages.txt, the system holds more than that, and no installer is made.
# Arguments: `plain` or `signed`, what the kernel modules are to be: under Secure Boot the kernel loads only signed ones;
# `virtual` or `hardware`, what they run on: a real machine has other devices, and is talked to by its network.
set -euo pipefail

modules_are=${1:?}
machine_is=${2:?}

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
      usr/lib/systemd/{catalog,portable} usr/lib/systemd/system-generators/systemd-{bless-boot,debug,gpt-auto,hibernate-resume,integritysetup,rc-local,run,ssh,system-update,sysv,tpm2,veritysetup}-generator etc/apt etc/dracut.conf* etc/initramfs-tools etc/kernel etc/cron* etc/dpkg etc/logrotate.d etc/ucf.conf
    # Kinds of TPM that no machine has: simulators.
    rm -f usr/lib/x86_64-linux-gnu/libtss2-tcti-{cmd,mssim,swtpm}.so*
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

# Puts modules and what they depend on into a tree. Debian's are compressed and signed, and both cost time at every load;
# NixOS's are not signed.
put_modules() { # tree, module...
  local tree=$1 module source target index
  local modules=usr/lib/modules/$kernel
  shift
  for module; do
    modprobe --set-version "$kernel" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }'
  done | sort -u | while read -r source; do
    target=$tree/usr/lib/modules/${source#*/lib/modules/}
    rm -f "$target"
    target=${target%.xz}
    target=${target%.zst}
    mkdir -p "$(dirname "$target")"
    case $source in
      *.xz) xz -dc "$source" >"$target" ;;
      *.zst) zstd -qdc "$source" >"$target" ;;
      *) cp "$source" "$target" ;;
    esac
    [ "$modules_are" = signed ] || perl -e '
      open my $file, "+<", $ARGV[0] or die; my $size = -s $file;
      seek $file, $size - 40, 0; read $file, my $tail, 40;
      exit 0 unless $tail =~ /~Module signature appended~\n$/;
      truncate $file, $size - 40 - unpack "x8N", $tail or die;' "$target"
  done
  for index in "/$modules"/modules.{order,builtin,builtin.modinfo}; do
    [ -e "$tree/$modules/${index##*/}" ] || cp "$index" "$tree/$modules/"
  done
  depmod --basedir "$(realpath "$tree")" "$kernel"
  rm -f "$tree/$modules"/modules.{dep,alias,symbols,builtin.alias} # the binary indexes are enough
}

# Rules for devices that play no part in what is tested; each is looked at for every device.
prune_rules() { # tree
  [ "$machine_is" = virtual ] || return 0
  (cd "$1/usr/lib/udev/rules.d" && rm -f 50-firmware.rules 60-{autosuspend,tpm-udev,cdrom_id,dmi-id,drm,fido-id,infiniband,persistent-alsa,persistent-input,persistent-storage-mtd,persistent-storage-tape,persistent-v4l,sensor}.rules \
    7[0358]-{camera,joystick,memory,mouse,touchpad,special-net-names,net-description,probe_mtd,sound-card}.rules 80-{debian-compat,net-setup-link}.rules 81-net-dhcp.rules 90-iocost.rules 96-e2scrub.rules)
}

# No unit asks for these any more; each costs a program started at every boot for something that plays no part in
# what is tested here. The units themselves stay, for those who name them.
unwant() { # tree, unit...
  local tree=$1 unit
  shift
  for unit; do rm -f "$tree"/usr/lib/systemd/system/*.wants/"$unit" "$tree"/etc/systemd/system/*.wants/"$unit"; done
  find "$tree"/usr/lib/systemd/system/*.wants -xtype l ! -lname '/*' -delete
}

mask() {
  local tree=$1 unit
  shift
  for unit; do ln -sf /dev/null "$tree/etc/systemd/system/$unit"; done
}

# Packages beyond the base are installed and nothing of them is started by itself: as on NixOS, the system of a scenario
# asks for their units. Aliases stay, they start nothing.
unwant_extra() { # tree
  local tree=$1 package unit
  comm -13 <(cut -d' ' -f1 /imperm/base-packages.txt | sort) <(dpkg-query --show --showformat='${Package}\n' | sort -u) | while read -r package; do
    dpkg -L "$package" | sed -nE 's#^(/usr)?/lib/systemd/(system|user)/([^/]+)$#\3#p'
  done | sort -u | while read -r unit; do
    find "$tree"/{etc,usr/lib}/systemd/{system,user} \( -path '*.wants/*' -o -path '*.requires/*' \) -name "$unit" -delete
  done
}

copy_network() { # tree
  [ "$machine_is" = hardware ] || return 0
  copy_overlay network "$1"
  rm -f "$1"/etc/systemd/system/systemd-networkd.{service,socket}
}

copy_overlay() { # name, tree
  [ ! -d "/imperm/in/$1" ] || cp -rT --no-preserve=ownership,timestamps "/imperm/in/$1" "$2"
}

cp --dereference "/boot/vmlinuz-$kernel" "$out/vmlinuz"

# What stage 1 finds disks, keyboards and USB sticks with: NixOS's own list, as far as Debian has it.
hardware_modules=
if [ "$machine_is" = hardware ]; then
  hardware_modules='ahci sd_mod sr_mod nvme vmd mmc_block sdhci_pci ehci_pci ohci_pci uhci_hcd xhci_pci usb_storage uas usbhid hid_generic atkbd i8042'
  (
    cd "/usr/lib/modules/$kernel/kernel"
    rm -rf sound drivers/{gpu,media,staging,iio,isdn,infiniband,accel,comedi,bluetooth} drivers/net/{wireless,can,hamradio} net/{bluetooth,mac80211,wireless,can,ax25,nfc} fs/{ceph,ocfs2,gfs2,smb,nfs,nfsd,afs,coda,jfs,reiserfs,nilfs2,ubifs}
    depmod "$kernel"
  )
fi

# ---- stage 1: dracut only collects programs, libraries and udev rules; its own boot logic is left out ----------
# NixOS puts bash, all of coreutils, kmod, systemd, less, mount, umount, fsck and (for btrfs) btrfs-progs into
# stage 1's PATH and nothing else: a rollback script that calls grep or sed must fail here as it would there.
coreutils=$(dpkg -L coreutils | grep -E '^(/usr)?/(s?bin)/' | sed 's|.*/||' | tr '\n' ' ')
nixos_tools="bash $coreutils less mount umount fsck btrfs mkfs.btrfs systemctl journalctl udevadm systemd-ask-password systemd-cat systemd-escape systemd-run systemd-tmpfiles systemd-tty-ask-password-agent systemd-notify systemd-creds systemd-id128 lsmod modprobe insmod rmmod depmod modinfo kmod"
# Where a hibernated system was put is written in a variable of the firmware: NixOS resumes without being told.
resume="/usr/lib/systemd/systemd-hibernate-resume /usr/lib/systemd/system-generators/systemd-hibernate-resume-generator /usr/lib/systemd/system/systemd-hibernate-resume.service"
dracut --quiet --force --no-hostonly --no-hostonly-cmdline --no-early-microcode --reproducible --nofscks \
  --modules "bash systemd systemd-initrd systemd-ask-password systemd-cryptsetup systemd-journald systemd-modules-load systemd-sysctl systemd-tmpfiles systemd-udevd udev-rules dm" \
  --drivers "btrfs" --install "$nixos_tools $resume" --compress cat --kver "$kernel" "$work/dracut.cpio" >"$out/dracut.log" 2>&1
mkdir -p "$work/stage1"
(cd "$work/stage1" && cpio --quiet -id <"$work/dracut.cpio")

cd "$work/stage1"
rm -rf "usr/lib/modules/$kernel/kernel" var/tmp usr/lib/dracut usr/lib/systemd/system-generators/systemd-gpt-auto-generator etc/cmdline.d
put_modules . virtio_blk virtio_pci nvme btrfs dm-crypt af_alg algif_skcipher dm-mod vfat nls_cp437 nls_ascii nls_iso8859-1 efivarfs ext4 \
  overlay loop aesni-intel xts sha256-ssse3 virtio-rng crc32c-intel xxhash_generic blake2b_generic autofs4 cryptd essiv $hardware_modules
# udev's rules call dmsetup by its full path; in NixOS that path is not in PATH either.
mv usr/sbin/dmsetup usr/lib/udev/dmsetup
sed -i 's|/usr/sbin/dmsetup|/usr/lib/udev/dmsetup|' usr/lib/udev/rules.d/*.rules
prune_rules .
rm -f usr/lib/systemd/system-generators/systemd-debug-generator
unwant . kmod-static-nodes.service systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup.service systemd-sysctl.service
# What dracut's modules brought along and NixOS's stage 1 does not have.
for dir in usr/bin usr/sbin; do
  for program in "$dir"/*; do
    name=$(basename "$program")
    case " $nixos_tools sh init systemd-cryptsetup " in *" $name "*) continue ;; esac
    case $name in mount.* | fsck.* | systemd-*) continue ;; esac
    rm -f "$program"
  done
done
# A sleeping system is resumed only by a stage 1 of the same release.
cp --remove-destination /usr/lib/os-release etc/os-release
: >etc/machine-id
copy_overlay stage1 .
make_cpio . "$out/stage1-systemd.cpio.zst" 12

# The plug-in by which systemd-cryptsetup asks a TPM, and what it loads, as far as stage 1 does not have it.
mkdir -p "$work/tpm2"
for file in /usr/lib/x86_64-linux-gnu/{cryptsetup/libcryptsetup-token-systemd-tpm2.so,libtss2-{esys,mu,rc,sys,tcti-device}.so.*}; do
  echo "$file"
  ldd "$file" | sed -nE 's,.* => (/usr)?(/lib/.*) \(.*,/usr\2,p'
done | sort -u | while read -r file; do
  [ -e "$work/stage1$file" ] || (cd / && printf '.%s\0' "$file" "$(readlink -f "$file")" | sort -uz | xargs -0 cp --archive --parents --target-directory="$work/tpm2")
done
make_cpio "$work/tpm2" "$out/stage1-tpm2.cpio.zst" 12

# ---- scripted stage 1: busybox and the few real programs that NixOS adds to it ----------------------------------
copy_programs() { # tree, file... (each with the libraries it needs, at their own places)
  local tree=$1
  shift
  {
    printf '%s\n' "$@"
    ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*\.so/ && $2 ~ /^\(/ { print $1 }'
  } | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' | sort -u | while read -r file; do
    mkdir -p "$tree${file%/*}"
    cp --dereference "$file" "$tree$file"
  done
}

scripted=$work/stage1-scripted
mkdir -p "$scripted"/{etc,usr/{bin,sbin,lib/{udev/rules.d,tools,imperm},lib64},proc,sys,dev,run,tmp}
for link in bin lib lib64; do ln -s "usr/$link" "$scripted/$link"; done
ln -s usr/bin "$scripted/sbin" # one folder for all programs, as on NixOS
# udev loads libkmod while it runs.
copy_programs "$scripted" /usr/bin/{busybox,kmod,mountpoint,udevadm,btrfs} /usr/sbin/{blkid,dmsetup,cryptsetup,e2fsck} \
  /usr/lib/udev/{ata,scsi}_id /usr/lib/x86_64-linux-gnu/libkmod.so.2
(
  cd "$scripted"
  cp -al "$work/stage1/usr/lib/modules" usr/lib/modules
  mv usr/sbin/{blkid,dmsetup} usr/bin/
  # In PATH only where a file system or a LUKS device of stage 1 needs them: the scenario links them.
  mv usr/sbin/{cryptsetup,e2fsck} usr/bin/btrfs usr/lib/tools/
  rmdir usr/sbin
  for applet in $(busybox --list); do [ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"; done
  ln -sf kmod usr/bin/modprobe
  ln -s udevadm usr/bin/systemd-udevd
  ln -s ../../bin/dmsetup usr/lib/udev/dmsetup
  # The names of disks and of the harness's port, and the drivers.
  cp "$work"/stage1/usr/lib/udev/rules.d/{50-udev-default,55-dm,60-block,60-persistent-storage*,80-drivers,95-dm-notify}.rules usr/lib/udev/rules.d/
  cp "$work"/stage1/etc/{passwd,group} etc/
  cp /imperm/in/stage1/usr/lib/imperm/bind-usr usr/lib/imperm/
)
make_cpio "$scripted" "$out/stage1-scripted.cpio.zst" 12

# ---- the installed system -----------------------------------------------------------------------------------
system=$work/system
link_tree "$system"
(
  cd "$system"
  rm -f usr/bin/{busybox,openssl,c_rehash,sbattach,sbkeysync,sbsiglist,sbsign,sbvarsign,sbverify} etc/machine-id etc/ssh/ssh_host_* etc/resolv.conf etc/mtab etc/hostname etc/fstab etc/crypttab etc/.updated etc/*- etc/.pwd.lock
  # Loaded for the processor alone, and nobody uses them.
  find "usr/lib/modules/$kernel" \( -name 'crct10dif-pclmul*' -o -name 'crc32-pclmul*' -o -name 'ghash-clmulni*' -o -name 'sha1-ssse3*' \
    -o -name 'sha512-ssse3*' -o -name 'efi-pstore*' \) -delete
  put_modules . vfat nls_cp437 nls_ascii nls_iso8859-1 efivarfs ext4 fuse overlay loop configfs qemu_fw_cfg ip_tables nfnetlink button evdev
  copy_overlay agent .
  copy_overlay system .
  # NixOS lets a refused login wait for as long as the password check itself does, not for three seconds more.
  sed -i '/pam_faildelay/d' etc/pam.d/login
  # Which package a path outside of /usr is from, for the report of leaks; paths of several packages are nobody's.
  grep -HE '^/(etc|var)/' /var/lib/dpkg/info/*.list | sed -E 's|^.*/([^/:]+)(:[a-z0-9]+)?\.list:(.*)|\3\t\1|' | sort |
    awk -F'\t' '{ n[$1]++; of[$1] = $2 } END { for (path in n) if (n[path] == 1) print path "\t" of[path] }' | sort >usr/lib/imperm/packages
  mkdir boot
  cp "$out/vmlinuz" "$out"/stage1-{systemd,scripted,tpm2}.cpio.zst boot/
  chmod 0755 etc usr boot
)
# Each of these only costs time on a root that is new at every boot, or waits for something a test machine lacks.
mask "$system" systemd-networkd.service systemd-networkd.socket systemd-network-generator.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-firstboot.service systemd-pcrphase.service systemd-pcrphase-sysinit.service ldconfig.service systemd-update-done.service \
  systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-boot-random-seed.service systemd-pstore.service \
  systemd-boot-update.service systemd-bless-boot.service getty@tty1.service
rm -rf "$system"/{bin,sbin,lib,lib64}
prune_rules "$system"
copy_network "$system"
unwant "$system" dracut-shutdown.service systemd-pstore.service kmod-static-nodes.service systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service systemd-sysusers.service \
  systemd-modules-load.service systemd-udev-load-credentials.service systemd-binfmt.service systemd-hibernate-clear.service systemd-pcrmachine.service \
  systemd-tpm2-setup.service systemd-tpm2-setup-early.service proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount sys-kernel-config.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount run-lock.mount tmp.mount systemd-bootctl.socket systemd-creds.socket \
  systemd-hostnamed.socket systemd-initctl.socket systemd-pcrextend.socket systemd-pcrlock.socket systemd-sysext.socket
[ ! -e /imperm/base-packages.txt ] || unwant_extra "$system"
tar --create --file "$out/system.tar" --directory "$system" --sort=name --mtime="@$epoch" --numeric-owner --xattrs --format=posix \
  --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime usr etc boot

dpkg-query --show --showformat='${Package} ${Version}\n' >"$out/packages.txt"
printf '%s\n' "$kernel" >"$out/kernel-release"
[ ! -e /imperm/base-packages.txt ] || exit 0

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
copy_network "$installer"
make_cpio "$installer" "$out/installer.cpio.zst" 9

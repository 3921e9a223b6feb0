#!/bin/bash
# Runs inside a fresh Debian tree (a chroot that is thrown away afterwards) and makes in /imperm/out what a medium to install
# from is put together of:
#   overlay.cpio.zst   what the installer lacks to look like NixOS's: Nix, sudo, and the files of ours in /imperm/in
#   efi.img            the EFI system partition inside the medium, with GRUB
# Input: /imperm/base-packages.txt, the packages that the installer has already.
set -euo pipefail

out=/imperm/out
tree=/imperm/work/overlay
epoch=${SOURCE_DATE_EPOCH:?}
mkdir -p "$out" "$tree"

# ---- the second initrd -----------------------------------------------------------------------------------------
comm -13 <(cut -d' ' -f1 /imperm/base-packages.txt | sort) <(dpkg-query --show --showformat='${Package}\n' | sort -u) |
  grep -vE '^(grub|mtools|ucf|gettext|perl|lib.*perl|bash-static|curl$)' | while read -r package; do
  dpkg -L "$package" | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' | grep -vE '^/usr/share/(doc|man|locale|lintian|info)|^/(usr/)?lib/systemd/' |
    while read -r file; do
      if [ -f "$file" ] || [ -L "$file" ]; then printf '.%s\n' "$file"; fi
    done
done | sort -u | (cd / && cpio --quiet --create --format=newc) | (cd "$tree" && cpio --quiet --extract --make-directories --preserve-modification-time)

cp -rT --no-preserve=ownership,timestamps /imperm/in "$tree"
mkdir -p "$tree/nix/store" "$tree/iso"
chmod 0440 "$tree"/etc/sudoers.d/* "$tree/etc/sudoers"
chmod 4755 "$tree/usr/bin/sudo"
(
  cd "$tree"
  find . -exec touch --no-dereference --date="@$epoch" {} +
  find . -print0 | LC_ALL=C sort -z | cpio --null --quiet --create --format=newc --reproducible | zstd --quiet --force -T0 -9 -o "$out/overlay.cpio.zst"
)

# ---- the boot loader -------------------------------------------------------------------------------------------
# As on NixOS's media: GRUB with its configuration in a small file system, which finds the medium by a file of it.
grub-mkimage --format=x86_64-efi --output=/imperm/work/BOOTX64.EFI --prefix=/EFI/BOOT \
  fat iso9660 part_gpt part_msdos normal boot linux configfile search search_fs_file search_label echo serial test efi_gop all_video
truncate --size=8M "$out/efi.img"
mkfs.vfat --invariant -i 12345678 -n EFIBOOT "$out/efi.img" >/dev/null
mmd -i "$out/efi.img" ::EFI ::EFI/BOOT
mcopy -i "$out/efi.img" /imperm/work/BOOTX64.EFI ::EFI/BOOT/BOOTX64.EFI

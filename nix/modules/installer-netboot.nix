# Kernel and initrd with the whole medium in it: no boot loader, no CD, and as much memory as it is large.
{ modulesPath, ... }:
{
  imports = [
    "${modulesPath}/installer/netboot/netboot-minimal.nix"
    ./installer.nix
  ];

  netboot.squashfsCompression = "zstd -Xcompression-level 3";
}

# A medium that boots like NixOS's own: by UEFI and GRUB from a CD.
{ lib, modulesPath, ... }:
{
  imports = [
    "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix"
    ./installer.nix
  ];

  isoImage = {
    forceTextMode = true;
    squashfsCompression = "zstd -Xcompression-level 3";
    # The same place of the medium is found by the same name, whatever the release.
    volumeID = lib.mkForce "imperm-installer";
  };
}

# What `imperm` needs on NixOS or any machine with Nix:  nix-shell nix/shell.nix
# mmdebstrap makes the Debian guest; QEMU and firmware are imperm's own unless it is started with `--tools host`.
{
  pkgs ? import <nixpkgs> { },
}:
let
  packages = [
    pkgs.nodejs_22
    pkgs.mmdebstrap
    pkgs.debian-archive-keyring or pkgs.dpkg
    pkgs.apt
    pkgs.dpkg
    pkgs.util-linux
    pkgs.gnutar
    pkgs.zstd
    pkgs.qemu
    pkgs.OVMF.fd
    pkgs.swtpm
    pkgs.btrfs-progs
    # Reads the ISO images of others.
    pkgs.xorriso
  ];
in
pkgs.mkShell {
  inherit packages;
  passthru = { inherit packages; };
}

# What the two media for installing have in common: no question, a serial console, the harness's channel, the tools of the
# install scripts, and no network.
{ lib, pkgs, ... }:
{
  imports = [ ./agent.nix ];

  nixpkgs.hostPlatform = "x86_64-linux";

  boot.kernelParams = [
    "console=tty0"
    "console=ttyS0,115200"
  ];
  boot.initrd.kernelModules = [
    "dmi_sysfs"
    "qemu_fw_cfg"
  ];
  boot.loader.timeout = lib.mkForce 1;

  # Who sits at the console installs.
  services.getty.autologinUser = lib.mkForce "root";

  # The store of the medium is all there is.
  system.installer.channel.enable = false;
  nix.settings.substituters = lib.mkForce [ ];
  documentation.enable = lib.mkForce false;
  documentation.nixos.enable = lib.mkForce false;

  environment.systemPackages = [
    pkgs.btrfs-progs
    pkgs.cryptsetup
    pkgs.dosfstools
    pkgs.e2fsprogs
    pkgs.gptfdisk
    pkgs.parted
  ];
}

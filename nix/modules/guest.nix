# What every system has besides its layout: it runs in a virtual machine, starts without a question, and is small.
{ lib, modulesPath, ... }:
{
  imports = [ "${modulesPath}/profiles/qemu-guest.nix" ];

  nixpkgs.hostPlatform = "x86_64-linux";
  system.stateVersion = "25.11";

  boot = {
    loader = {
      systemd-boot.enable = true;
      efi.canTouchEfiVariables = true;
      timeout = 0;
    };
    kernelParams = [ "console=ttyS0" ];
    initrd.availableKernelModules = [
      "virtio_blk"
      "virtio_console"
      "nvme"
      "tpm_tis"
      "tpm_crb"
    ];
    # What the firmware hands in: credentials and settings of one power-on.
    initrd.kernelModules = [
      "dmi_sysfs"
      "qemu_fw_cfg"
    ];
  };

  # A copy of every line on a console of its own, from stage 1 on: evidence of boots that never come up.
  services.journald = {
    console = "/dev/hvc0";
    extraConfig = "MaxLevelConsole=info";
  };
  boot.initrd.systemd.contents."/etc/systemd/journald.conf.d/imperm.conf".text = ''
    [Journal]
    ForwardToConsole=yes
    TTYPath=/dev/hvc0
    MaxLevelConsole=info
  '';

  # Nothing is downloaded in the machine, and nothing is built.
  nix.settings.substituters = lib.mkForce [ ];
  documentation.enable = lib.mkDefault false;
  documentation.nixos.enable = lib.mkDefault false;
  # The test runs need no network.
  networking.useDHCP = lib.mkDefault false;
}

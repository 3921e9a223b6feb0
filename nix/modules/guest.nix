# What every system has besides its layout: it runs in a virtual machine, starts without a question, and is small.
{ lib, modulesPath, ... }:
{
  imports = [
    "${modulesPath}/profiles/qemu-guest.nix"
    ./machine.nix
  ];

  nixpkgs.hostPlatform = "x86_64-linux";
  system.stateVersion = "25.11";

  boot = {
    loader = {
      systemd-boot.enable = true;
      efi.canTouchEfiVariables = true;
      timeout = 0;
    };
  };

  # Nothing is downloaded in the machine, and nothing is built.
  nix.settings.substituters = lib.mkForce [ ];
  documentation.enable = lib.mkDefault false;
  documentation.nixos.enable = lib.mkDefault false;
  # The test runs need no network.
  networking.useDHCP = lib.mkDefault false;
}

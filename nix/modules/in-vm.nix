# What is changed in somebody's own configuration so that it can be tested in a virtual machine: no more than this and
# what ./machine.nix, ./agent.nix and lib/describe-host.nix add, because their machine is what is tested.
# `nix/test-your-own-flake.md` lists it for people: keep both the same.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  # lib.mkForce is 50.
  overrule = lib.mkOverride 45;
in
{
  imports = [
    ./agent.nix
    ./machine.nix
  ];

  # Nobody sits in front of it.
  boot.loader.timeout = overrule 0;
  boot.plymouth.enable = overrule false;
  services.getty.autologinUser = overrule null;

  # The harness's channel is an SSH server without a network; its commands are those of a Bourne shell.
  services.openssh.enable = overrule true;
  users.users.root.shell = overrule pkgs.bashInteractive;

  # There is no network, so nothing waits for it.
  systemd.network.wait-online.enable = overrule false;
  boot.initrd.systemd.network.wait-online.enable = overrule false;
  systemd.services = lib.mkIf config.networking.networkmanager.enable {
    NetworkManager-wait-online.enable = overrule false;
  };
  nix.settings.substituters = overrule [ ];
}

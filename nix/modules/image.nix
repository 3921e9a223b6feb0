# A system that comes as a disk image: its first boot grows it to the disk and tells Nix what is in its store, by the script
# of the other guest.
{ config, pkgs, ... }:
let
  registration = "/nix/nix-path-registration";
in
{
  # What lies in the image: `store-paths`, and the registration that the first boot loads.
  system.build.imageClosure = pkgs.closureInfo { rootPaths = [ config.system.build.toplevel ]; };

  systemd.services.imperm-first-boot = {
    description = "First boot of a disk image";
    wantedBy = [ "sysinit.target" ];
    # Before every service and every timer: a collection of garbage would find a store of which nothing is known.
    after = [
      "local-fs.target"
      "systemd-udevd.service"
    ];
    before = [
      "sysinit.target"
      "shutdown.target"
    ];
    conflicts = [ "shutdown.target" ];
    path = [
      pkgs.btrfs-progs
      pkgs.gptfdisk
      pkgs.nix
      pkgs.util-linux
    ];
    environment.HOME = "/root";
    unitConfig = {
      ConditionPathExists = registration;
      DefaultDependencies = false;
      RequiresMountsFor = "/nix";
    };
    script = builtins.readFile ../../harness/guest/debian/overlay/system/usr/lib/imperm/first-boot;
    scriptArgs = "/nix ${registration}";
    serviceConfig = {
      RemainAfterExit = true;
      StandardOutput = "journal+console";
      Type = "oneshot";
    };
  };
}

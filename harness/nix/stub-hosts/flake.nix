# Hosts of a flake, with the form that NixOS, impermanence, preservation and disko give their options. Nothing of these is
# evaluated: what their modules really make is looked at by hand.
{
  outputs =
    _:
    let
      inherit (builtins) foldl' isAttrs mapAttrs;

      merged =
        one: other:
        one
        // mapAttrs (
          name: value:
          if value._type or "" == "override" then
            value.content
          else if isAttrs value && isAttrs (one.${name} or null) then
            merged one.${name} value
          else
            value
        ) other;

      # As nixosSystem gives it. Modules that are functions or files are left out.
      host = given: rec {
        config =
          given
          // {
            system = {
              nixos.release = "26.05";
              build = {
                toplevel = builtins.toFile "nixos-system" (builtins.toJSON given.fileSystems);
                diskoScript = builtins.toFile "disko" (builtins.toJSON (given.disko.devices or null));
              };
            };
          };
        options = given.testOptions or { };
        pkgs.stdenv.hostPlatform.system = given.testPlatform or "x86_64-linux";
        extendModules =
          { modules }:
          host (foldl' merged given (map (module: if isAttrs module then module.config or { } else { }) modules));
      };

      mount = device: fsType: options: {
        inherit device fsType options;
        neededForBoot = false;
      };
      early = each: each // { neededForBoot = true; };
      esp = mount "/dev/disk/by-partlabel/ESP" "vfat" [ "umask=0077" ];
      directory = dirPath: {
        inherit dirPath;
        directory = dirPath;
        user = "root";
        group = "root";
        mode = "0755";
      };
      file = filePath: {
        inherit filePath;
        file = filePath;
        parentDirectory.user = "root";
        method = "auto";
      };
      user = {
        isNormalUser = true;
        uid = null;
        hashedPasswordFile = null;
      };
      base = {
        networking.hostName = "stub";
        boot = {
          loader.systemd-boot.enable = true;
          initrd.systemd.enable = true;
        };
        users.users.root = {
          uid = 0;
          hashedPasswordFile = null;
          hashedPassword = "!";
        };
        services.openssh = {
          enable = true;
          hostKeys = [
            {
              type = "ed25519";
              path = "/etc/ssh/ssh_host_ed25519_key";
            }
          ];
        };
        systemd.tmpfiles.rules = [ "L+ /run/current - - - - /nix/store/x" ];
      };
      btrfs = device: options: mount device "btrfs" options;
      luksDisk = content: {
        type = "disk";
        device = "/dev/nvme0n1";
        content = {
          type = "gpt";
          partitions = {
            ESP = {
              type = "EF00";
              size = "1G";
              content = {
                type = "filesystem";
                format = "vfat";
                mountpoint = "/boot";
              };
            };
            swap.size = "24G";
            luks = {
              size = "100%";
              content = {
                type = "luks";
                name = "crypted";
                settings = { };
              }
              // content;
            };
          };
        };
      };
    in
    {
      nixosConfigurations = mapAttrs (_: each: host (merged base each)) {
        # A root in memory, impermanence, no disko.
        tmpfs = {
          fileSystems = {
            "/" = mount "none" "tmpfs" [ "x-initrd.mount" "mode=755" ];
            "/nix" = early (mount "/dev/mapper/crypted" "ext4" [ "x-initrd.mount" "noatime" ]);
            "/boot" = esp;
            # The older impermanence makes this of what it persists.
            "/var/log" = mount "/nix/persist/var/log" "none" [ "bind" ];
            "/srv/share" = mount "server:/share" "nfs" [ ];
          };
          boot.initrd.luks.devices.crypted = {
            device = "/dev/disk/by-partlabel/nix";
            allowDiscards = true;
          };
          swapDevices = [
            { device = "/swapfile"; }
            {
              device = "/dev/disk/by-partlabel/swap";
              randomEncryption.enable = true;
            }
          ];
          environment.persistence."/nix/persist" = {
            persistentStoragePath = "/nix/persist";
            hideMounts = true;
            directories = [
              (directory "/var/log")
              (directory "/var/lib/colord" // { user = "colord"; group = "colord"; mode = "u=rwx,g=rx,o="; })
            ];
            files = [
              (file "/etc/machine-id")
              (file "/etc/ssh/ssh_host_ed25519_key")
              (file "/etc/adjtime")
            ];
            users.alice = {
              directories = [
                (directory "/home/alice/Mail" // { user = "alice"; group = "users"; mode = "0700"; })
              ];
              files = [ (file "/home/alice/.history" // { parentDirectory.user = "alice"; }) ];
            };
          };
          environment.etc.link = {
            source = "/nix/persist/link";
          };
          users.users.alice = user // { hashedPasswordFile = "/nix/persist/passwords/alice"; };
        };

        # A rollback by systemd, preservation, disko that asks for a passphrase.
        rollback = {
          fileSystems = {
            "/" = btrfs "/dev/mapper/crypted" [ "subvol=/root" ];
            "/nix" = btrfs "/dev/mapper/crypted" [ "subvol=/nix" ];
            "/persist" = early (btrfs "/dev/mapper/crypted" [ "subvol=/persist" ]);
            "/boot" = esp;
          };
          boot.initrd = {
            luks.devices.crypted.device = "/dev/disk/by-partlabel/disk-main-luks";
            systemd.services = {
              rollback = {
                description = "Roll back";
                after = [ "systemd-cryptsetup@crypted.service" ];
                before = [ "sysroot.mount" ];
                wantedBy = [ "initrd.target" ];
                script = ''
                  mount /dev/mapper/crypted /mnt
                  btrfs subvolume delete /mnt/root
                  btrfs subvolume snapshot "/mnt/root-blank" "/mnt/root"
                '';
              };
              create-needed-for-boot-dirs = {
                before = [ "sysroot.mount" ];
                script = "mkfs";
              };
              harmless = {
                before = [ "sysroot.mount" ];
                serviceConfig.ExecStart = "/bin/true";
              };
            };
          };
          preservation = {
            enable = true;
            preserveAt."/persist" = {
              persistentStoragePath = "/persist";
              directories = [
                (directory "/var/lib/nixos" // { how = "bindmount"; inInitrd = true; })
                (directory "/etc/secureboot" // { how = "symlink"; inInitrd = false; })
                (directory "/made" // { how = "_intermediate"; })
              ];
              files = [
                { file = "/etc/machine-id"; how = "symlink"; inInitrd = true; user = "root"; }
              ];
              users = { };
            };
          };
          disko.devices.disk.NVMe = luksDisk { askPassword = true; };
          sops.secrets.one = { };
          users.users.bob = user // { hashedPasswordFile = "/run/secrets-for-users/bob"; };
        };

        # Commands in a hook, disko that reads files, a key file in the initrd.
        hook = {
          testOptions.boot.initrd.postDeviceCommands.definitionsWithLocations = [
            { value = "btrfs device scan"; }
            {
              priority = 1500;
              value = ''
                MNT=/mnt
                mkdir -p $MNT
                btrfs subvolume snapshot $MNT/blank $MNT/root
              '';
            }
          ];
          fileSystems = {
            "/" = btrfs "/dev/mapper/crypted" [ "subvol=root" ];
            "/nix" = btrfs "/dev/mapper/crypted" [ "subvol=nix" ];
            "/boot" = esp;
            "/data" = mount "/dev/mapper/pool-my--data" "ext4" [ "defaults" ];
          };
          boot.initrd = {
            systemd.enable = false;
            luks.devices.crypted = {
              device = "/dev/disk/by-partlabel/luks";
              keyFile = "/luks.key";
            };
            secrets."/luks.key" = "/persist/luks.key";
          };
          disko.devices.disk = {
            b = { device = "/dev/sdb"; imageSize = "80G"; };
            a = luksDisk {
              passwordFile = "/tmp/secret.key";
              askPassword = false;
              additionalKeyFiles = [ "/tmp/more keys" ];
            } // { device = "/dev/sda"; };
          };
          environment.persistence."/nix/persist" = {
            persistentStoragePath = "/nix/persist";
            directories = [ (directory "/var/log") (directory "/var/log") (directory "/data") ];
            files = [ ];
          };
        };

        # A root that nothing wipes.
        kept = {
          fileSystems = {
            "/" = mount "/dev/vda2" "ext4" [ ];
            "/nix" = mount "/dev/vda3" "ext4" [ ];
          };
        };
        zfs.fileSystems = {
          "/" = mount "rpool/root" "zfs" [ ];
          "/nix" = mount "rpool/nix" "zfs" [ ];
        };
        pi = {
          testPlatform = "aarch64-linux";
          fileSystems."/" = mount "none" "tmpfs" [ ];
        };
        wrong.fileSystems = throw "a mistake of somebody else";
      };
    };
}

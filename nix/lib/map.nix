# A system of a scenario, as `imperm nix` writes it, → NixOS options. Builtins alone: the result can be looked at, and
# compared with what was reviewed, without nixpkgs. What persists is in persistence.nix.
system:
let
  inherit (builtins) listToAttrs;
  inherit (import ./strict.nix) only pick when;

  checked = only "a system" [
    "stage1"
    "hostName"
    "luks"
    "fileSystems"
    "swapDevices"
    "resumeDevice"
    "rollback"
    "persistence"
    "users"
    "hostKeys"
    "etc"
    "tmpfiles"
    "services"
    "nixModules" # user-modules.nix
    "image"
  ] system;

  fileSystem =
    each:
    let
      read = only "a file system" [
        "mountPoint"
        "device"
        "fsType"
        "options"
        "neededForBoot"
        "inStageOne"
        "subvolume"
      ] each;
    in
    {
      name = read.mountPoint;
      value =
        pick [ "device" "fsType" "neededForBoot" ] read
        # NixOS has a default for those who say nothing.
        // when (read.options != [ ]) { inherit (read) options; };
    };

  # A key file lies in the initrd, and gets there from a file system that is there at every boot and is not in the store.
  keyFile = "/crypto_keyfile.bin";
  keySource = "/nix/imperm/crypto_keyfile.bin";
  hasKeyFile = builtins.any ({ unlock, ... }: unlock == "key-file") checked.luks;

  luksDevice =
    each:
    let
      read = only "a LUKS device" [
        "name"
        "device"
        "allowDiscards"
        "unlock"
      ] each;
      unlock = {
        passphrase = { };
        key-file = { inherit keyFile; };
        tpm2.crypttabExtraOpts = [ "tpm2-device=auto" ];
      };
    in
    {
      inherit (read) name;
      value = pick [ "device" "allowDiscards" ] read // unlock.${read.unlock};
    };

  swapDevice =
    each:
    let
      read = only "a swap device" [
        "device"
        "randomEncryption"
      ] each;
    in
    pick [ "device" ] read // when read.randomEncryption { randomEncryption.enable = true; };

  user =
    each:
    let
      read = only "a user" [
        "name"
        "isNormalUser"
        "uid"
        "hashedPasswordFile"
      ] each;
    in
    {
      inherit (read) name;
      value =
        pick [ "uid" "hashedPasswordFile" ] read // when read.isNormalUser { isNormalUser = true; };
    };

  # The firmware finds the boot loader there.
  espMountPoints = map ({ mountPoint, ... }: mountPoint) (
    builtins.filter ({ fsType, ... }: fsType == "vfat") checked.fileSystems
  );

  services = only "the services" [
    "networkmanager"
    "docker"
    "incus"
    "autoScrub"
    "coredump"
    "sudo"
  ] checked.services;
  on = name: services.${name}.enable;

  initrd = {
    systemd.enable = checked.stage1 == "systemd";
  }
  // when (checked.luks != [ ]) { luks.devices = listToAttrs (map luksDevice checked.luks); }
  // when hasKeyFile { secrets.${keyFile} = keySource; };

  rollback = when (checked ? rollback) (import ./rollback.nix checked.rollback);
in
{
  boot = {
    initrd = initrd // rollback // { systemd = initrd.systemd // (rollback.systemd or { }); };
    loader.efi = when (espMountPoints != [ ]) { efiSysMountPoint = builtins.head espMountPoints; };
  }
  // pick [ "resumeDevice" ] checked;

  fileSystems = listToAttrs (map fileSystem checked.fileSystems);
  swapDevices = map swapDevice checked.swapDevices;

  networking = {
    inherit (checked) hostName;
  }
  // when (on "networkmanager") { networkmanager.enable = true; }
  # Incus refuses to be with iptables.
  // when (on "incus") { nftables.enable = true; };

  users.users = listToAttrs (map user checked.users);

  services = {
    openssh = {
      enable = true;
      hostKeys = map (only "a host key" [ "path" "type" "bits" ]) checked.hostKeys;
    };
  }
  // when (on "autoScrub") {
    btrfs.autoScrub = only "autoScrub" [ "enable" "interval" "fileSystems" ] services.autoScrub;
  };

  virtualisation =
    when (on "docker") {
      docker = {
        enable = true;
        daemon.settings = services.docker.settings;
      }
      // pick [ "storageDriver" ] (
        only "docker" [ "enable" "storageDriver" "settings" ] services.docker
      );
    }
    // when (on "incus") { incus.enable = true; };

  # On by default in NixOS, off in a scenario that says nothing.
  security.sudo = {
    inherit (services.sudo) enable;
  }
  // when (services.sudo.extraConfig != "") { inherit (services.sudo) extraConfig; };

  systemd = {
    coredump = { inherit (services.coredump) enable; };
    tmpfiles.rules = checked.tmpfiles;
  };

  environment.etc = listToAttrs (
    map (each: {
      name = each.path;
      value = { inherit (only "a link in /etc" [ "path" "source" ] each) source; };
    }) checked.etc
  );
}

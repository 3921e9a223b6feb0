# A host of somebody's own flake → `description`: what a scenario has to say of it, as plain data; `vm`: the same host in a
# virtual machine. Builtins and what the host brings, nothing of our nixpkgs: the host is what its own nixpkgs makes of it.
{
  # An attribute of `nixosConfigurations`.
  host,
}:
let
  inherit (builtins)
    any
    attrNames
    concatMap
    filter
    map
    mapAttrs
    ;

  # What lib.mkOverride makes. lib.mkForce is 50: who forces something in the configuration is overruled, too.
  overrule = content: {
    _type = "override";
    priority = 45;
    inherit content;
  };
  hasPrefix =
    prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;

  original = host.config;
  layout = import ./describe/disks.nix original;

  # A file below /run comes from a tool for secrets, whose keys are not in the virtual machine: the account is locked there.
  root = original.users.users.root or { };
  isMade = file: file != null && hasPrefix "/run/" (toString file);
  rootPassword =
    if isMade (root.hashedPasswordFile or null) then { hashedPasswordFile = overrule null; } else { };

  machine = host.extendModules {
    modules = [
      ../modules/in-vm.nix
      {
        config =
          (if layout.disks == [ ] then
            { }
          else
            {
              disko.devices.disk = mapAttrs (_: name: {
                device = overrule "/dev/disk/by-id/virtio-${name}";
              }) layout.names;
            })
          // (if rootPassword == { } then { } else { users.users.root = rootPassword; });
      }
    ];
  };
  inherit (machine) config;
  inherit (config.boot) initrd;

  persistence = import ./describe/persistence.nix config;
  rollback = import ./describe/rollback.nix {
    inherit config;
    options = machine.options or { };
  };

  optionsOf = device: device.crypttabExtraOpts or [ ];
  hasOption = word: device: any (hasPrefix word) (optionsOf device);
  unlockOf =
    device:
    if hasOption "tpm2-device=" device then
      "tpm2"
    else if hasOption "fido2-device=" device || device.fido2.credential or null != null || device.fido2.credentials or [ ] != [ ] then
      "fido2"
    else if device.yubikey or null != null then
      "yubikey"
    else if device.gpgCard or null != null then
      "gpg-card"
    else if device.keyFile or null != null then
      "key-file"
    else
      "passphrase";
  secrets = initrd.secrets or { };

  luks = map (
    name:
    let
      device = initrd.luks.devices.${name};
      keyFile = device.keyFile or null;
    in
    {
      inherit name;
      device = toString device.device;
      allowDiscards = device.allowDiscards or false;
      unlock = unlockOf device;
      keyFile = if keyFile == null then null else toString keyFile;
    }
  ) (attrNames (initrd.luks.devices or { }));

  fileSystems = map (
    mountPoint:
    let
      each = config.fileSystems.${mountPoint};
    in
    {
      mountPoint = each.mountPoint or mountPoint;
      device = if each.device or null == null then "none" else toString each.device;
      inherit (each) fsType;
      options = each.options or [ ];
      neededForBoot = each.neededForBoot or false;
    }
  ) (
    filter (
      mountPoint:
      (config.fileSystems.${mountPoint}.enable or true)
      && !persistence.isGenerated mountPoint config.fileSystems.${mountPoint}
    ) (attrNames config.fileSystems)
  );

  users = map (
    name:
    let
      user = config.users.users.${name};
      file = user.hashedPasswordFile or null;
    in
    {
      inherit name;
      isNormalUser = user.isNormalUser or false;
      uid = user.uid or null;
      hashedPasswordFile = if file == null then null else toString file;
    }
  ) (
    filter (name: name == "root" || config.users.users.${name}.isNormalUser or false) (
      attrNames config.users.users
    )
  );

  # Links into what is kept; those into the store are as old as the system.
  etc = concatMap (
    name:
    let
      each = config.environment.etc.${name};
      source = toString each.source;
    in
    if (each.enable or true) && (each.mode or "symlink") == "symlink" && !builtins.isPath each.source && !hasPrefix "${builtins.storeDir}/" source then
      [
        {
          path = each.target or name;
          inherit source;
        }
      ]
    else
      [ ]
  ) (attrNames (config.environment.etc or { }));

  homes = config.home-manager.users or { };
  homesThatPersist = filter (name: homes.${name}.home.persistence or { } != { }) (attrNames homes);
  loader = config.boot.loader;
  warnings =
    (
      if (original.sops.secrets or { }) != { } || (original.sops.templates or { }) != { } then
        [ "sops-nix: the secrets of this configuration cannot be decrypted in the virtual machine, which has none of its keys. What needs them fails there, and is no fault of the layout." ]
      else
        [ ]
    )
    ++ (
      if (original.age.secrets or { }) != { } then
        [ "agenix: the secrets of this configuration cannot be decrypted in the virtual machine, which has none of its keys. What needs them fails there, and is no fault of the layout." ]
      else
        [ ]
    )
    ++ map (
      name: "home-manager: home.persistence of ${name} is not looked at; imperm knows environment.persistence and preservation."
    ) homesThatPersist
    ++ (
      if original.boot.lanzaboote.enable or false then
        [ "lanzaboote: its keys are not in the virtual machine, so the boot loader cannot be signed and the install fails. Test the host without it (boot.lanzaboote.enable = false, boot.loader.systemd-boot.enable = true)." ]
      else
        [ ]
    )
    ++ (
      if (loader.grub.enable or false) && !(loader.grub.efiSupport or false) then
        [ "boot.loader.grub has no efiSupport: the virtual machine starts by UEFI alone, and will not find this boot loader." ]
      else
        [ ]
    )
    ++ map (
      text: "${text} wipes something, but the other kind of stage 1 is switched on: it never runs."
    ) rollback.neverRun;

  description = {
    imperm = 1;
    platform = (machine.pkgs or host.pkgs or { }).stdenv.hostPlatform.system or "unknown";
    release = config.system.nixos.release or "unknown";
    hostName = config.networking.hostName or "";
    stage1 = if initrd.systemd.enable or false then "systemd" else "scripted";
    inherit luks fileSystems users etc warnings;
    inherit (layout) disks;
    diskoLuks = layout.luks;
    swapDevices = map (each: {
      inherit (each) device;
      randomEncryption = each.randomEncryption.enable or false;
    }) (config.swapDevices or [ ]);
    resumeDevice = config.boot.resumeDevice or "";
    persistence = persistence.stores;
    rollbacks = rollback.candidates;
    # What `boot.initrd.secrets` reads when the boot loader is installed.
    initrdSecrets = map (path: {
      inherit path;
      source = if secrets.${path} == null then path else toString secrets.${path};
    }) (attrNames secrets);
    # Ours is switched on for the harness alone, and keeps no key that is its owner's.
    hostKeys =
      if original.services.openssh.enable or false then
        map (key: {
          inherit (key) path type;
          bits = key.bits or null;
        }) original.services.openssh.hostKeys
      else
        [ ];
    tmpfiles = filter (hasPrefix "L") (config.systemd.tmpfiles.rules or [ ]);
  };
in
{
  # Without the contexts of strings: nothing of it is built because somebody reads it.
  description = builtins.fromJSON (builtins.unsafeDiscardStringContext (builtins.toJSON description));

  vm = {
    inherit (config.system.build) toplevel;
    # Wipes, makes and mounts the disks below /mnt. It asks for no confirmation, unlike destroyFormatMount.
    diskoScript = if layout.disks == [ ] then null else config.system.build.diskoScript;
  };
}

# Options → the files that NixOS makes of them, as far as stage 1 reads them: by the rules of nixos/lib/systemd-lib.nix and
# of the modules tasks/filesystems.nix, config/swap.nix and system/boot/luksroot.nix, in builtins alone. It ties the mapping
# to what the other guest has on its disk, byte by byte, where there is no nixpkgs. Where there is one, the check
# `same-files` of the flake compares it with NixOS itself.
options:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    isList
    mapAttrs
    replaceStrings
    substring
    ;
  inherit (import ../lib/strict.nix) pick;

  mapToList = render: attrs: map (name: render name attrs.${name}) (attrNames attrs);

  # -- mounts
  alwaysInStageOne = [
    "/"
    "/nix"
    "/nix/store"
    "/var"
    "/var/log"
    "/var/lib"
    "/var/lib/nixos"
    "/etc"
    "/usr"
  ];
  isInStageOne = mountPoint: each: each.neededForBoot || elem mountPoint alwaysInStageOne;

  escapeField = replaceStrings [ " " "\t" ] [ "\\040" "\\011" ];

  uncheckedTypes = [
    "none"
    "auto"
    "overlay"
    "iso9660"
    "bindfs"
    "udf"
    "btrfs"
    "zfs"
    "tmpfs"
    "bcachefs"
    "nfs"
    "nfs4"
    "nilfs2"
    "vboxsf"
    "squashfs"
    "glusterfs"
    "apfs"
    "9p"
    "cifs"
    "prl_fs"
    "vmhgfs"
  ];

  fstabLine =
    mountPoint: each:
    let
      given = (if isInStageOne mountPoint each then [ "x-initrd.mount" ] else [ ]) ++ (each.options or [ ]);
      mountOptions = if given == [ ] then [ "defaults" ] else given;
      isUnchecked =
        each.device == "none" || elem each.fsType uncheckedTypes || elem "bind" mountOptions;
      pass =
        if isUnchecked then
          "0"
        else if mountPoint == "/" then
          "1"
        else
          "2";
    in
    "${escapeField each.device} ${escapeField mountPoint} ${each.fsType} ${escapeField (concatStringsSep "," mountOptions)} 0 ${pass}";

  # The decrypted form has the name of the device's unit, without its backslashes.
  swapName =
    device:
    let
      characters = text: builtins.genList (index: substring index 1 text) (builtins.stringLength text);
      bytes = {
        "-" = "x2d";
        "/" = "-";
        " " = "x20";
        "+" = "x2b";
        "@" = "x40";
        "=" = "x3d";
        "," = "x2c";
        "#" = "x23";
        "~" = "x7e";
      };
      path = substring 1 (builtins.stringLength device) device;
    in
    concatStringsSep "" (map (character: bytes.${character} or character) (characters path));
  swapLine =
    each:
    let
      device =
        if each.randomEncryption.enable or false then "/dev/mapper/${swapName each.device}" else each.device;
    in
    "${device} none swap defaults";

  mountsWhere = condition: filter (name: condition name options.fileSystems.${name}) (attrNames options.fileSystems);
  fstabOf = names: map (name: fstabLine name options.fileSystems.${name}) names;

  # -- LUKS
  crypttabLine =
    name: each:
    let
      words = (each.crypttabExtraOpts or [ ]) ++ (if each.allowDiscards then [ "discard" ] else [ ]);
    in
    "${name} ${each.device} ${each.keyFile or "-"} ${concatStringsSep "," words}\n";

  # -- units
  toText =
    value:
    if value == true then
      "true"
    else if value == false then
      "false"
    else
      toString value;
  section =
    values:
    concatStringsSep "" (
      concatMap (
        name:
        map (value: "${name}=${toText value}\n") (
          if isList values.${name} then values.${name} else [ values.${name} ]
        )
      ) (attrNames values)
    );
  # A list that is not empty becomes one line.
  joined =
    names: service:
    builtins.listToAttrs (
      concatMap (
        name:
        let
          values = service.${name};
        in
        if values == [ ] then
          [ ]
        else
          [
            {
              name = unitNames.${name};
              value = toString values;
            }
          ]
      ) names
    );
  unitNames = {
    after = "After";
    before = "Before";
    requires = "Requires";
  };

  renderService =
    name: service:
    let
      program = "/bin/${replaceStrings [ "\\" "@" ] [ "-" "_" ] name}-start";
    in
    {
      inherit program;
      script = "set -e\n\n${service.script}\n\n";
      unit =
        "[Unit]\n"
        + section (
          service.unitConfig
          // joined [ "after" "before" "requires" ] service
          // { Description = service.description; }
        )
        + "\n[Service]\n"
        # NixOS puts the arguments behind it, of which there are none.
        + section (service.serviceConfig // { ExecStart = "@unit-script-${baseNameOf program}@${program} "; })
        + (
          if service.wantedBy == [ ] then
            ""
          else
            "\n[Install]\nWantedBy=${concatStringsSep " " service.wantedBy}\n"
        );
    };

in
{
  # Lines, because NixOS sorts them by what lies on what.
  fstab = fstabOf (attrNames options.fileSystems) ++ map swapLine options.swapDevices;
  initrdFstab = fstabOf (mountsWhere isInStageOne);
  crypttab = concatStringsSep "" (mapToList crypttabLine (options.boot.initrd.luks.devices or { }));
  services = mapAttrs renderService (options.boot.initrd.systemd.services or { });
  hooks = pick [
    "preDeviceCommands"
    "preLVMCommands"
    "postDeviceCommands"
    "postResumeCommands"
    "postMountCommands"
  ] options.boot.initrd;
}

# What can be checked where there is nixpkgs. Needs no machine: `nix flake check ./nix`.
{
  lib,
  pkgs,
  systems,
  raw,
  outcomes,
}:
let
  render = import ./render.nix;
  map' = import ../lib/map.nix;

  # NixOS's own text of a unit, with the place of the program as render.nix writes it, and without the environment that
  # every service gets: where locales and time zones are, of which stage 1 has none.
  unitText =
    nixos: service:
    let
      inherit (nixos.config.boot.initrd) systemd;
      program = lib.removeSuffix "${service.program} " systemd.services.${service.name}.serviceConfig.ExecStart;
      environment = lib.mapAttrsToList (
        name: value: "Environment=${builtins.toJSON "${name}=${toString value}"}\n"
      ) nixos.config.systemd.globalEnvironment;
    in
    builtins.replaceStrings ([ program ] ++ environment) (
      [ "@unit-script-${baseNameOf service.program}@" ] ++ map (_: "") environment
    ) (builtins.unsafeDiscardStringContext systemd.units."${service.name}.service".text);

  sorted = lines: lib.concatMapStrings (line: "${line}\n") (lib.sort lib.lessThan lines);

  # One folder with what NixOS makes of a system, and one with what render.nix says of it.
  compare =
    name: system:
    let
      nixos = systems.${name};
      expected = render (map' system);
      inherit (nixos.config.boot) initrd;
      write = file: text: "cp ${pkgs.writeText file text} expected/${file}\n";
    in
    pkgs.runCommand "same-files-${name}" { } (
      ''
        mkdir expected found
        ${write "fstab" (sorted expected.fstab)}
        grep -v '^#' ${nixos.config.environment.etc.fstab.source} | grep . | LC_ALL=C sort >found/fstab
      ''
      + lib.optionalString initrd.systemd.enable (
        ''
          ${write "initrd-fstab" (sorted expected.initrdFstab)}
          LC_ALL=C sort ${initrd.systemd.managerEnvironment.SYSTEMD_SYSROOT_FSTAB} >found/initrd-fstab
        ''
        + lib.optionalString (system.luks != [ ]) ''
          ${write "crypttab" expected.crypttab}
          cp ${initrd.systemd.contents."/etc/crypttab".source} found/crypttab
        ''
        + lib.concatMapStrings (service: ''
          ${write "${service.name}.service" service.unit}
          cp ${pkgs.writeText "${service.name}.service" (unitText nixos service)} found/${service.name}.service
          ${write "${service.name}-script" service.script}
          tail -n +2 ${
            lib.removeSuffix " " initrd.systemd.services.${service.name}.serviceConfig.ExecStart
          } >found/${service.name}-script
        '') (lib.mapAttrsToList (name: each: each // { inherit name; }) expected.services)
      )
      + ''
        diff -r expected found
        touch $out
      ''
    );

  declared =
    lane: all:
    let
      others = lib.filterAttrs (_: { asDeclared, ... }: !asDeclared) all;
    in
    {
      name = "declared-${lane}";
      value = pkgs.runCommand "declared-${lane}" { } ''
        cat ${pkgs.writeText "others.json" (builtins.toJSON (lib.mapAttrs (_: each: each.verdict) others))}
        ${lib.optionalString (others != { }) "exit 1"}
        touch $out
      '';
    };
in
# NixOS takes every system of a lane, and refuses exactly what it has to refuse.
lib.mapAttrs' declared outcomes
// {
  # Bind mounts by the impermanence module are not in the scenario: they are in no fstab of the pinned version.
  same-files = pkgs.linkFarm "same-files" (
    lib.mapAttrsToList (name: system: {
      inherit name;
      path = compare name system;
    }) raw
  );
}

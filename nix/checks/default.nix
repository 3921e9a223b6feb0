# What can be checked where there is nixpkgs. Needs no machine: `nix flake check ./nix`.
{
  lib,
  pkgs,
  systems,
  raw,
  refusals,
}:
let
  render = import ./render.nix;
  map' = import ../lib/map.nix;

  # NixOS's own text of a unit, with the place of the program as render.nix writes it.
  unitText =
    nixos: name:
    let
      service = nixos.config.boot.initrd.systemd.services.${name};
      ours = (render (map' raw.${nixos.name})).services.${name};
      program = lib.removeSuffix ours.program (lib.removeSuffix " " service.serviceConfig.ExecStart);
    in
    builtins.replaceStrings [ program ] [ "@${baseNameOf "unit-script-${baseNameOf ours.program}"}@" ] (
      builtins.unsafeDiscardStringContext nixos.config.boot.initrd.systemd.units."${name}.service".text
    );

  sorted = lines: lib.concatMapStrings (line: "${line}\n") (lib.sort lib.lessThan lines);

  # One folder with what NixOS makes of a system, and one with what render.nix says of it.
  compare =
    name: system:
    let
      nixos = systems.${name} // {
        inherit name;
      };
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
          ${write "${service}.service" expected.services.${service}.unit}
          cp ${pkgs.writeText "${service}.service" (unitText nixos service)} found/${service}.service
          ${write "${service}-script" expected.services.${service}.script}
          tail -n +2 ${lib.removeSuffix " " initrd.systemd.services.${service}.serviceConfig.ExecStart} >found/${service}-script
        '') (lib.attrNames expected.services)
      )
      + ''
        diff -r expected found
        touch $out
      ''
    );

  differing = lib.concatMapAttrs (
    lane: lib.concatMapAttrs (
      system: { found, expected }: lib.optionalAttrs (found != expected) { "${lane}/${system}" = found; }
    )
  ) refusals;
in
{
  # NixOS takes every system in every lane, and refuses exactly what it has to refuse.
  refusals = pkgs.runCommand "refusals" { } ''
    cat ${pkgs.writeText "refusals.json" (builtins.toJSON differing)}
    ${lib.optionalString (differing != { }) "exit 1"}
    touch $out
  '';

  # Bind mounts by the impermanence module are not in the scenario: they are in no fstab of the pinned version.
  same-files = pkgs.linkFarm "same-files" (
    lib.mapAttrsToList (name: system: {
      inherit name;
      path = compare name system;
    }) raw
  );
}

# Stands for nixpkgs where there is none: enough of it to look at the shape of our outputs. Nothing of NixOS is evaluated
# with it: its nixosSystem merges the options that a module gives as they are, and of files only a scenario's own; it reads no
# module that is a function. Of all assertions it has one, to see it expected.
{
  description = "A stub of nixpkgs for imperm's tests";

  outputs =
    { self }:
    let
      inherit (builtins)
        all
        attrNames
        concatLists
        concatStringsSep
        elem
        filter
        foldl'
        isAttrs
        listToAttrs
        mapAttrs
        ;

      package =
        name:
        derivation {
          inherit name;
          system = "x86_64-linux";
          builder = "/bin/false";
        };
      # A derivation whose text is evaluated, as that of a real one would be.
      built = name: text: builtins.deepSeq text (package name);

      mapAttrsToList = render: attrs: map (name: render name attrs.${name}) (attrNames attrs);
      merge = foldl' (one: other: one // other) { };
      merged =
        one: other:
        one
        // mapAttrs (
          name: value: if isAttrs value && isAttrs (one.${name} or null) && !(value ? type) then merged one.${name} value else value
        ) other;

      lib = {
        inherit (builtins) any;
        inherit
          all
          attrNames
          elem
          filter
          mapAttrs
          mapAttrsToList
          ;
        concatMapAttrs = render: attrs: merge (mapAttrsToList render attrs);
        concatMapStrings = render: list: concatStringsSep "" (map render list);
        hasPrefix =
          prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
        mapAttrs' = render: attrs: listToAttrs (mapAttrsToList render attrs);
        filterAttrs =
          condition: attrs:
          listToAttrs (
            concatLists (
              mapAttrsToList (
                name: value: if condition name value then [ { inherit name value; } ] else [ ]
              ) attrs
            )
          );
        lessThan = a: b: a < b;
        optionalAttrs = condition: attrs: if condition then attrs else { };
        optionalString = condition: text: if condition then text else "";
        removeSuffix =
          suffix: text:
          let
            length = builtins.stringLength text - builtins.stringLength suffix;
          in
          if length >= 0 && builtins.substring length (-1) text == suffix then
            builtins.substring 0 length text
          else
            text;
        sort = builtins.sort;

        nixosSystem =
          { modules }:
          let
            # A scenario's own module is a file alone in the store.
            isOwn = module: builtins.isString module && builtins.match "/nix/store/[^/]+" module != null;
            given = foldl' merged { } (
              map (module: module.config or { }) (filter isAttrs modules) ++ map import (filter isOwn modules)
            );
            services = mapAttrs (
              name: service:
              service
              // {
                serviceConfig = service.serviceConfig // {
                  ExecStart = "/nix/store/unit-script-${name}-start/bin/${name}-start ";
                };
              }
            ) (given.boot.initrd.systemd.services or { });
          in
          {
            config = merged given {
              # As NixOS 26.05 begins it.
              assertions = map (hook: {
                assertion = !(given.boot.initrd.systemd.enable or true);
                message = "systemd stage 1 does not support `boot.initrd.${hook}`. And so on.";
              }) (filter (hook: given.boot.initrd ? ${hook}) [ "postDeviceCommands" "postResumeCommands" ]);
              system.build = {
                toplevel = built "toplevel" given;
                isoImage = built "iso" (map (module: module.isoImage or null) (filter isAttrs modules));
                netbootRamdisk = package "ramdisk";
                kernel = package "kernel";
              };
              system.boot.loader.kernelFile = "bzImage";
              nixpkgs.hostPlatform.system = "x86_64-linux";
              environment.etc.fstab.source = package "fstab";
              systemd.globalEnvironment = { };
              boot = {
                kernelParams = [ ];
                initrd.systemd = {
                  inherit services;
                  enable = given.boot.initrd.systemd.enable or true;
                  managerEnvironment.SYSTEMD_SYSROOT_FSTAB = package "initrd-fstab";
                  contents."/etc/crypttab".source = package "crypttab";
                  units = listToAttrs (
                    mapAttrsToList (name: _: {
                      name = "${name}.service";
                      value.text = "[Unit]";
                    }) services
                  );
                };
              };
            };
          };
      };

      names = [
        "apt"
        "btrfs-progs"
        "debian-archive-keyring"
        "dpkg"
        "gnutar"
        "mmdebstrap"
        "nixfmt"
        "nodejs_22"
        "qemu"
        "swtpm"
        "xorriso"
        "util-linux"
        "zstd"
      ];
    in
    {
      inherit lib;
      legacyPackages.x86_64-linux =
        listToAttrs (
          map (name: {
            inherit name;
            value = package name;
          }) names
        )
        // {
          OVMF.fd = package "OVMF";
          linkFarm = name: entries: built name (map ({ path, ... }: "${path}") entries);
          mkShell = { packages, passthru }: package "shell" // { inherit passthru packages; };
          runCommand = name: attrs: text: built name text;
          writeShellApplication = { name, runtimeInputs, text }: built name [ runtimeInputs text ];
          writeShellScript = built;
          writeText = built;
        };
    };
}

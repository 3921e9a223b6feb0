{
  description = "NixOS systems of imperm's scenarios, media that install them without a network, and what is needed to run imperm";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    nixpkgs-25_11.url = "github:NixOS/nixpkgs/nixos-25.11";
    nixpkgs-unstable.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
    # Modules alone: what their flakes need for themselves is not fetched.
    impermanence = {
      url = "github:nix-community/impermanence/7b1d382faf603b6d264f58627330f9faa5cba149";
      flake = false;
    };
    # Before directories became mount units: in use by many.
    impermanence-old = {
      url = "github:nix-community/impermanence/4b3e914cdf97a5b536a889e939fb2fd2b043a170";
      flake = false;
    };
    preservation = {
      url = "github:nix-community/preservation/93416f4614ad2dfed5b0dcf12f27e57d27a5ab11";
      flake = false;
    };
    disko = {
      url = "github:nix-community/disko/v1.13.0";
      flake = false;
    };
  };

  outputs =
    inputs@{ self, nixpkgs, ... }:
    let
      inherit (nixpkgs) lib;
      platform = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${platform};

      lanes = import ./lib/lanes.nix { inherit inputs; };
      documents = import ./lib/documents.nix;

      # The systems of a document in a lane, by their names.
      mkSystems =
        {
          document,
          lane ? "main",
        }:
        lib.mapAttrs (
          _: system:
          lanes.${lane}.nixpkgs.lib.nixosSystem {
            modules = import ./lib/make-modules.nix {
              lane = lanes.${lane};
              inherit system;
            };
          }
        ) (lib.filterAttrs (_: lanes.${lane}.has) document.systems);

      systemsOf =
        lane: lib.concatMapAttrs (_: document: mkSystems { inherit document lane; }) documents;
      rawSystems = lib.concatMapAttrs (_: document: document.systems) documents;

      # What NixOS makes of a system: `refused`, the assertions that fail; `expected`, how those begin that have to fail;
      # `verdict`, a line for a person.
      outcome =
        lane: name: nixos:
        let
          refused = map ({ message, ... }: message) (
            lib.filter ({ assertion, ... }: !assertion) nixos.config.assertions
          );
          expected = lanes.${lane}.refuses rawSystems.${name};
          isExpected = message: lib.any (beginning: lib.hasPrefix beginning message) expected;
          isFound = beginning: lib.any (lib.hasPrefix beginning) refused;
          asDeclared = lib.all isExpected refused && lib.all isFound expected;
        in
        {
          inherit refused expected asDeclared;
          verdict =
            if !asDeclared then
              "NOT AS DECLARED: ${
                if refused == [ ] then "not refused by: ${toString expected}" else "refused: ${toString refused}"
              }"
            else if refused != [ ] then
              "refused, as declared: ${toString expected}"
            else
              # The whole system has to be evaluated before this is said.
              builtins.seq nixos.config.system.build.toplevel.drvPath "evaluated";
        };

      installers = import ./lib/installers.nix { inherit nixpkgs; };
      toplevels = lib.mapAttrsToList (_: nixos: nixos.config.system.build.toplevel) self.nixosConfigurations;
    in
    {
      # `nix build ./nix#nixosConfigurations.<name>.config.system.build.toplevel`
      nixosConfigurations = systemsOf "main";

      diskoConfigurations = lib.filterAttrs (_: each: each.disko.devices != null) (
        lib.mapAttrs (_: system: { disko.devices = import ./lib/disko.nix { inherit system; }; }) rawSystems
      );

      nixosModules = {
        # Assertions for everybody's configuration: faults of a layout that NixOS evaluates without a word.
        guards.imports = [ ./modules/guards.nix ];
        agent.imports = [ ./modules/agent.nix ];
        guest.imports = [ ./modules/guest.nix ];
      };

      lib = {
        # As imperm's reports name what these systems are.
        guest = "nixos";
        inherit documents mkSystems;

        # By system: how the assertions begin by which NixOS has to decline it in the lane. Systems that are not in the lane are
        # not here.
        expectedRefusals =
          { document, lane }:
          lib.mapAttrs (_: lanes.${lane}.refuses) (lib.filterAttrs (_: lanes.${lane}.has) document.systems);
        inherit (installers) mkIso mkNetboot;
        # { host = nixosConfigurations.<name>; } → { description, vm }: a host of somebody's own flake.
        describeHost = import ./lib/describe-host.nix;
        # For report.sh.
        laneNames = lib.attrNames lanes;
        systemNames = lib.mapAttrs (lane: _: lib.attrNames (systemsOf lane)) lanes;
        revisions = lib.mapAttrsToList (name: input: "${name} ${input.rev or "unknown"}") (
          removeAttrs inputs [ "self" ]
        );

        # nix eval --json ./nix#lib.outcomes.<lane>.<system>
        outcomes = lib.mapAttrs (lane: _: lib.mapAttrs (outcome lane) (systemsOf lane)) lanes;

        # By scenario: the variants that are not here, with the reason.
        notMapped = lib.filterAttrs (_: each: each != { }) (
          lib.mapAttrs (_: document: document.notMapped) documents
        );
      };

      legacyPackages.${platform}.lanes = lib.mapAttrs (name: _: systemsOf name) lanes;

      packages.${platform} = {
        # With every system in its store: installing needs no network.
        installer-iso = installers.mkIso toplevels;
        installer-netboot = installers.mkNetboot toplevels;
        default = self.packages.${platform}.installer-iso;
      };

      checks.${platform} = import ./checks {
        inherit lib pkgs;
        systems = self.nixosConfigurations;
        raw = rawSystems;
        inherit (self.lib) outcomes;
      };

      devShells.${platform}.default = import ./shell.nix { inherit pkgs; };

      apps.${platform} = {
        # `nix run ./nix -- run --all`, in a checkout.
        default = {
          type = "app";
          program = "${import ./app.nix { inherit pkgs; }}/bin/imperm";
          meta.description = "imperm, in the checkout that the current folder lies in";
        };
        # `nix run ./nix#report`, in a checkout.
        report = {
          type = "app";
          program = "${pkgs.writeShellScript "imperm-nix-report" (builtins.readFile ./report.sh)}";
          meta.description = "What real NixOS makes of the scenarios, as a table to send back";
        };
      };

      formatter.${platform} = pkgs.nixfmt-rfc-style or pkgs.nixfmt;
    };
}

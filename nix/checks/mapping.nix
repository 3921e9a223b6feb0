# Every scenario mapped, to be evaluated without nixpkgs:
#   nix-instantiate --store dummy:// --eval --strict --json nix/checks/mapping.nix
# Compared with reviewed files by harness/nix/nix.test.ts.
let
  map = import ../lib/map.nix;
  persistence = import ../lib/persistence.nix;
  render = import ./render.nix;
in
builtins.mapAttrs (
  _: document:
  builtins.mapAttrs (
    _: system:
    let
      options = map system;
    in
    {
      inherit options;
      persistence = persistence system.persistence;
      rendered = render options;
    }
  ) document.systems
) (import ../lib/documents.nix)

# Every scenario mapped, to be evaluated without nixpkgs:
#   nix-instantiate --store dummy:// --eval --strict --json nix/checks/mapping.nix
# Compared with reviewed files by harness/nix/mapping.test.ts.
let
  map = import ../lib/map.nix;
  persistence = import ../lib/persistence.nix;
  render = import ./render.nix;
in
builtins.mapAttrs (
  _: document:
  builtins.mapAttrs (_: system: {
    options = map system;
    persistence = persistence system.persistence;
    rendered = render (map system);
  }) document.systems
) (import ../lib/documents.nix)

# The NixOS modules that a scenario carries, as files: NixOS tells whose lines it is about when it does not take them.
# Each is a file alone in the store, so it can import nothing that lies beside it.
system:
let
  inherit (import ./strict.nix) only;

  toFile =
    each:
    let
      read = only "a Nix module" [ "name" "text" ] each;
    in
    builtins.toFile read.name read.text;
in
map toFile (system.nixModules or [ ])

# The modules that make a NixOS system of a scenario's system, in a lane.
{ lane, system }:
let
  options = import ./map.nix system;
  devices = import ./disko.nix { inherit system; };

  # disko declares what is on the disk; who asks for a mount in stage 1, and what is bound, stays ours.
  withDisko = options // {
    boot = options.boot // {
      initrd = options.boot.initrd // {
        luks = { };
      };
    };
    fileSystems = builtins.mapAttrs (
      _: each:
      if builtins.elem "bind" (each.options or [ ]) then each else { inherit (each) neededForBoot; }
    ) options.fileSystems;
    swapDevices = [ ];
    disko = { inherit devices; };
  };
in
lane.modules
++ [
  { config = if lane.disko or false then withDisko else options; }
  { config = (import ./persistence.nix system.persistence).${lane.persistence}; }
  ../modules/guest.nix
  ../modules/agent.nix
  ../modules/guards.nix
]
++ (if system ? image then [ ../modules/image.nix ] else [ ])

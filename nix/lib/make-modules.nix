# The modules that make a NixOS system of a scenario's system, in a lane.
{ lane, system }:
lane.modules
++ [
  { config = lane.options system; }
  { config = (import ./persistence.nix system.persistence).${lane.persistence}; }
  ../modules/guest.nix
  ../modules/agent.nix
  ../modules/guards.nix
]
++ import ./user-modules.nix system
++ (if system ? image then [ ../modules/image.nix ] else [ ])

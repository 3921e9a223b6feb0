# Which NixOS, and what keeps the state: every system of every scenario can be had in each lane.
# `persistence` is an attribute of persistence.nix; `refuses` gives the assertions by which NixOS declines a system, which is
# then as it should be.
{ inputs }:
let
  never = _: [ ];
in
{
  main = {
    inherit (inputs) nixpkgs;
    persistence = "impermanence";
    modules = [ "${inputs.impermanence}/nixos.nix" ];
    refuses = never;
  };
  preservation = {
    inherit (inputs) nixpkgs;
    persistence = "preservation";
    modules = [ "${inputs.preservation}/module.nix" ];
    refuses =
      system:
      if system.stage1 == "scripted" then
        [ "This module cannot be used with scripted initrd." ]
      else
        [ ];
  };
  plain = {
    inherit (inputs) nixpkgs;
    persistence = "plain";
    modules = [ ];
    refuses = never;
  };
  # File systems, LUKS and swap as disko declares them; systems that disko cannot make are not in this lane.
  disko = {
    inherit (inputs) nixpkgs;
    persistence = "impermanence";
    modules = [
      "${inputs.impermanence}/nixos.nix"
      "${inputs.disko}/module.nix"
    ];
    disko = true;
    refuses = never;
  };
  "25_11" = {
    nixpkgs = inputs.nixpkgs-25_11;
    persistence = "impermanence";
    modules = [ "${inputs.impermanence}/nixos.nix" ];
    refuses = never;
  };
  "25_11-impermanence-old" = {
    nixpkgs = inputs.nixpkgs-25_11;
    persistence = "impermanence";
    modules = [ "${inputs.impermanence-old}/nixos.nix" ];
    refuses = never;
  };
  unstable = {
    nixpkgs = inputs.nixpkgs-unstable;
    persistence = "impermanence";
    modules = [ "${inputs.impermanence}/nixos.nix" ];
    refuses = never;
  };
}

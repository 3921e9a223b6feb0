# Which NixOS, and what keeps the state. Every lane is a set of
#   nixpkgs
#   persistence   an attribute of persistence.nix
#   modules       what that needs
#   options       system → options
#   has           system → whether the lane has it
#   refuses       system → the beginnings of the assertions by which NixOS declines it, which is then as it should be
{ inputs }:
let
  always = _: true;
  never = _: [ ];
  impermanence = "${inputs.impermanence}/nixos.nix";
  options = import ./map.nix;
  disko = system: import ./disko.nix { inherit system; };

  withInitrd =
    change: said: said // { boot = said.boot // { initrd = change said.boot.initrd; }; };

  main = {
    inherit (inputs) nixpkgs;
    persistence = "impermanence";
    modules = [ impermanence ];
    inherit options;
    has = always;
    refuses = never;
  };
in
{
  inherit main;

  # For who has never said which stage 1 it should be, as recipes did before 26.05: since then it is systemd's. One that
  # rolls back in a hook is refused; one without a rollback is another system than it was.
  stage1-unsaid = main // {
    has = { stage1, ... }: stage1 == "scripted";
    options =
      system:
      withInitrd (initrd: initrd // { systemd = removeAttrs initrd.systemd [ "enable" ]; }) (options system);
    refuses =
      { rollback ? null, ... }:
      if rollback ? hook then
        [ "systemd stage 1 does not support `boot.initrd.${rollback.hook.hook}`" ]
      else
        [ ];
  };

  preservation = main // {
    persistence = "preservation";
    modules = [ "${inputs.preservation}/module.nix" ];
    refuses =
      { stage1, ... }:
      if stage1 == "scripted" then [ "This module cannot be used with scripted initrd." ] else [ ];
  };

  plain = main // {
    persistence = "plain";
    modules = [ ];
  };

  # disko declares what is on the disk; who asks for a mount in stage 1, and what is bound, stays ours.
  disko = main // {
    modules = main.modules ++ [ "${inputs.disko}/module.nix" ];
    has = system: disko system != null;
    options =
      system:
      let
        said = options system;
      in
      withInitrd (initrd: removeAttrs initrd [ "luks" ]) said
      // {
        fileSystems = builtins.mapAttrs (
          _: each:
          if builtins.elem "bind" (each.options or [ ]) then each else { inherit (each) neededForBoot; }
        ) said.fileSystems;
        swapDevices = [ ];
        disko.devices = disko system;
      };
  };

  "25_11" = main // {
    nixpkgs = inputs.nixpkgs-25_11;
  };

  "25_11-impermanence-old" = main // {
    nixpkgs = inputs.nixpkgs-25_11;
    modules = [ "${inputs.impermanence-old}/nixos.nix" ];
  };

  unstable = main // {
    nixpkgs = inputs.nixpkgs-unstable;
  };
}

# The outputs of nix/ that the driver asks for, of Debian packages: contract.json says where they lie in the store.
{
  description = "What nix/ offers the driver, without NixOS";
  outputs =
    _:
    let
      contract = builtins.fromJSON (builtins.readFile ./contract.json);
    in
    {
      lib = {
        guest = "debian with NixOS's interface";
        describeHost = import ./nix/lib/describe-host.nix;
        laneNames = [ "main" ];
        expectedRefusals = { document, lane }: builtins.mapAttrs (_: _: [ ]) document.systems;
        mkSystems =
          { document, lane }:
          builtins.mapAttrs (name: _: {
            config.system.build = {
              toplevel = builtins.storePath (
                contract.toplevels.${name} or (throw "the contract has no system ${name} in the lane ${lane}")
              );
              imageClosure = builtins.storePath contract.closures.${name};
            };
          }) document.systems;
        mkIso = _: builtins.storePath contract.iso;
        mkNetboot = _: builtins.storePath contract.netboot;
      };
    };
}

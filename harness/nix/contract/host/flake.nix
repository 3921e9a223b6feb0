# A host of somebody's own, as far as imperm asks for it: options in the form that NixOS gives them, what NixOS and disko build
# as it lies in the store. host.json has the system of a scenario, and says where.
{
  outputs =
    _:
    let
      given = builtins.fromJSON (builtins.readFile ./host.json);
      options = import ./nix/lib/map.nix given.system;
      persisted = (import ./nix/lib/persistence.nix given.system.persistence).impermanence;
      config = options // {
        environment = options.environment // {
          # As the module itself adds it.
          persistence = builtins.mapAttrs (
            root: each: each // { persistentStoragePath = root; }
          ) persisted.environment.persistence;
        };
        disko.devices.disk.main = {
          type = "disk";
          device = "/dev/nvme0n1";
          content = {
            type = "gpt";
            partitions.luks = {
              size = "100%";
              content = {
                type = "luks";
                name = "cryptfs";
                askPassword = true;
                settings = { };
              };
            };
          };
        };
        system = {
          nixos.release = "0 (none: the contract)";
          build = builtins.mapAttrs (_: builtins.storePath) { inherit (given) toplevel diskoScript; };
        };
      };
      host = {
        inherit config;
        options = { };
        pkgs.stdenv.hostPlatform.system = "x86_64-linux";
        # What imperm adds to a host for the virtual machine, this one has already.
        extendModules = _: host;
      };
    in
    {
      nixosConfigurations.laptop = host;
    };
}

# The media to install from, with the given store paths and all they need in their store.
{ nixpkgs }:
let
  inherit (nixpkgs) lib;
  evaluate = modules: (lib.nixosSystem { inherit modules; }).config;
in
{
  # A folder with iso/<name>.iso
  mkIso =
    storeContents:
    (evaluate [
      ../modules/installer-iso.nix
      { isoImage = { inherit storeContents; }; }
    ]).system.build.isoImage;

  # A folder with kernel, initrd and command-line
  mkNetboot =
    storeContents:
    let
      config = evaluate [
        ../modules/installer-netboot.nix
        { netboot = { inherit storeContents; }; }
      ];
      inherit (config.system) build;
      pkgs = nixpkgs.legacyPackages.${config.nixpkgs.hostPlatform.system};
    in
    pkgs.linkFarm "imperm-installer-netboot" [
      {
        name = "kernel";
        path = "${build.kernel}/${config.system.boot.loader.kernelFile}";
      }
      {
        name = "initrd";
        path = "${build.netbootRamdisk}/initrd";
      }
      {
        name = "command-line";
        path = pkgs.writeText "command-line" "init=${build.toplevel}/init ${toString config.boot.kernelParams}\n";
      }
    ];
}

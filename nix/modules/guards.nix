# Faults of a layout that NixOS itself evaluates without a word.
{
  config,
  lib,
  utils,
  ...
}:
let
  inherit (config.boot) initrd;

  # -- units of stage 1 that are to run before the root is mounted
  rollbacks = lib.filterAttrs (
    _: service: lib.elem "sysroot.mount" (service.before ++ service.requiredBy)
  ) initrd.systemd.services;

  # -- the names of LUKS devices in the order of stage 1
  unlockUnits = map (name: "systemd-cryptsetup@${utils.escapeSystemdPath name}.service") (
    lib.attrNames initrd.luks.devices
  );
  isUnlockUnit = lib.hasPrefix "systemd-cryptsetup@";
  strangersOf =
    service: lib.subtractLists unlockUnits (lib.filter isUnlockUnit (service.after ++ service.requires));

  # -- what is read when the system is activated, right after stage 1
  holds = mountPoint: path: mountPoint == "/" || path == mountPoint || lib.hasPrefix "${mountPoint}/" path;
  mountOf =
    path:
    lib.foldl' (
      best: mountPoint:
      if holds mountPoint path && lib.stringLength mountPoint > lib.stringLength best then
        mountPoint
      else
        best
    ) "/" (lib.attrNames config.fileSystems);
  isInStageOne = mountPoint: utils.fsNeededForBoot config.fileSystems.${mountPoint};
  passwordFiles = lib.filter (file: file != null) (
    lib.mapAttrsToList (_: user: user.hashedPasswordFile) config.users.users
  );
  # Of either module. impermanence looks only at a store that is a mount point itself, preservation at none.
  stores = map (store: store.persistentStoragePath) (
    lib.attrValues (config.environment.persistence or { })
    ++ lib.attrValues (config.preservation.preserveAt or { })
  );
in
{
  assertions =
    lib.mapAttrsToList (name: _: {
      assertion = initrd.systemd.enable;
      message = "boot.initrd.systemd.services.${name} is to run before the root is mounted, but boot.initrd.systemd.enable is false: it would never run.";
    }) rollbacks
    ++ lib.mapAttrsToList (name: service: {
      assertion = !initrd.systemd.enable || strangersOf service == [ ];
      message = "boot.initrd.systemd.services.${name} is ordered after ${lib.concatStringsSep ", " (strangersOf service)}, which does not exist, so it is ordered after nothing. The units that unlock are: ${lib.concatStringsSep ", " unlockUnits}.";
    }) rollbacks
    ++ map (file: {
      assertion = isInStageOne (mountOf file);
      message = "The password file ${file} lies on ${mountOf file}, which is mounted only after users are made: their accounts would be locked. Set fileSystems.\"${mountOf file}\".neededForBoot.";
    }) passwordFiles
    ++ map (store: {
      assertion = isInStageOne (mountOf store);
      message = "The persistent store ${store} lies on ${mountOf store}, which is mounted only after the system is activated. Set fileSystems.\"${mountOf store}\".neededForBoot.";
    }) stores;
}

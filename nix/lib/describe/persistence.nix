# What is persisted, by impermanence (both generations) or preservation → one form. Builtins alone.
config:
let
  inherit (builtins)
    attrValues
    concatMap
    elem
    filter
    map
    ;

  isOn = each: each.enable or true;
  join = root: path: if root == "/" then path else root + path;

  # Paths of a user are below its home. Both modules know the whole path, under several names.
  absolute =
    home: path:
    if builtins.substring 0 1 path == "/" then path else "${if home == null then "" else home}/${path}";
  directoryPath = home: each: each.dirPath or (absolute (each.home or home) each.directory);
  filePath = home: each: each.filePath or (absolute (each.home or home) each.file);

  # The store itself, and the part of every user in it.
  partsOf =
    store:
    [
      {
        home = null;
        inherit (store) directories files;
      }
    ]
    ++ map (user: {
      home = user.home or null;
      inherit (user) directories files;
    }) (attrValues (store.users or { }));

  owned = each: {
    user = each.user or "root";
    group = if each.group or null == null then "root" else each.group;
    mode = each.mode or "0755";
  };

  impermanence = map (store: {
    by = "impermanence";
    root = toString store.persistentStoragePath;
    hideMounts = store.hideMounts or false;
    directories = concatMap (
      { home, directories, ... }:
      map (each: owned each // { path = directoryPath home each; how = "bindmount"; }) directories
    ) (partsOf store);
    files = concatMap (
      { home, files, ... }:
      map (each: {
        path = filePath home each;
        user = each.parentDirectory.user or "root";
        how = if each.method or "auto" == "symlink" then "symlink" else "bindmount";
      }) files
    ) (partsOf store);
  }) (filter isOn (attrValues (config.environment.persistence or { })));

  # `_intermediate` directories are made, and not kept.
  isKept = each: (each.how or "bindmount") != "_intermediate";
  isInitrd = store: concatMap ({ directories, files, ... }: directories ++ files) (partsOf store);

  preserved = config.preservation or { };
  preservation = map (store: {
    by = "preservation";
    root = toString store.persistentStoragePath;
    hideMounts = false;
    # Without it the store may be mounted after stage 1.
    inStageOne = builtins.any (each: each.inInitrd or false) (isInitrd store);
    directories = concatMap (
      { home, directories, ... }:
      map (each: owned each // { path = directoryPath home each; inherit (each) how; }) (
        filter isKept directories
      )
    ) (partsOf store);
    files = concatMap (
      { home, files, ... }:
      map (each: {
        path = filePath home each;
        user = each.user or "root";
        inherit (each) how;
      }) files
    ) (partsOf store);
  }) (if preserved.enable or false then attrValues (preserved.preserveAt or { }) else [ ]);

  stores = map (store: { inStageOne = true; } // store) impermanence ++ preservation;
in
{
  inherit stores;

  # Bind mounts that the older impermanence writes into `fileSystems` for what it persists.
  isGenerated =
    mountPoint: fileSystem:
    elem "bind" (fileSystem.options or [ ])
    && builtins.any (
      { root, directories, ... }:
      builtins.any (
        { path, ... }: path == mountPoint && join root path == toString fileSystem.device
      ) directories
    ) stores;
}

# What stage 1 runs to make a new root, as far as it can be found: a service before the root is mounted, or commands in a
# hook of scripted stage 1. Builtins alone. `candidates` are all that look like it, the likeliest first.
{ config, options }:
let
  inherit (builtins)
    any
    attrNames
    concatMap
    elem
    filter
    isString
    replaceStrings
    stringLength
    substring
    ;

  inherit (config.boot) initrd;
  isSystemd = initrd.systemd.enable or false;

  has = needle: text: replaceStrings [ needle ] [ "" ] text != text;
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;

  # What is done to a root that is to be new.
  wipes =
    text:
    any (needle: has needle text) [
      "btrfs subvolume"
      "btrfs sub "
      "btrfs su "
      "subvolume snapshot"
      "subvolume create"
      "zfs rollback"
      "mkfs"
    ];

  # Those of NixOS and of the modules that persist.
  isForeign =
    name:
    any (prefix: hasPrefix prefix name) [
      "systemd-"
      "initrd-"
      "zfs-import-"
      "cryptsetup-"
      "luks-"
      "plymouth"
      "preservation"
      "persist-"
      "create-needed-for-boot-dirs"
    ];

  services = initrd.systemd.services or { };
  textOf =
    service:
    let
      script = service.script or "";
      start = service.serviceConfig.ExecStart or "";
    in
    # Its text is in the store, and not here.
    if script != "" then script else if isString start then start else toString start;

  isBeforeRoot =
    service:
    elem "sysroot.mount" ((service.before or [ ]) ++ (service.requiredBy or [ ]));
  looksLike =
    name:
    (services.${name}.enable or true)
    && !isForeign name
    && textOf services.${name} != ""
    && (isBeforeRoot services.${name} || wipes (textOf services.${name}));
  found = filter looksLike (attrNames services);
  byLikelihood =
    filter (name: wipes (textOf services.${name})) found
    ++ filter (name: !wipes (textOf services.${name})) found;

  # NixOS's own commands are in the same option: what is looked for is who else has written something, and in which place.
  definitionsOf =
    hook:
    (options.boot.initrd.${hook} or { }).definitionsWithLocations or [
      { value = initrd.${hook} or ""; }
    ];
  wiping = hook: filter ({ value, ... }: wipes value) (definitionsOf hook);
  orderOf =
    { priority ? 1000, ... }:
    if priority < 1000 then
      "before"
    else if priority > 1000 then
      "after"
    else
      "default";

  hooks = filter (hook: wiping hook != [ ]) [
    "preDeviceCommands"
    "preLVMCommands"
    "postDeviceCommands"
    "postResumeCommands"
    "postMountCommands"
  ];
in
{
  candidates =
    if isSystemd then
      map (
        name:
        let
          service = services.${name};
        in
        {
          kind = "service";
          inherit name;
          description = if service.description or "" == "" then name else service.description;
          after = service.after or [ ];
          before = service.before or [ ];
          requires = service.requires or [ ];
          wantedBy = service.wantedBy or [ ];
          requiredBy = service.requiredBy or [ ];
          remainAfterExit = (service.serviceConfig.RemainAfterExit or false) == true;
          script = textOf service;
          hasText = (service.script or "") != "";
        }
      ) byLikelihood
    else
      concatMap (
        hook:
        map (definition: {
          kind = "hook";
          inherit hook;
          order = orderOf definition;
          script = definition.value;
        }) (wiping hook)
      ) hooks;

  # Such as a hook that systemd never runs, or a service that scripted stage 1 never starts.
  neverRun =
    if isSystemd then
      map (hook: "boot.initrd.${hook}") hooks
    else
      map (name: "boot.initrd.systemd.services.${name}") (
        filter (name: wipes (textOf services.${name})) found
      );
}

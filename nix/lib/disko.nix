# A system of a scenario → `disko.devices`, with every partition on one disk. Builtins alone, like map.nix.
# A system that cannot be had this way gives null: disko names partitions by label, and knows of no TPM when it installs.
{
  system,
  disk ? "/dev/vda",
  espSize ? "512M",
  swapSize ? "2G",
}:
let
  inherit (builtins)
    all
    any
    filter
    head
    listToAttrs
    match
    stringLength
    substring
    ;
  inherit (import ./strict.nix) when;

  labels = "/dev/disk/by-partlabel/";
  isLabelled = device: substring 0 (stringLength labels) device == labels;
  labelOf = device: substring (stringLength labels) (-1) device;

  isBind = { options, ... }: any (option: option == "bind") options;
  isTmpfs = { fsType, ... }: fsType == "tmpfs";
  onDisk = filter (each: !isBind each && !isTmpfs each) system.fileSystems;
  mappers = map ({ name, ... }: "/dev/mapper/${name}") system.luks;

  isPossible =
    !(system ? image)
    && all ({ device, unlock, ... }: isLabelled device && unlock == "passphrase") system.luks
    && all ({ device, ... }: isLabelled device || any (mapper: mapper == device) mappers) (
      onDisk ++ system.swapDevices
    );

  withoutSubvolume = filter (option: match "subvol=.*" option == null);

  subvolume = each: {
    name = "/${each.subvolume}";
    value = {
      mountpoint = each.mountPoint;
      mountOptions = withoutSubvolume each.options;
    };
  };

  # A file system on a device, or the swap space.
  contentOf =
    device:
    let
      mounts = filter (each: each.device == device) onDisk;
      first = head mounts;
      swap = filter (each: each.device == device) system.swapDevices;
    in
    if swap != [ ] then
      {
        type = "swap";
        inherit (head swap) randomEncryption;
      }
    else if first.fsType == "btrfs" then
      {
        type = "btrfs";
        extraArgs = [ "-f" ];
        subvolumes = listToAttrs (map subvolume mounts);
      }
      # What the rollback restores has to be made while the root is still empty.
      // when (system ? rollback.blankSnapshot && any ({ mountPoint, ... }: mountPoint == "/") mounts) {
        postCreateHook = ''
          (
            top=$(mktemp -d)
            mount -t btrfs -o subvol=/ ${device} "$top"
            trap 'umount "$top"; rmdir "$top"' EXIT
            [ -e "$top/${system.rollback.blankSnapshot}" ] ||
              btrfs subvolume snapshot -r "$top/${(head (filter ({ mountPoint, ... }: mountPoint == "/") mounts)).subvolume}" "$top/${system.rollback.blankSnapshot}"
          )
        '';
      }
    else
      {
        type = "filesystem";
        format = first.fsType;
        mountpoint = first.mountPoint;
        mountOptions = if first.options == [ ] then [ "defaults" ] else first.options;
      };

  partition =
    { device, content, size }:
    {
      name = labelOf device;
      value = {
        label = labelOf device;
        inherit content size;
      };
    };

  esps = filter ({ fsType, device, ... }: fsType == "vfat" && isLabelled device) onDisk;
  encrypted = map (
    {
      name,
      device,
      allowDiscards,
      ...
    }:
    partition {
      inherit device;
      # A swap space is as large as it is, encrypted or not.
      size = if any (each: each.device == "/dev/mapper/${name}") system.swapDevices then swapSize else "100%";
      content = {
        type = "luks";
        inherit name;
        settings = { inherit allowDiscards; };
        content = contentOf "/dev/mapper/${name}";
      };
    }
  ) system.luks;
  espPartitions = map (
    { device, ... }:
    let
      made = partition {
        inherit device;
        size = espSize;
        content = contentOf device;
      };
    in
    made // { value = made.value // { type = "EF00"; }; }
  ) esps;
  plain = map (
    { device, isSwap }:
    partition {
      inherit device;
      size = if isSwap then swapSize else "100%";
      content = contentOf device;
    }
  ) (
    map (each: { inherit (each) device; isSwap = true; }) (filter ({ device, ... }: isLabelled device) system.swapDevices)
    ++ map (each: { inherit (each) device; isSwap = false; }) (
      filter ({ device, fsType, ... }: isLabelled device && fsType != "vfat") onDisk
    )
  );
in
if !isPossible then
  null
else
  {
    disk.main = {
      type = "disk";
      device = disk;
      content = {
        type = "gpt";
        partitions = listToAttrs (espPartitions ++ plain ++ encrypted);
      };
    };
    nodev = listToAttrs (
      map (
        { mountPoint, fsType, options, ... }:
        {
          name = mountPoint;
          value = {
            inherit fsType;
            mountOptions = options;
          };
        }
      ) (filter isTmpfs system.fileSystems)
    );
  }

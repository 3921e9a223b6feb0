# What disko declares → the virtual disks that take the place of the real ones, and what its script reads. Builtins alone.
config:
let
  inherit (builtins)
    any
    all
    attrNames
    attrValues
    concatMap
    elemAt
    filter
    genList
    isList
    length
    match
    ;

  devices = config.disko.devices or { };
  disks = devices.disk or { };
  keys = attrNames disks;

  # A virtual disk's serial number is its name: twenty letters and no others. Names that are none are counted instead.
  isSerial = name: match "[a-z][a-z0-9-]{0,19}" name != null;
  names =
    if all isSerial keys then keys else genList (index: "disk-${toString (index + 1)}") (length keys);

  # A table of disko's older type has a list.
  partitionsOf =
    content:
    let
      partitions = content.partitions or { };
    in
    if isList partitions then partitions else attrValues partitions;
  contentsOf =
    holder:
    let
      content = holder.content or null;
    in
    if content == null then
      [ ]
    else
      [ content ] ++ contentsOf content ++ concatMap contentsOf (partitionsOf content);

  volumesOf = group: attrValues (group.lvs or { });
  volumes = concatMap volumesOf (attrValues (devices.lvm_vg or { }));
  contents = concatMap contentsOf (attrValues disks ++ attrValues (devices.mdadm or { }) ++ volumes);

  efi = config.boot.loader.efi.efiSysMountPoint or "/boot";
  isEsp =
    partition:
    (partition.type or "") == "EF00"
    || any (content: (content.mountpoint or null) == efi && (content.format or "") == "vfat") (
      contentsOf partition
    );

  # What the disk has to be large enough for: `1G`; `100%` is the rest, and `-8G` an end that leaves room.
  sizeOf =
    partition:
    let
      size = partition.size or "0";
    in
    if size == "0" then partition.end or "0" else size;
  sizesOf =
    disk:
    map sizeOf (concatMap partitionsOf (contentsOf disk)) ++ map (volume: volume.size or "0") volumes;

  some = filter (each: each != null);
  luks = filter (content: (content.type or "") == "luks") contents;
in
{
  names = builtins.listToAttrs (
    genList (index: {
      name = elemAt keys index;
      value = elemAt names index;
    }) (length keys)
  );

  disks = genList (
    index:
    let
      disk = disks.${elemAt keys index};
    in
    {
      name = elemAt names index;
      declaredAs = elemAt keys index;
      inherit (disk) device;
      imageSize = disk.imageSize or "2G";
      sizes = map toString (sizesOf disk);
      hasEsp = any isEsp (concatMap partitionsOf (contentsOf disk));
    }
  ) (length keys);

  # Of every LUKS device that disko makes: where its script reads the passphrase, or that it asks.
  luks = map (
    content:
    let
      files = some [
        (content.settings.keyFile or null)
        (content.passwordFile or null)
        (content.keyFile or null)
      ];
    in
    {
      inherit (content) name;
      files = map toString files;
      asks = content.askPassword or (files == [ ]);
      additionalKeyFiles = map toString (content.additionalKeyFiles or [ ]);
    }
  ) luks;
}

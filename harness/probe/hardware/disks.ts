import { HarnessError } from '../../core/index.js';
import type { Collection } from '../collect.js';
import { parseSections, renderSections, type Section } from '../sections.js';

/** A block device as the kernel of the machine knows it. */
export interface BlockDevice {
  /** Name in /sys/class/block: `nvme0n1p2`. */
  readonly name: string;
  /** `/dev/nvme0n1p2` */
  readonly path: string;
  /** `disk`, `part`, `crypt`, `lvm`, `raid1`, `loop`, `rom` … */
  readonly type: string;
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  readonly model: string;
  readonly serial: string;
  /** What is on it: `vfat`, `crypto_LUKS` … Empty when nothing is known to be. */
  readonly content: string;
  /** Of its file system or its partition. */
  readonly label: string;
  /** Partitions of a disk, and whatever is made of this one. */
  readonly children: readonly BlockDevice[];
}

/** All that is seen of a machine's disks before one of them is written. */
export interface DisksEvidence {
  readonly disks: readonly BlockDevice[];
  /** Names in /dev/disk/by-id of a device, by its path. */
  readonly ids: ReadonlyMap<string, readonly string[]>;
  /** What uses a device, by its name: `mounted at /mnt`. */
  readonly uses: ReadonlyMap<string, readonly string[]>;
  /** ZFS pools that are imported: which devices they have is not told where everybody can read it. */
  readonly zfsPools: readonly string[];
}

const COLUMNS = 'NAME,KNAME,PATH,MAJ:MIN,TYPE,SIZE,RO,MODEL,SERIAL,FSTYPE,LABEL,PARTLABEL';

/**
 * Each line: the name or the number of a device, a tab, and what uses it. Mounts are looked for in every namespace: what a
 * container has mounted is in use, too. File systems on several devices name one of them only; the others are told by sysfs.
 */
const USES = `cat /proc/[0-9]*/mountinfo 2>/dev/null | cut -d' ' -f3,5 | sort -u | sed -n 's/^\\([1-9][0-9]*:[0-9]*\\) /\\1\\tmounted at /p'
tail -n +2 /proc/swaps | while read -r device rest; do device=$(readlink -f "$device"); printf '%s\\tswap\\n' "\${device##*/}"; done
for holder in /sys/class/block/*/holders/*; do
  [ -e "$holder" ] || continue
  device=\${holder%/holders/*}
  printf '%s\\theld by %s\\n' "\${device##*/}" "$(cat "$holder/dm/name" 2>/dev/null || echo "\${holder##*/}")"
done
for device in /sys/fs/btrfs/*/devices/*; do
  [ -e "$device" ] && printf '%s\\tpart of a mounted btrfs\\n' "\${device##*/}"
done
for device in /sys/fs/bcachefs/*/dev-*/block; do
  [ -e "$device" ] && device=$(readlink -f "$device") && printf '%s\\tpart of a mounted bcachefs\\n' "\${device##*/}"
done
true`;

const SECTIONS: readonly Section[] = [
  { name: 'devices', command: `lsblk --json --bytes --tree --output ${COLUMNS}` },
  {
    name: 'ids',
    command:
      'for link in /dev/disk/by-id/*; do [ -L "$link" ] && printf "%s\\t%s\\n" "$(readlink -f "$link")" "${link##*/}"; done; true',
  },
  { name: 'uses', command: USES },
  {
    name: 'zfs',
    command: 'for pool in /proc/spl/kstat/zfs/*/; do [ -d "$pool" ] && basename "$pool"; done; true',
  },
];

/** Everything about a machine's disks. Nothing is opened for writing. */
export function collectDisks(boundary: string): Collection<DisksEvidence> {
  return {
    script: renderSections(SECTIONS, boundary),
    parse: (output) => {
      const results = parseSections(output, SECTIONS, boundary);
      const text = (name: string): string => results.get(name)?.output.toString('utf8') ?? '';
      const numbers = new Map<string, string>();
      const disks = parseDevices(text('devices'), numbers);
      return {
        disks,
        ids: collect(text('ids')),
        uses: collect(text('uses'), (who) => (who.includes(':') ? (numbers.get(who) ?? who) : who)),
        zfsPools: text('zfs').split('\n').filter(Boolean),
      };
    },
  };
}

/** With lsblk's own names. */
interface LsblkDevice extends Readonly<Record<'size', number>> {
  readonly kname: string;
  readonly path: string;
  readonly 'maj:min': string;
  readonly type: string;
  readonly ro: boolean;
  readonly model: string | null;
  readonly serial: string | null;
  readonly fstype: string | null;
  readonly label: string | null;
  readonly partlabel: string | null;
  readonly children?: readonly LsblkDevice[];
}

/** @param numbers Receives the name of every device by its number. */
function parseDevices(text: string, numbers: Map<string, string>): BlockDevice[] {
  const parse = (device: LsblkDevice): BlockDevice => {
    numbers.set(device['maj:min'], device.kname);
    return {
      name: device.kname,
      path: device.path,
      type: device.type,
      sizeBytes: device.size,
      isReadOnly: device.ro,
      model: (device.model ?? '').trim(),
      serial: (device.serial ?? '').trim(),
      content: device.fstype ?? '',
      label: device.label ?? device.partlabel ?? '',
      children: (device.children ?? []).map(parse),
    };
  };
  try {
    const { blockdevices } = JSON.parse(text) as { readonly blockdevices: readonly LsblkDevice[] };
    return blockdevices.map(parse);
  } catch (error) {
    throw new HarnessError('EVIDENCE_MISSING', 'The machine does not tell which disks it has', {
      details: text.slice(-400),
      hint: 'Its installer needs lsblk of util-linux 2.37 or newer.',
      cause: error,
    });
  }
}

/** Lines of a key, a tab and a value. */
function collect(text: string, name: (key: string) => string = (key) => key): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    const [key = '', value] = line.split('\t');
    if (value !== undefined) found.set(name(key), [...(found.get(name(key)) ?? []), value]);
  }
  return found;
}

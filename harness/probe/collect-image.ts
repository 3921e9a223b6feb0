import { quote } from '../core/index.js';
import type { DiskImage, Scenario } from '../scenario/index.js';
import type { DiskLayout, Foreigner, ImageBootEvidence, ImageEvidence } from './evidence.js';
import type { Section, SectionResult } from './sections.js';
import { parseSubvolumes } from './subvolumes.js';

type Sections = ReadonlyMap<string, SectionResult>;

/** Where the inspector mounts the btrfs for a look. */
const LOOK = '/run/imperm/image';
/** An image with the fault has thousands of them, all alike. */
const MOST_FOREIGNERS = 500;
const SECTOR_BYTES = 512;

function text(results: Sections, name: string): string {
  return (results.get(name)?.output.toString('utf8') ?? '').trim();
}

function bothStreams(command: string): string {
  return `${command} 2>&1`;
}

/** Disk, partition and file system in bytes; the same in the running system and in the inspector. */
function layoutSection({ btrfs }: DiskImage): Section {
  return {
    name: 'image-layout',
    command:
      `part=$(readlink -f ${quote(btrfs.device)}) && dir=$(readlink -f "/sys/class/block/\${part##*/}") && ` +
      'echo "$(<"$dir/../size") $(<"$dir/start") $(<"$dir/size")" && btrfs filesystem show --raw "$part"',
  };
}

/** @returns Nothing when the partition or its file system cannot be found. */
function parseLayout(output: string): DiskLayout | undefined {
  const [, disk, start, size] = /^(\d+) (\d+) (\d+)$/m.exec(output) ?? [];
  const [, fileSystem] = /devid +1 size (\d+) /.exec(output) ?? [];
  if (disk === undefined || fileSystem === undefined) return undefined;
  return {
    diskBytes: Number(disk) * SECTOR_BYTES,
    partitionEndBytes: (Number(start) + Number(size)) * SECTOR_BYTES,
    partitionBytes: Number(size) * SECTOR_BYTES,
    fileSystemBytes: Number(fileSystem),
  };
}

/** What a boot of a system that came as an image shows beyond others. None for a system that was installed. */
export function imageBootSections({ system: { image } }: Scenario, boot: number): Section[] {
  if (image === undefined) return [];
  // All that the store holds is read once: right after Nix was told what it should hold.
  const contents = boot === 1 ? ' --check-contents' : '';
  return [
    layoutSection(image),
    { name: 'image-registration', command: '[ ! -e /nix/nix-path-registration ]' },
    { name: 'image-verify', command: bothStreams(`nix-store --verify${contents}`) },
    { name: 'image-validity', command: bothStreams('nix-store --check-validity /nix/store/*') },
    {
      name: 'image-closure',
      command: bothStreams('nix-store --query --requisites "$(readlink -f /run/current-system)"'),
    },
    {
      name: 'image-tmpfiles',
      command: 'boot_journal -o cat -t systemd-tmpfiles; true',
    },
  ];
}

export function parseImageBoot({ system }: Scenario, results: Sections): ImageBootEvidence | undefined {
  if (system.image === undefined) return undefined;
  const said = (name: string): ImageBootEvidence['verify'] => ({
    ok: results.get(name)?.exitCode === 0,
    output: text(results, name),
  });
  const layout = parseLayout(text(results, 'image-layout'));
  return {
    ...(layout === undefined ? {} : { layout }),
    registrationGone: said('image-registration').ok,
    verify: said('image-verify'),
    validity: said('image-validity'),
    closure: said('image-closure'),
    tmpfiles: text(results, 'image-tmpfiles')
      .split('\n')
      .filter((line) => line !== ''),
  };
}

/** What the powered-off disk of an image is looked at for. None for a system that was installed. */
export function imageDiskSections({ system: { image } }: Scenario): Section[] {
  if (image === undefined) return [];
  const mount = `mkdir -p ${LOOK} && mount -t btrfs -o ro,subvolid=5,rescue=nologreplay ${quote(image.btrfs.device)} ${LOOK}`;
  const list = `${LOOK}.foreign`;
  const looks: Section[] = [
    { name: 'image-top', command: `ls -A ${LOOK}` },
    { name: 'image-subvolumes', command: `btrfs subvolume list -auq ${LOOK}` },
    {
      name: 'image-foreign',
      command: `find ${LOOK} ! \\( -uid 0 -gid 0 \\) -printf '%U:%G %P\\0' >${list}; tr -cd '\\0' <${list} | wc -c; head -zn ${String(MOST_FOREIGNERS)} ${list}`,
    },
  ];
  return [
    layoutSection(image),
    { name: 'image-mount', command: bothStreams(mount) },
    // Of nothing that is mounted nothing would be foreign.
    ...looks.map(({ name, command }) => ({ name, command: `mountpoint -q ${LOOK} && { ${command}; }` })),
    { name: 'image-unmount', command: `! mountpoint -q ${LOOK} || umount ${LOOK}` },
  ];
}

/** @returns Nothing for a system that was installed, and for an image whose btrfs could not be read. */
export function parseImageDisk({ system }: Scenario, results: Sections): ImageEvidence | undefined {
  const read = ['image-mount', 'image-top', 'image-subvolumes', 'image-foreign'];
  if (system.image === undefined || read.some((name) => results.get(name)?.exitCode !== 0)) return undefined;
  const layout = parseLayout(text(results, 'image-layout'));
  const [, count = '0', foreign = ''] =
    /^\s*(\d+)\n([^]*)$/.exec(results.get('image-foreign')?.output.toString('utf8') ?? '') ?? [];
  return {
    ...(layout === undefined ? {} : { layout }),
    topLevel: text(results, 'image-top').split('\n'),
    subvolumes: parseSubvolumes(text(results, 'image-subvolumes')),
    foreignCount: Number(count),
    foreign: foreign.split('\0').flatMap(parseForeigner),
  };
}

function parseForeigner(entry: string): Foreigner[] {
  const [, uid, gid, path = ''] = /^(\d+):(\d+) ([^]*)$/.exec(entry.trimStart()) ?? [];
  return uid === undefined ? [] : [{ path, uid: Number(uid), gid: Number(gid) }];
}

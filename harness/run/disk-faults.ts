import { HarnessError, lastLines, quote } from '../core/index.js';
import { type Collection, renderSections, parseSections } from '../probe/index.js';
import type { DiskFault, Fault, Scenario } from '../scenario/index.js';
import { PASSPHRASE_FILE } from './install.js';

const SCRATCH = '/run/imperm/fault';
/** Where the top level of the btrfs is mounted. */
const TOP = `${SCRATCH}/top`;

/** What the script of a fault may use. Deletes from the leaves up, whatever is read-only. */
const FUNCTIONS = `
settle() { udevadm settle --timeout=60; }
delete_all() {
  btrfs property set -ts "${TOP}/$1" ro false
  btrfs subvolume list -o "${TOP}/$1" | cut -d' ' -f9- | while IFS= read -r child; do delete_all "$child"; done
  btrfs -q subvolume delete "${TOP}/$1"
}
plant() { mkdir -p "$(dirname "${TOP}/$1")"; btrfs -q subvolume create "${TOP}/$1"; echo planted >"${TOP}/$1/planted"; }
fill() {
  local count=0
  while fallocate -l 64M "$1/imperm-fill-$count" 2>/dev/null; do count=$((count + 1)); done
  rm -f "$1/imperm-fill-$count"
  sync
  if cat /dev/zero >"$1/imperm-fill-rest" 2>/dev/null; then echo 'it never was full'; return 1; fi
  sync
}
label() {
  case $(blkid -p -o value -s TYPE "$1") in
    # One that is mounted is named by where.
    btrfs) btrfs filesystem label "$(findmnt -n -f -o TARGET -S "$1" || echo "$1")" "$2" ;;
    ext4) e2label "$1" "$2" ;;
    vfat) fatlabel "$1" "$2" ;;
    swap) swaplabel -L "$2" "$1" ;;
    crypto_LUKS) cryptsetup config --label "$2" "$1" ;;
    *) echo "nothing on $1 that has a label"; return 1 ;;
  esac
}
`;

/**
 * What does faults to the disks of a powered-off machine, in the installer that has them.
 *
 * @param options.device The first disk, `/dev/vda`.
 * @param options.isInstalled Whether there is something on it that can be opened.
 * @param options.boundary Made up for this script.
 * @returns Its parsing throws STEP_FAILED with the first fault that could not be done.
 */
export function diskFaults(
  scenario: Scenario,
  faults: readonly (Fault & DiskFault)[],
  options: { readonly device: string; readonly isInstalled: boolean; readonly boundary: string },
): Collection<void> {
  const { device, isInstalled, boundary } = options;
  const luks = isInstalled ? scenario.system.luks : [];
  const devices = scenario.system.fileSystems.flatMap(({ fsType, device: from }) =>
    isInstalled && fsType === 'btrfs' && from.startsWith('/dev/') ? [from] : [],
  );
  const open = [
    'settle',
    ...luks.map(
      (each) =>
        `cryptsetup open --key-file ${PASSPHRASE_FILE} ${quote(each.device)} ${quote(each.name)} && settle`,
    ),
    // The name of one may be what a fault is about to make.
    ...(devices.length === 0
      ? []
      : [
          `for btrfs in ${[...new Set(devices)].map(quote).join(' ')}; do [ ! -b "$btrfs" ] || break; done`,
          `mkdir -p ${TOP} && mount -t btrfs -o subvolid=5 "$btrfs" ${TOP}`,
        ]),
  ];
  const close = [
    `umount -R ${SCRATCH}/* 2>/dev/null`,
    ...luks.map(({ name }) => `cryptsetup close ${quote(name)}`),
    'sync',
  ];
  const sections = [
    { name: 'open', command: `{ ${open.join('\n')}\n} 2>&1` },
    ...faults.map((fault, index) => ({
      name: `fault-${String(index)}`,
      command: `( set -e; exec 2>&1\n${renderFault(fault, { scenario, device })}\n)`,
    })),
    { name: 'close', command: `{ ${close.join('\n')}\n} 2>&1` },
  ];
  return {
    script: `set -o pipefail${FUNCTIONS}${renderSections(sections, boundary)}`,
    parse: (output) => {
      const results = parseSections(output, sections, boundary);
      const steps = [
        { name: 'open', title: 'open the disk', place: faults[0]?.place },
        ...faults.map(({ title, place }, index) => ({ name: `fault-${String(index)}`, title, place })),
      ];
      for (const { name, title, place } of steps) {
        const result = results.get(name);
        if (result?.exitCode === 0) continue;
        throw new HarnessError('STEP_FAILED', `Could not ${title}`, {
          details: lastLines(result?.output.toString('utf8') ?? '', 20),
          hint: 'A fault has to be possible where it stands among the steps. Its script ran in the installer, with the disks of the powered-off machine.',
          ...(place === undefined ? {} : { place }),
        });
      }
    },
  };
}

function renderFault(
  fault: DiskFault,
  { scenario, device }: { readonly scenario: Scenario; readonly device: string },
): string {
  const at = (subvolume: string): string => quote(`${TOP}/${subvolume}`);
  switch (fault.kind) {
    case 'plant-subvolumes':
      return fault.subvolumes.map((each) => `plant ${quote(each)}`).join('\n');
    case 'delete-subvolume':
      return `delete_all ${quote(fault.subvolume)}`;
    case 'subvolume-to-directory':
      return `mv ${at(fault.subvolume)} ${at(`${fault.subvolume}.was`)}
mkdir ${at(fault.subvolume)}
cp -a --reflink=auto ${at(`${fault.subvolume}.was`)}/. ${at(fault.subvolume)}
delete_all ${quote(`${fault.subvolume}.was`)}`;
    case 'directory-to-subvolume':
      return `[ "$(stat -c %i ${at(fault.subvolume)})" != 256 ]
mv ${at(fault.subvolume)} ${at(`${fault.subvolume}.was`)}
btrfs -q subvolume create ${at(fault.subvolume)}
cp -a --reflink=auto ${at(`${fault.subvolume}.was`)}/. ${at(fault.subvolume)}
rm -rf ${at(`${fault.subvolume}.was`)}`;
    case 'default-subvolume':
      return `btrfs subvolume set-default "$(btrfs inspect-internal rootid ${at(fault.subvolume)})" ${TOP}`;
    case 'snapshot':
      return `btrfs -q subvolume snapshot ${fault.readOnly ? '-r ' : ''}${at(fault.of)} ${at(fault.as)}`;
    case 'set-property':
      // Of the two, one belongs to a subvolume and one to any folder.
      return `btrfs property set -t ${fault.name === 'ro' ? 'subvol' : 'inode'} ${at(fault.subvolume)} ${quote(fault.name)} ${quote(fault.value)}`;
    case 'fill': {
      const mount = scenario.system.fileSystems.find(({ mountPoint }) => mountPoint === fault.mountPoint);
      const folder = `${SCRATCH}/fill`;
      const options = mount?.subvolume === undefined ? '' : `-o ${quote(`subvol=/${mount.subvolume}`)} `;
      return `mkdir -p ${folder}
mount -t ${mount?.fsType ?? 'auto'} ${options}${quote(mount?.device ?? '')} ${folder}
fill ${folder}
umount ${folder}`;
    }
    case 'label':
      return `label ${quote(fault.device)} ${quote(fault.label)}`;
    case 'overwrite':
      return `dd if=/dev/zero of=${quote(fault.device)} bs=1 count=${String(fault.sizeBytes)} seek=${String(fault.offset)} conv=notrunc status=none`;
    case 'run-on-disk':
      return `export DISK=${quote(device)} TOP=${TOP} LUKS_PASSPHRASE_FILE=${PASSPHRASE_FILE}
bash -s <<'IMPERM_END_OF_SCRIPT'
${fault.script.text}
IMPERM_END_OF_SCRIPT`;
  }
}

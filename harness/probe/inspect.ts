import type { Scenario } from '../scenario/index.js';
import type { Collection } from './collect.js';
import { parseSubvolumes } from './collect.js';
import type { DiskEvidence, InstallEvidence } from './evidence.js';
import { parseSections, quote, renderSections, type Section, type SectionResult } from './sections.js';

/** Where the inspector keeps header copies and mounts a file system for a look. */
const SCRATCH = '/run/imperm/inspect';

function headerDigest(device: string): string {
  return `mkdir -p ${SCRATCH}; rm -f ${SCRATCH}/header; cryptsetup luksHeaderBackup ${quote(device)} --header-backup-file ${SCRATCH}/header && sha256sum ${SCRATCH}/header | cut -d' ' -f1; rm -f ${SCRATCH}/header`;
}

/** Commands whose result is their exit code, by file system. */
const CHECKERS: Readonly<Record<string, (device: string) => string>> = {
  btrfs: (device) => `btrfs check --readonly ${device} 2>&1`,
  ext4: (device) => `e2fsck -f -n ${device} 2>&1`,
  vfat: (device) => `fsck.vfat -n ${device} 2>&1`,
};

/** The file systems of a scenario that lie on a disk, each device once. */
function devicesOf(scenario: Scenario): { device: string; fsType: string }[] {
  const seen = new Map<string, string>();
  for (const { device, fsType } of scenario.system.fileSystems) {
    if (fsType in CHECKERS && device.startsWith('/dev/')) seen.set(device, fsType);
  }
  return [...seen].map(([device, fsType]) => ({ device, fsType }));
}

/** Taken right after the install, while the new system is still mounted at /mnt. */
export function collectInstallEvidence(
  scenario: Scenario,
  options: { readonly boundary: string },
): Collection<InstallEvidence> {
  const { luks } = scenario.system;
  const sections: Section[] = [
    { name: 'root', command: 'btrfs subvolume show /mnt 2>/dev/null | head -n 1' },
    { name: 'subvolumes', command: 'btrfs subvolume list -auq /mnt 2>/dev/null; true' },
    ...luks.map(({ device }, index) => ({ name: `header-${String(index)}`, command: headerDigest(device) })),
  ];
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => {
      const results = parseSections(output, sections, options.boundary);
      return {
        subvolumes: parseSubvolumes(text(results, 'subvolumes'), text(results, 'root')),
        headers: new Map(luks.map(({ name }, index) => [name, text(results, `header-${String(index)}`)])),
      };
    },
  };
}

export interface InspectOptions {
  /** The disk, `/dev/vda`. */
  readonly device: string;
  /** Holds the passphrase of every LUKS device. */
  readonly passphraseFile: string;
  readonly boundary: string;
}

/** Reads a powered-off disk without changing it; whatever is missing is evidence, not an error. */
export function inspectDisk(scenario: Scenario, options: InspectOptions): Collection<DiskEvidence> {
  const { luks } = scenario.system;
  const devices = devicesOf(scenario);
  const btrfs = devices.find(({ fsType }) => fsType === 'btrfs');
  const look = `mkdir -p ${SCRATCH}/top && mount -o ro,subvolid=5,rescue=nologreplay ${quote(btrfs?.device ?? '')} ${SCRATCH}/top`;
  const sections: Section[] = [
    { name: 'partitions', command: `sgdisk --verify ${quote(options.device)} 2>&1` },
    ...luks.flatMap(({ device, name }, index) => [
      { name: `header-${String(index)}`, command: headerDigest(device) },
      {
        name: `dump-${String(index)}`,
        command: `cryptsetup isLuks ${quote(device)} && cryptsetup luksDump ${quote(device)} 2>&1`,
      },
      {
        name: `open-${String(index)}`,
        command: `cryptsetup open --readonly --key-file ${quote(options.passphraseFile)} ${quote(device)} ${quote(name)} 2>&1`,
      },
    ]),
    ...devices.map(({ device, fsType }, index) => ({
      name: `check-${String(index)}`,
      command: CHECKERS[fsType]?.(quote(device)) ?? 'false',
    })),
    ...(btrfs === undefined
      ? []
      : [
          { name: 'mount', command: `${look} 2>&1` },
          { name: 'subvolumes', command: `btrfs subvolume list -auq ${SCRATCH}/top` },
          { name: 'canaries', command: `find ${SCRATCH}/top -name 'imperm-canary*' -prune -printf '%P\\0'` },
          { name: 'unmount', command: `umount ${SCRATCH}/top 2>&1` },
        ]),
    ...luks.map(({ name }, index) => ({
      name: `close-${String(index)}`,
      command: `cryptsetup close ${quote(name)} 2>&1`,
    })),
  ];
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => {
      const results = parseSections(output, sections, options.boundary);
      const ok = (name: string): boolean => results.get(name)?.exitCode === 0;
      return {
        partitionTable: {
          valid: ok('partitions') && /No problems found/.test(text(results, 'partitions')),
          output: text(results, 'partitions'),
        },
        luks: luks.map(({ name }, index) => ({
          name,
          valid: ok(`dump-${String(index)}`) && ok(`open-${String(index)}`),
          headerDigest: text(results, `header-${String(index)}`),
          output: `${text(results, `dump-${String(index)}`)}\n${text(results, `open-${String(index)}`)}`,
        })),
        fileSystems: devices.map(({ device, fsType }, index) => ({
          device,
          fsType,
          clean: ok(`check-${String(index)}`),
          output: text(results, `check-${String(index)}`),
        })),
        subvolumes: parseSubvolumes(text(results, 'subvolumes')),
        canaryPaths: text(results, 'canaries')
          .split('\0')
          .filter((path) => path !== ''),
      };
    },
  };
}

function text(results: ReadonlyMap<string, SectionResult>, name: string): string {
  return (results.get(name)?.output.toString('utf8') ?? '').trim();
}

import { quote } from '../core/index.js';
import { findRoot, promisedSystem, type Scenario } from '../scenario/index.js';
import { CANARY_NAME } from './canary.js';
import { BLOCKS, blocksSection, readBlocks } from './blocks.js';
import { BLANK, blankSection, readBlank } from './blank.js';
import type { Collection } from './collect.js';
import type { DiskTree } from './disk-trees.js';
import type { DiskEvidence, InstallEvidence } from './evidence.js';
import { imageDiskSections, parseImageDisk } from './collect-image.js';
import { listAfter, parseListing } from './listing.js';
import { parseSections, renderSections, type Section, type SectionResult } from './sections.js';
import { parseSubvolumes } from './subvolumes.js';
import { listTree, parseTree, type Tree } from './tree.js';

/** Where the inspector keeps header copies and mounts file systems for a look. */
const SCRATCH = '/run/imperm/inspect';

interface FileSystemKind {
  /** Finds faults without mending them; exit code 0 means none. */
  readonly check: string;
  /** Options of a mount that changes nothing, not even by replaying a log. Absent: there is nothing to look for. */
  readonly look?: string;
}

const KINDS: Readonly<Record<string, FileSystemKind>> = {
  btrfs: { check: 'btrfs check --readonly', look: 'ro,subvolid=5,rescue=nologreplay' },
  ext4: { check: 'e2fsck -f -n', look: 'ro,noload' },
  vfat: { check: 'fsck.vfat -n' },
};

/** What sgdisk says although it calls the table free of problems: it looked at one that it made up or mended itself. */
const MENDED_TABLE = /Creating new GPT entries|corrupt GPT|regenerating|CRC|^Warning! /m;

/** Wherever a layout keeps journals: the newest that lies on its file systems. */
const LAST_JOURNAL = `newest=$(find ${SCRATCH} -path '*/journal/*/system.journal' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
[ -n "$newest" ] && journalctl --quiet --directory="\${newest%/*}" --boot --lines=5000 --output=short-monotonic --no-hostname`;

interface Volume {
  readonly device: string;
  readonly fsType: string;
  readonly kind: FileSystemKind;
  /** Names of its sections end so. */
  readonly index: string;
  readonly mountPoint: string;
}

/** The file systems of a scenario that lie on a disk, each device once. */
function volumesOf(scenario: Scenario): Volume[] {
  const types = new Map(
    promisedSystem(scenario)
      .fileSystems.filter(({ device, fsType }) => device.startsWith('/dev/') && fsType in KINDS)
      .map(({ device, fsType }) => [device, fsType] as const),
  );
  return [...types].flatMap(([device, fsType], number) => {
    const kind = KINDS[fsType];
    const index = String(number);
    return kind === undefined ? [] : [{ device, fsType, kind, index, mountPoint: `${SCRATCH}/${index}` }];
  });
}

function headerSections(scenario: Scenario): Section[] {
  const copy = `${SCRATCH}/header`;
  return promisedSystem(scenario).luks.map(({ device }, index) => ({
    name: `header-${String(index)}`,
    command: `mkdir -p ${SCRATCH}; rm -f ${copy}; cryptsetup luksHeaderBackup ${quote(device)} --header-backup-file ${copy} && sha256sum <${copy}; rm -f ${copy}`,
  }));
}

function headerDigest(results: Results, index: number): string {
  return results.text(`header-${String(index)}`).slice(0, 64);
}

/** Digests of all LUKS headers, by the name of the device, in any machine that has the disk. */
export function collectHeaders(
  scenario: Scenario,
  options: { readonly boundary: string },
): Collection<InstallEvidence['headers']> {
  const sections = headerSections(scenario);
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => readHeaders(scenario, new Results(parseSections(output, sections, options.boundary))),
  };
}

function readHeaders(scenario: Scenario, results: Results): InstallEvidence['headers'] {
  return new Map(
    promisedSystem(scenario).luks.map(({ name }, index) => [name, headerDigest(results, index)]),
  );
}

/**
 * Taken right after the install, while the new system is still mounted below /mnt.
 *
 * @param options.boundary Made up for this script.
 */
export function collectInstallEvidence(
  scenario: Scenario,
  options: { readonly boundary: string },
): Collection<InstallEvidence> {
  const btrfs = promisedSystem(scenario).fileSystems.find(({ fsType }) => fsType === 'btrfs');
  const mounted = quote(`/mnt${btrfs?.mountPoint ?? ''}`);
  const sections: Section[] = [
    { name: 'subvolumes', command: `btrfs subvolume list -auq ${mounted} 2>/dev/null` },
    ...headerSections(scenario),
  ];
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => {
      const results = new Results(parseSections(output, sections, options.boundary));
      return {
        subvolumes: parseSubvolumes(results.text('subvolumes')),
        headers: readHeaders(scenario, results),
      };
    },
  };
}

/** The image on its disk, before anything has booted from it. @param boundary Made up for this script. */
export function collectImageEvidence(scenario: Scenario, boundary: string): Collection<InstallEvidence> {
  const sections: Section[] = [{ name: 'settle', command: 'udevadm settle' }, ...imageDiskSections(scenario)];
  return {
    script: renderSections(sections, boundary),
    parse: (output) => {
      const image = parseImageDisk(scenario, parseSections(output, sections, boundary));
      return {
        subvolumes: image?.subvolumes ?? [],
        headers: new Map(),
        ...(image === undefined ? {} : { image }),
      };
    },
  };
}

export interface InspectOptions {
  /** The disk, `/dev/vda`. */
  readonly device: string;
  /** Holds the passphrase of every LUKS device. */
  readonly passphraseFile: string;
  /** Folders whose whole content is wanted. */
  readonly trees?: readonly DiskTree[];
  /** The last boot's journal, as far as it was kept, is wanted. Default false. */
  readonly journal?: boolean;
  /** Made up for this script. */
  readonly boundary: string;
}

/**
 * Reads a powered-off disk without changing it. Whatever is missing is evidence, not an error, and however the script
 * ends, nothing of the disk stays open.
 */
export function inspectDisk(scenario: Scenario, options: InspectOptions): Collection<DiskEvidence> {
  const volumes = volumesOf(scenario);
  const trees = (options.trees ?? []).map((tree, number) => ({
    tree,
    section: `tree-${String(number)}`,
    volume: volumes.find(({ device, kind }) => device === tree.device && kind.look !== undefined),
  }));
  const { fileSystems, rollback } = promisedSystem(scenario);
  const rootVolume = volumes.find(({ device }) => device === findRoot(fileSystems)?.device);
  const blank = rollback?.blankSnapshot;
  const sections: Section[] = [
    { name: 'partitions', command: `udevadm settle; sgdisk --verify ${quote(options.device)} 2>&1` },
    ...headerSections(scenario),
    ...unlockSections(scenario, options.passphraseFile),
    blocksSection(options.device),
    // All before the first mount: two names may lead to one file system, and what is mounted cannot be checked.
    ...volumes.map(checkSection),
    ...volumes.flatMap(lookSections),
    ...(rootVolume === undefined || blank === undefined ? [] : [blankSection(rootVolume.mountPoint, blank)]),
    ...trees.flatMap(({ tree, section, volume }) =>
      volume === undefined ? [] : [{ name: section, command: treeCommand(tree, volume) }],
    ),
    ...imageDiskSections(scenario),
    ...(options.journal === true ? [{ name: 'journal', command: LAST_JOURNAL }] : []),
    { name: 'close', command: 'close_all' },
  ];
  return {
    script: `${renderCloseAll(scenario, volumes)}${renderSections(sections, options.boundary)}`,
    parse: (output) => {
      const parsed = parseSections(output, sections, options.boundary);
      const results = new Results(parsed);
      const image = parseImageDisk(scenario, parsed);
      const table = results.text('partitions');
      return {
        partitionTable: {
          valid: /^No problems found/m.test(table) && !MENDED_TABLE.test(table),
          output: table,
        },
        luks: promisedSystem(scenario).luks.map(({ name }, index) => ({
          name,
          valid: results.ok(`dump-${String(index)}`) && results.ok(`open-${String(index)}`),
          headerDigest: headerDigest(results, index),
          output: results.text(`dump-${String(index)}`, `open-${String(index)}`),
        })),
        fileSystems: volumes.map(({ device, fsType, index }) => ({
          device,
          fsType,
          clean: results.ok(`check-${index}`),
          output: results.text(`check-${index}`, `mount-${index}`),
        })),
        blocks: readBlocks(results.text(BLOCKS)),
        volumes: volumes
          .filter(({ index }) => results.ok(`mount-${index}`))
          .map(({ device, index }) => ({
            device,
            subvolumes: parseSubvolumes(results.text(`subvolumes-${index}`)),
            canaries: parseListing({
              find: results.bytes(`canaries-${index}`),
              digests: results.bytes(`digests-${index}`),
              attributes: results.bytes(`attributes-${index}`),
            }),
            ...(device === rootVolume?.device && results.ok(BLANK)
              ? { blank: readBlank(results.paths(BLANK)) }
              : {}),
          })),
        trees: new Map(
          trees.map(({ tree, section, volume }) => [tree.name, readTree(results, section, { tree, volume })]),
        ),
        ...(rootVolume !== undefined && results.ok(`mount-${rootVolume.index}`)
          ? { canaryPaths: results.paths(`found-${rootVolume.index}`) }
          : {}),
        ...(image === undefined ? {} : { image }),
        ...(options.journal === true && results.ok('journal') ? { journal: results.text('journal') } : {}),
      };
    },
  };
}

/** A function for the last section, which is also called when the script is ended before it. */
function renderCloseAll(scenario: Scenario, volumes: readonly Volume[]): string {
  const names = promisedSystem(scenario).luks.map(({ name }) => name);
  return [
    'close_all() {',
    ...volumes.map(({ mountPoint }) => `mountpoint -q ${mountPoint} && umount ${mountPoint}`),
    ...names.map((name) => `[ -e ${quote(`/dev/mapper/${name}`)} ] && cryptsetup close ${quote(name)}`),
    'true; } 2>&1',
    'trap close_all EXIT',
    '',
  ].join('\n');
}

function unlockSections(scenario: Scenario, passphraseFile: string): Section[] {
  return promisedSystem(scenario).luks.flatMap(({ device, name }, index) => [
    {
      name: `dump-${String(index)}`,
      command: `{ cryptsetup isLuks -v ${quote(device)} && cryptsetup luksDump ${quote(device)}; } 2>&1`,
    },
    {
      name: `open-${String(index)}`,
      command: `cryptsetup open --readonly --key-file ${quote(passphraseFile)} ${quote(device)} ${quote(name)} 2>&1 && udevadm settle`,
    },
  ]);
}

/** A checker of a file system full of faults prints megabytes. Its exit code stays. */
function firstLines(command: string): string {
  return `${command} 2>&1 | { head -n 100; cat >/dev/null; }; [ \${PIPESTATUS[0]} -eq 0 ]`;
}

function checkSection({ device, kind, index }: Volume): Section {
  return { name: `check-${index}`, command: firstLines(`${kind.check} ${quote(device)}`) };
}

function lookSections({ device, fsType, kind, index, mountPoint }: Volume): Section[] {
  if (kind.look === undefined) return [];
  const list = listAfter(`cd ${mountPoint}`);
  return [
    {
      name: `mount-${index}`,
      command: `mkdir -p ${mountPoint} && mount -t ${fsType} -o ${kind.look} ${quote(device)} ${mountPoint} 2>&1`,
    },
    {
      name: `subvolumes-${index}`,
      command: fsType === 'btrfs' ? `btrfs subvolume list -auq ${mountPoint}` : 'true',
    },
    {
      // Looked for once: the way through everything on the disk is long.
      name: `found-${index}`,
      command: `mapfile -d '' present < <(find ${mountPoint} -name '${CANARY_NAME}*' -prune -printf '%P\\0'); [ \${#present[@]} -eq 0 ] || printf '%s\\0' "\${present[@]}"`,
    },
    // In shells of their own: one that stands in the file system would keep it from being unmounted.
    { name: `canaries-${index}`, command: `( ${list.find} )` },
    { name: `digests-${index}`, command: `( ${list.digests} )` },
    { name: `attributes-${index}`, command: `( ${list.attributes} )` },
  ];
}

/** In a shell of its own, as above. */
function treeCommand({ folder, without, digests }: DiskTree, { mountPoint }: Volume): string {
  return `( cd ${quote(`${mountPoint}/${folder}`)} 2>&1 && ${listTree({ without, digests, scratch: SCRATCH })} )`;
}

function readTree(
  results: Results,
  section: string,
  { tree, volume }: { readonly tree: DiskTree; readonly volume: Volume | undefined },
): Tree {
  if (volume === undefined) return { problem: `the inspector cannot read ${tree.device}` };
  // Without its file system a folder looks empty.
  if (!results.ok(`mount-${volume.index}`)) return { problem: `${tree.device} could not be mounted` };
  return parseTree({ exitCode: results.ok(section) ? 0 : 1, output: results.bytes(section) });
}

/** What the sections printed, by name. */
class Results {
  readonly #sections: ReadonlyMap<string, SectionResult>;

  constructor(sections: ReadonlyMap<string, SectionResult>) {
    this.#sections = sections;
  }

  ok(name: string): boolean {
    return this.#sections.get(name)?.exitCode === 0;
  }

  bytes(name: string): Buffer {
    return this.#sections.get(name)?.output ?? Buffer.alloc(0);
  }

  text(...names: readonly string[]): string {
    return names
      .map((name) => this.bytes(name).toString('utf8').trim())
      .filter((part) => part !== '')
      .join('\n');
  }

  paths(name: string): string[] {
    return this.bytes(name)
      .toString('utf8')
      .split('\0')
      .filter((path) => path !== '');
  }
}

import { HarnessError, quote } from '../core/index.js';
import { type KeptPromise, promisedSystem, type Scenario } from '../scenario/index.js';
import { accountsCommand, parseAccounts } from './accounts.js';
import type { BootEvidence, Mount, PlantedEvidence } from './evidence.js';
import { imageBootSections, parseImageBoot } from './collect-image.js';
import { parseJournalLine } from './journal-line.js';
import { parseSecureBoot, SECURE_BOOT_COMMAND } from './secure-boot.js';
import { STAGE1_SCRIPT } from './stage-one-log.js';
import { listingCommands, parseListing } from './listing.js';
import { parseSections, renderSections, type Section, type SectionResult } from './sections.js';
import { parseSubvolumes } from './subvolumes.js';

/** MESSAGE_ID of "Startup finished". */
export const STARTUP_FINISHED = 'b07a249cd024414a82dd00cd181378ff';

/**
 * A function that is journalctl of this boot. By itself journalctl looks only at the journals of the machine id that /etc has
 * now, and a layout may change that one after journald has begun. journald may rename a file between the list and its opening.
 */
const BOOT_JOURNAL = `boot_journal() (
  shopt -s nullglob
  for attempt in 1 2 3 4 5; do
    files=(/{run,var}/log/journal/*/*.journal*)
    journalctl "\${files[@]/#/--file=}" --boot="$(tr -d - </proc/sys/kernel/random/boot_id)" --quiet --no-pager "$@" && exit
  done
  exit 1
)
`;

/** A script for the machine, and how to read what it prints. */
export interface Collection<T> {
  readonly script: string;
  parse(output: Buffer): T;
}

/** Paths whose facts are compared: persisted things on both sides, and the EFI system partition. */
function watchedPaths(scenario: Scenario): string[] {
  return scenario.promises.flatMap((promise) => {
    if (promise.kind === 'kept')
      return [promise.path, ...(promise.source === undefined ? [] : [promise.source])];
    if (promise.kind === 'linked') return [promise.path, promise.source];
    if (promise.kind === 'made') return [promise.path];
    return promise.kind === 'esp-private' ? [promise.mountPoint] : [];
  });
}

/** Units whose journal is evidence; none for scripted stage 1, which has no units. */
export function watchedUnits(scenario: Scenario): string[] {
  if (scenario.system.stage1 === 'scripted') return [];
  return [
    ...new Set(
      scenario.promises.flatMap((promise) =>
        promise.kind === 'rollback-order' && promise.stage1 === 'systemd'
          ? promise.units
          : promise.kind === 'rollback-log'
            ? [promise.by]
            : [],
      ),
    ),
  ];
}

/**
 * Everything that one boot shows, in one script.
 *
 * @param canaryFolders Folders planted in earlier boots.
 * @param boundary Made up for this script.
 */
export function collectBootEvidence(
  scenario: Scenario,
  boot: number,
  options: { readonly canaryFolders: readonly string[]; readonly boundary: string },
): Collection<BootEvidence> {
  const units = watchedUnits(scenario);
  const scripted = scenario.system.stage1 === 'scripted' ? [`SYSLOG_IDENTIFIER=${STAGE1_SCRIPT}`] : [];
  const matches = [...units.flatMap((unit) => [`_SYSTEMD_UNIT=${unit}`, `UNIT=${unit}`]), ...scripted]
    .map((match) => `${quote(match)} +`)
    .join(' ');
  // What systemd says before journald listens is in the kernel's log.
  const early = units.length === 0 ? '' : '_TRANSPORT=kernel SYSLOG_IDENTIFIER=systemd + ';
  const watched = watchedPaths(scenario);
  const watchedFind =
    watched.length === 0
      ? 'true'
      : `for path in ${watched.map(quote).join(' ')}; do [ -e "$path" ] || [ -L "$path" ] && printf '%s\\0' "$path"; done | xargs -0 -r sh -c 'find "$@" -maxdepth 0 -printf "%p\\0%y\\0%m\\0%U\\0%G\\0%s\\0%T@\\0%l\\0%n\\0%D:%i\\0"' sh; true`;
  const files = scenario.promises.filter(
    (promise): promise is KeptPromise => promise.kind === 'kept' && promise.of === 'file',
  );
  const digestPaths = files.flatMap(({ path, source }) => [path, ...(source === undefined ? [] : [source])]);
  const canaries = listingCommands(options.canaryFolders);
  const keys = promisedSystem(scenario).openssh.hostKeys.flatMap(({ path }) => [path, `${path}.pub`]);
  const sections: Section[] = [
    { name: 'boot-id', command: 'cat /proc/sys/kernel/random/boot_id' },
    { name: 'nonce', command: 'cat /run/credentials/@system/imperm.nonce' },
    // What it says of itself; nothing where the layout has lost the file.
    { name: 'os', command: '(. /etc/os-release && echo "$ID") 2>/dev/null; true' },
    { name: 'clock', command: `read -r uptime rest </proc/uptime; echo "$uptime $EPOCHSECONDS"` },
    { name: 'memory', command: "sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo" },
    { name: 'state', command: 'systemctl is-system-running' },
    { name: 'mounts', command: 'cat /proc/self/mountinfo' },
    {
      name: 'devices',
      command:
        'for name in /dev/mapper/* /dev/disk/by-*/*; do [ -L "$name" ] && printf "%s\\0" "$name"; done | xargs -0 -r sh -c \'for name; do printf "%s\\n" "$name"; done; readlink -f -- "$@"\' sh; true',
    },
    { name: 'swaps', command: 'cat /proc/swaps' },
    {
      // Whether a key is another one can be told without the key.
      name: 'mapper-tables',
      command:
        'for name in /dev/mapper/*; do name=${name##*/}; [ "$name" = control ] || echo "$(/usr/sbin/dmsetup table --showkeys "$name" 2>/dev/null | sha256sum | cut -c1-64) $name"; done; true',
    },
    { name: 'secure-boot', command: SECURE_BOOT_COMMAND },
    { name: 'machine-id', command: 'cat /etc/machine-id' },
    { name: 'journal-boots', command: 'journalctl --list-boots --quiet --no-pager -o json' },
    { name: 'failed', command: 'systemctl list-units --all --state=failed --plain --no-legend --no-pager' },
    {
      name: 'journal',
      command: `boot_journal -o json --output-fields=MESSAGE,MESSAGE_ID,UNIT,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,_TRANSPORT,_SOURCE_MONOTONIC_TIMESTAMP ${matches} ${early}MESSAGE_ID=${STARTUP_FINISHED}`,
    },
    {
      name: 'mount-messages',
      // A check before the mount mends what the kernel then no longer sees; scripted stage 1 makes it by itself.
      command:
        "boot_journal --dmesg -o cat | grep -E '^(EXT4-fs|BTRFS|FAT-fs|JBD2)|: recovering journal'; boot_journal -o cat --identifier=systemd-fsck; true",
    },
    { name: 'root', command: 'stat -f -c %T /; btrfs subvolume show / 2>/dev/null; true' },
    { name: 'subvolumes', command: 'btrfs subvolume list -auq / 2>/dev/null; true' },
    { name: 'paths', command: watchedFind },
    { name: 'accounts', command: accountsCommand(scenario) },
    {
      name: 'path-digests',
      command: `for path in ${digestPaths.map(quote).join(' ')}; do [ -f "$path" ] && printf '%s\\0' "$path"; done | xargs -0 -r sha256sum -z; true`,
    },
    {
      name: 'host-keys',
      command: keys.length === 0 ? 'true' : `sha256sum -z -- ${keys.map(quote).join(' ')} 2>/dev/null; true`,
    },
    {
      name: 'links',
      command:
        'readlink /nix/var/nix/profiles/system || echo; readlink -f /nix/var/nix/profiles/system || echo; readlink /run/current-system || echo; readlink /run/booted-system || echo',
    },
    ...imageBootSections(scenario, boot),
    { name: 'canaries', command: canaries.find },
    { name: 'canary-digests', command: canaries.digests },
    { name: 'canary-attributes', command: canaries.attributes },
  ];
  return {
    script: `${BOOT_JOURNAL}${renderSections(sections, options.boundary)}`,
    parse: (output) => {
      const results = parseSections(output, sections, options.boundary);
      const image = parseImageBoot(scenario, results);
      return { ...parseBootEvidence(boot, { results, units }), ...(image === undefined ? {} : { image }) };
    },
  };
}

/** The subvolumes and the canaries as planted, right after planting. */
export function collectPlanted(
  boot: number,
  options: { readonly folders: readonly string[]; readonly plantScript: string; readonly boundary: string },
): Collection<PlantedEvidence> {
  const canaries = listingCommands(options.folders);
  const sections: Section[] = [
    { name: 'plant', command: `bash -c ${quote(options.plantScript)} 2>&1` },
    { name: 'subvolumes', command: 'btrfs subvolume list -auq / 2>/dev/null; true' },
    { name: 'canaries', command: canaries.find },
    { name: 'canary-digests', command: canaries.digests },
    { name: 'canary-attributes', command: canaries.attributes },
  ];
  return {
    script: renderSections(sections, options.boundary),
    parse: (output) => {
      const results = parseSections(output, sections, options.boundary);
      const plant = results.get('plant');
      if (plant?.exitCode !== 0) {
        throw new HarnessError(
          'EVIDENCE_MISSING',
          `The canaries of boot ${String(boot)} could not be planted`,
          {
            details: plant?.output.toString('utf8') ?? '',
          },
        );
      }
      return {
        boot,
        canaries: readCanaries(results),
        subvolumes: parseSubvolumes(text(results, 'subvolumes')),
      };
    },
  };
}

function text(results: ReadonlyMap<string, SectionResult>, name: string): string {
  return (results.get(name)?.output.toString('utf8') ?? '').trim();
}

function bytes(results: ReadonlyMap<string, SectionResult>, name: string): Buffer {
  return results.get(name)?.output ?? Buffer.alloc(0);
}

function lines(results: ReadonlyMap<string, SectionResult>, name: string): string[] {
  return text(results, name)
    .split('\n')
    .filter((line) => line !== '');
}

function readCanaries(results: ReadonlyMap<string, SectionResult>): PlantedEvidence['canaries'] {
  return parseListing({
    find: bytes(results, 'canaries'),
    digests: bytes(results, 'canary-digests'),
    attributes: bytes(results, 'canary-attributes'),
  });
}

function parseBootEvidence(
  boot: number,
  {
    results,
    units,
  }: { readonly results: ReadonlyMap<string, SectionResult>; readonly units: readonly string[] },
): BootEvidence {
  const [uptime = '', clock = ''] = text(results, 'clock').split(' ');
  const memoryKiB = Number(text(results, 'memory'));
  if (results.get('journal')?.exitCode !== 0)
    throw new HarnessError('EVIDENCE_MISSING', `The journal of boot ${String(boot)} could not be read`, {
      details: text(results, 'journal').slice(-500),
    });
  const journal = lines(results, 'journal')
    .map(parseJournalLine)
    // The kernel's log also has what systemd said early of units that nobody asks for.
    .filter(({ about, writer, messageId }) =>
      about === undefined ? writer !== undefined || messageId !== undefined : units.includes(about),
    );
  const startup = journal.find(({ messageId }) => messageId === STARTUP_FINISHED);
  const devices = lines(results, 'devices');
  const rootSubvolume = parseRootSubvolume(text(results, 'root'));
  // Lines that may be empty.
  const [generation = '', profile = '', current = '', booted = ''] = bytes(results, 'links')
    .toString('utf8')
    .split('\n');
  return {
    boot,
    bootId: text(results, 'boot-id'),
    nonce: text(results, 'nonce'),
    os: text(results, 'os'),
    uptimeS: Number(uptime),
    ...(memoryKiB > 0 ? { memoryKiB } : {}),
    clockS: Number(clock),
    state: text(results, 'state'),
    mounts: lines(results, 'mounts').map(parseMount),
    devices: new Map(
      devices
        .slice(0, devices.length / 2)
        .map((name, index) => [name, devices[devices.length / 2 + index] ?? '']),
    ),
    swaps: lines(results, 'swaps')
      .slice(1)
      .map((line) => line.split(/\s+/)[0] ?? ''),
    mapperTables: new Map(lines(results, 'mapper-tables').map((line) => [line.slice(65), line.slice(0, 64)])),
    secureBoot: parseSecureBoot(text(results, 'secure-boot')),
    machineId: text(results, 'machine-id'),
    journalBoots: (JSON.parse(text(results, 'journal-boots') || '[]') as unknown[]).length,
    failedUnits: lines(results, 'failed'),
    journal,
    ...(rootSubvolume === undefined ? {} : { rootSubvolume }),
    mountMessages: lines(results, 'mount-messages'),
    subvolumes: parseSubvolumes(text(results, 'subvolumes')),
    paths: parseListing({
      find: bytes(results, 'paths'),
      digests: bytes(results, 'path-digests'),
      attributes: Buffer.alloc(0),
    }),
    accounts: parseAccounts(lines(results, 'accounts')),
    hostKeys: new Map(
      bytes(results, 'host-keys')
        .toString('utf8')
        .split('\0')
        .filter((line) => line.length > 66)
        .map((line) => [line.slice(66), line.slice(0, 64)]),
    ),
    canaries: readCanaries(results),
    links: { generation, profile, current, booted },
    ...(startup === undefined ? {} : { startupFinishedUs: startup.monotonicUs }),
  };
}

function unescapeMountField(field: string): string {
  return field.replaceAll(/\\(\d{3})/g, (_match, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** @param line Of /proc/self/mountinfo: id parent major:minor root mountpoint options … - type source super-options */
export function parseMount(line: string): Mount {
  const [left = '', right = ''] = line.split(' - ');
  const [, , , root = '', mountPoint = '', options = ''] = left.split(' ');
  const [fsType = '', source = '', superOptions = ''] = right.split(' ');
  return {
    root: unescapeMountField(root),
    mountPoint: unescapeMountField(mountPoint),
    fsType,
    source: unescapeMountField(source),
    options: [...options.split(','), ...superOptions.split(',')],
  };
}

function parseRootSubvolume(output: string): BootEvidence['rootSubvolume'] {
  const field = (name: string): string | undefined =>
    new RegExp(`^\\s*${name}:\\s+(.+)$`, 'm').exec(output)?.[1]?.trim();
  const uuid = field('UUID');
  if (uuid === undefined) return undefined;
  const path = output.split('\n')[1]?.trim() ?? ''; // the first line is the type of the file system
  const created = field('Creation time') ?? '';
  return {
    uuid,
    parentUuid: field('Parent UUID') ?? '-',
    // "2026-11-21 04:05:06 +0000"
    createdS: Date.parse(created.replace(/ ([+-]\d\d)(\d\d)$/, '$1:$2').replace(' ', 'T')) / 1000,
    path,
  };
}

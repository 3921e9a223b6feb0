import { findRoot, type Scenario } from '../scenario/index.js';
import type { DiskEvidence, JournalLine } from './evidence.js';
import { unitLines } from './check-rollback-unit.js';
import { formatJournalLine } from './stage-one-log.js';

/** Why a boot did not come up. */
export interface StuckCause {
  readonly cause: string;
  /** The lines that tell it. */
  readonly evidence: readonly string[];
}

/** What the firmware says of a file whose signature it does not accept. */
const UNSIGNED = /: (?:Access [Dd]enied|Security [Vv]iolation)/;
/** What btrfs says of every subvolume that it deletes. */
const DELETED = /Delete subvolume [^']*'([^']+)'/;
const NO_SUBVOLUME = /Not a Btrfs subvolume|not a valid root subvolume|Not a subvolume/i;
const TOO_OFTEN = /Too many attempts to activate/;
/** What btrfs says of a subvolume that holds others. */
const NOT_EMPTY = /Directory not empty/;
/** systemd names the unit first, if it has another name than the device. */
const TIMED_OUT = /Timed out waiting for device (?:\S+ - )?(\S+?)\.?$/;

/**
 * Why a boot did not come up, from what stage 1 said and what is on the disk now.
 *
 * @returns undefined when neither tells.
 */
export function explainStuckBoot(
  scenario: Scenario,
  evidence: {
    /** What the harness says of the boot, with the console's line that ended it. */
    readonly message: string;
    readonly journal: readonly JournalLine[];
    readonly disk: Pick<DiskEvidence, 'volumes'>;
  },
): StuckCause | undefined {
  return (
    explainUnsigned(scenario, evidence.message) ??
    explainDeleted(scenario, evidence.journal) ??
    explainNoRoot(scenario, evidence) ??
    explainTimeOut(scenario, evidence.journal) ??
    explainRefused(evidence.journal)
  );
}

/** A boot loader under Secure Boot could not load its entry. */
function explainUnsigned({ system }: Scenario, message: string): StuckCause | undefined {
  if (system.secureBoot === undefined || !UNSIGNED.test(message)) return undefined;
  return {
    cause:
      'The firmware refuses it: it is not signed with a key that the firmware was given. Something that does not sign wrote it to the EFI system partition, as boot.loader.systemd-boot does where boot.lanzaboote should.',
    evidence: [],
  };
}

/** The rollback went beyond the root. */
function explainDeleted({ system }: Scenario, journal: readonly JournalLine[]): StuckCause | undefined {
  const root = rootSubvolume(system);
  const others = system.fileSystems.flatMap(({ mountPoint, subvolume = '' }) =>
    mountPoint === '/' || subvolume === '' ? [] : [{ mountPoint, subvolume }],
  );
  const found = journal.flatMap((line) => {
    const path = DELETED.exec(line.message)?.[1];
    // Of the same name, and in the root: no business of anybody's.
    if (path === undefined || (root !== undefined && path.includes(`/${root}/`))) return [];
    const other = others.find(({ subvolume }) => path.endsWith(`/${subvolume}`));
    return other === undefined ? [] : [{ ...other, line }];
  });
  if (found.length === 0) return undefined;
  const names = found.map(({ mountPoint }) => mountPoint).join(', ');
  const why = journal.some(({ message }) => NO_SUBVOLUME.test(message))
    ? ` ${root === undefined ? 'The root' : `/${root}`} is a plain directory and no subvolume, and "btrfs subvolume list -o" of a directory names the subvolumes of the whole file system (impermanence#250). Look first: the inode number of a subvolume is 256 (stat -c %i).`
    : '';
  return {
    cause: `The rollback deleted the subvolumes of ${names}, which were to be kept.${why}`,
    evidence: journal
      .filter(({ message }) => DELETED.test(message) || NO_SUBVOLUME.test(message))
      .map(formatJournalLine),
  };
}

/** Nothing is in the place of the root. */
function explainNoRoot(
  { system }: Scenario,
  {
    journal,
    disk,
  }: { readonly journal: readonly JournalLine[]; readonly disk: Pick<DiskEvidence, 'volumes'> },
): StuckCause | undefined {
  const root = rootSubvolume(system);
  const device = findRoot(system.fileSystems)?.device;
  const volume = disk.volumes.find((each) => each.device === device);
  if (root === undefined || volume === undefined) return undefined;
  if (volume.subvolumes.some(({ path }) => path === root)) return undefined;
  const deleted = journal.filter(({ message }) => DELETED.exec(message)?.[1]?.endsWith(`/${root}`) === true);
  const { blankSnapshot } = system.rollback ?? {};
  const lacksBlank =
    blankSnapshot !== undefined && !volume.subvolumes.some(({ path }) => path === blankSnapshot);
  const why =
    deleted.length === 0
      ? 'The rollback found none and made none: under "set -e" the deletion of what is not there ends the script, at this boot and at every later one. Delete only what is there.'
      : lacksBlank
        ? `The rollback deleted it, and there is no ${blankSnapshot} to take its place. Look for the snapshot before anything is deleted.`
        : 'The rollback deleted it and did not come to make another.';
  return {
    cause: `There is no subvolume ${root} on ${volume.device}. ${why}`,
    evidence: deleted.map(formatJournalLine),
  };
}

/** A device did not come in time. */
function explainTimeOut({ system }: Scenario, journal: readonly JournalLine[]): StuckCause | undefined {
  const line = journal.find(({ message }) => TIMED_OUT.test(message));
  if (line === undefined) return undefined;
  const device = TIMED_OUT.exec(line.message)?.[1] ?? '';
  const mounted = system.fileSystems.filter((each) => each.device === device);
  const isLate = mounted.every(({ neededForBoot }) => !neededForBoot);
  if (mounted[0] !== undefined && isLate) {
    return {
      cause: `The system gave up waiting for ${device}, from which ${mounted[0].mountPoint} is mounted. A mount that fails stops the boot: where the system can do without it, add the option nofail.`,
      evidence: [formatJournalLine(line)],
    };
  }
  const isTyped = system.luks.some(({ unlock }) => unlock === 'passphrase');
  const isInside = isTyped && !device.startsWith('/dev/mapper/');
  return {
    cause: `Stage 1 gave up waiting for ${device}.${
      isInside
        ? ' If it lies in LUKS, the time runs while the passphrase is waited for, 90 seconds by default: name it by its mapping (/dev/mapper/…), for which systemd waits without end, or add the option x-systemd.device-timeout=infinity (nixpkgs#250003).'
        : ''
    }`,
    evidence: [formatJournalLine(line)],
  };
}

/** The one who types was wrong too often for systemd, whatever the rollback would have done. */
function explainRefused(journal: readonly JournalLine[]): StuckCause | undefined {
  const line = journal.find(({ message }) => TOO_OFTEN.test(message));
  if (line === undefined) return undefined;
  return {
    cause:
      'The passphrase was wrong too often, and systemd gave up. Of the three tries that it gives by default, releases before mid-2026 count the first mistake twice (systemd#38495, nixpkgs#534360): the option tries=0 of crypttab lets people try for ever.',
    evidence: [formatJournalLine(line)],
  };
}

/**
 * Why a boot ended at a rollback that failed: in its own words. Where the order of stage 1 was wrong, that is the better answer.
 *
 * @returns undefined when the rollback has not failed.
 */
export function explainFailedRollback(
  scenario: Scenario,
  {
    journal,
    disk,
  }: { readonly journal: readonly JournalLine[]; readonly disk: Pick<DiskEvidence, 'volumes'> },
): StuckCause | undefined {
  const unit = scenario.system.rollback?.unit;
  const lines = unitLines({ scenario, evidence: { journal } });
  if (unit === undefined || !lines.some(({ message }) => message.startsWith(`Failed to start ${unit}`)))
    return undefined;
  const said = lines.filter(({ writer }) => writer === unit);
  const words = (said.findLast(({ message }) => /error|cannot|could not|not /i.test(message)) ?? said.at(-1))
    ?.message;
  const root = rootSubvolume(scenario.system);
  const device = findRoot(scenario.system.fileSystems)?.device;
  const inside = (disk.volumes.find((each) => each.device === device)?.subvolumes ?? []).flatMap(
    ({ path }) => (root !== undefined && path.startsWith(`${root}/`) ? [path.slice(root.length)] : []),
  );
  const why = said.some(({ message }) => NOT_EMPTY.test(message))
    ? `The root holds subvolumes${inside.length === 0 ? '' : ` (${inside.slice(0, 4).join(', ')}${inside.length > 4 ? ', …' : ''})`}, and btrfs deletes none that holds another: delete them first, from the leaves up. systemd makes some of them by itself.`
    : words === undefined
      ? 'It said nothing.'
      : `It said: "${words}"`;
  return {
    cause: `${unit} failed, and the boot does not go on without it. ${why}`,
    evidence: lines.slice(-8).map(formatJournalLine),
  };
}

function rootSubvolume({ fileSystems }: Scenario['system']): string | undefined {
  return findRoot(fileSystems)?.subvolume;
}

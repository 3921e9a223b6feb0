import type { Place } from '../core/index.js';
import type { Axes, AxisValues, DiskBus, LuksKind, SectorSize, StageOneHook, StageOneKind } from './axes.js';
import type { Fault } from './fault.js';
import type { Script } from './script.js';
import type { Services } from './services-schema.js';
import type { ConsoleAllowance, ScenarioPromise } from './promise.js';

/** The operating system under test. */
export type GuestKind = 'debian' | 'nixos';

/** What is done with the machine after the install: `boot` is the first power-on, `power-off` the end. */
export type Step =
  /** `hibernate`: the machine is put to sleep on its disk and woken up, all within one boot. */
  | { readonly kind: 'boot' | 'reboot' | 'power-cut' | 'hibernate' | 'power-off' }
  /** Runs as root in the booted system. */
  | { readonly kind: 'run'; readonly script: Script }
  /** Where it stands is between what was done to the empty disk and what is done to the installed one. */
  | { readonly kind: 'install' }
  /**
   * The power is cut as soon as the console or the journal has the text: in a boot, which is not counted, and nothing is
   * looked at; or while the running system shuts down.
   */
  | {
      readonly kind: 'power-cut-at';
      readonly text: string;
      readonly during: 'boot' | 'shutdown';
      readonly place: Place;
    }
  /** The machine is off then. */
  | { readonly kind: 'fault'; readonly fault: Fault };

/** A LUKS device that stage 1 unlocks: `boot.initrd.luks.devices.<name>`. The harness makes up its passphrase. */
export interface LuksDevice {
  /** Name below /dev/mapper. */
  readonly name: string;
  readonly device: string;
  readonly allowDiscards: boolean;
  readonly unlock: Exclude<LuksKind, 'none'>;
  /** `systemd-cryptsetup@<escaped name>.service`, the unit that unlocks it. */
  readonly unit: string;
  readonly place: Place;
}

/** A mount: `fileSystems.<mountPoint>`. */
export interface FileSystem {
  readonly mountPoint: string;
  readonly device: string;
  readonly fsType: string;
  readonly options: readonly string[];
  /** Mounted in stage 1: asked for, or a mount point that NixOS always mounts there. */
  readonly neededForBoot: boolean;
  /** What the scenario itself says; some checks of NixOS modules look only at this. */
  readonly explicitNeededForBoot: boolean;
  /** From the option `subvol=`, without a leading slash. Empty for the top level. */
  readonly subvolume?: string;
  readonly place: Place;
}

export interface SwapDevice {
  readonly device: string;
  /** Encrypted with a key that is made up at every boot. */
  readonly randomEncryption: boolean;
  /** What is used as swap: the device, or its decrypted form. */
  readonly swapsOn: string;
  readonly place: Place;
}

/**
 * What stage 1 runs before the root is mounted: `boot.initrd.systemd.services.<name>`, with
 * `DefaultDependencies=no` and `Type=oneshot`.
 */
export interface Rollback {
  /** Name of the unit without its suffix. */
  readonly name: string;
  /** `<name>.service` */
  readonly unit: string;
  readonly description: string;
  readonly after: readonly string[];
  readonly before: readonly string[];
  readonly requires: readonly string[];
  readonly wantedBy: readonly string[];
  readonly requiredBy: readonly string[];
  /** Counts as started once it has run: nothing starts it again. */
  readonly remainAfterExit: boolean;
  /** The read-only snapshot that it restores; absent: it makes an empty subvolume. */
  readonly blankSnapshot?: string;
  /** What the service runs, with `bash -e`. */
  readonly script: Script;
  /** How scripted stage 1 runs it: `boot.initrd.<hook>`, in its shell, without `-e`. */
  readonly scripted: {
    readonly hook: StageOneHook;
    readonly order: 'before' | 'default' | 'after';
    readonly script: Script;
    readonly place: Place;
  };
  /** Where the units of each list stand, in the order of the list. */
  readonly unitPlaces: Readonly<Record<UnitList, readonly Place[]>>;
  readonly place: Place;
}

/** The lists of a rollback that name other units. */
export type UnitList = 'after' | 'before' | 'requires' | 'wantedBy' | 'requiredBy';

export interface PersistedDirectory {
  readonly path: string;
  /** The same directory in the persistent store: persistence root plus path. */
  readonly source: string;
  /** Owner, group and mode which the directory gets when it is created in the persistent store. */
  readonly user: string;
  readonly group: string;
  /** Four octal digits, `0755` when the scenario says nothing. */
  readonly mode: string;
  /** NixOS needs the path before activation, so it is bound in stage 1. */
  readonly inStageOne: boolean;
  readonly place: Place;
}

export interface PersistedFile {
  readonly path: string;
  readonly source: string;
  /** `auto`: bind mount when the source exists, else a symbolic link. */
  readonly method: 'auto' | 'symlink';
  readonly place: Place;
}

/** `environment.persistence.<root>` */
export interface Persistence {
  readonly root: string;
  readonly hideMounts: boolean;
  readonly directories: readonly PersistedDirectory[];
  readonly files: readonly PersistedFile[];
  readonly place: Place;
}

/** `users.users.<name>` */
export interface User {
  readonly name: string;
  readonly isNormalUser: boolean;
  readonly uid?: number;
  readonly hashedPasswordFile?: string;
  readonly place: Place;
}

/** `services.openssh.hostKeys`; the SSH server makes a key that is not there. */
export interface SshHostKey {
  readonly path: string;
  readonly type: 'ed25519' | 'rsa';
  /** Only for rsa. */
  readonly bits?: number;
  readonly place: Place;
}

/** A link that the configuration declares: `environment.etc`, or a rule of tmpfiles. */
export interface DeclaredLink {
  readonly path: string;
  /** What the link holds. That of `environment.etc` leads to /etc/static, and only that one to the source. */
  readonly target: string;
  readonly source: string;
  readonly by: 'etc' | 'tmpfiles';
  readonly place: Place;
}

/** A directory or file that a rule of tmpfiles makes, or mends, at every boot. */
export interface MadePath {
  readonly path: string;
  readonly of: 'directory' | 'file';
  /** Octal, without leading zeros. */
  readonly mode?: string;
  readonly user?: string;
  readonly group?: string;
  readonly place: Place;
}

/**
 * A disk image in the place of an installer. Its first boot loads the registration of its store paths, and grows the
 * last partition and what is on it to the end of the disk.
 */
export interface DiskImage {
  /** The EFI system partition. */
  readonly esp: ImagePartition;
  /** The last partition. */
  readonly btrfs: ImagePartition;
  /** Paths from the top level of the btrfs: every one that the system mounts, and no more. */
  readonly subvolumes: readonly string[];
  /** Of every file, as numbers. Anything but 0:0 is a fault. */
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly place: Place;
}

export interface ImagePartition {
  readonly partLabel: string;
  /** `/dev/disk/by-partlabel/<label>` */
  readonly device: string;
  readonly sizeMiB: number;
}

export interface SystemModel {
  readonly hostName: string;
  readonly stage1: StageOneKind;
  /** The firmware is given keys in the first boot, and starts only what is signed with them. Absent: anything. */
  readonly secureBoot?: { readonly place: Place };
  readonly luks: readonly LuksDevice[];
  /** Parents before what is mounted below them. */
  readonly fileSystems: readonly FileSystem[];
  readonly swapDevices: readonly SwapDevice[];
  /** `systemd.tmpfiles.rules` */
  readonly tmpfiles: readonly string[];
  /** `boot.resumeDevice` */
  readonly resumeDevice?: string;
  readonly rollback?: Rollback;
  readonly persistence: readonly Persistence[];
  readonly users: readonly User[];
  readonly openssh: { readonly hostKeys: readonly SshHostKey[] };
  readonly links: readonly DeclaredLink[];
  readonly made: readonly MadePath[];
  /** The image that the system comes as. Absent when it is installed. */
  readonly image?: DiskImage;
  readonly services: Services;
  /** NixOS modules of the scenario's own. Nobody reads them but Nix, where a system is made with it. */
  readonly nixModules: readonly Script[];
}

export interface Disk {
  readonly name: string;
  readonly sizeMiB: number;
  /** In a scenario the axis' first value; in a variant the variant's own. */
  readonly bus: DiskBus;
  readonly sectorBytes: SectorSize;
  /** On nvme the number of the first disk's namespace that this disk is. */
  readonly namespace?: number;
  /** Holds somebody else's data. */
  readonly untouched: boolean;
  readonly place: Place;
}

/** A lint that is wrong about this scenario, or right and put up with: `lint.without`. */
export interface LintException {
  readonly lint: string;
  readonly reason: string;
  readonly place: Place;
}

/** A layout with a known fault has to fail exactly so. */
export interface KnownBug {
  /** What is wrong with it, in one line. */
  readonly reason: string;
  /** What its reporter saw, in one line. */
  readonly symptom?: string;
  /** Ids of exactly the promises that are broken. */
  readonly broken: readonly string[];
  /** Ids of promises that break in some runs only. */
  readonly sometimes: readonly string[];
  readonly place: Place;
}

/**
 * A scenario file with everything it extends, all defaults filled in and all units parsed, for one value of each axis.
 */
export interface Scenario {
  /** Name of the folder that holds `scenario.yaml`, or the stem of a file with another name. */
  readonly name: string;
  readonly title: string;
  /** As shown to a person: relative to the current directory when below it. */
  readonly file: string;
  /** URLs of the recipe. */
  readonly sources: readonly string[];
  readonly guests: readonly GuestKind[];
  readonly machine: { readonly memoryMiB: number; readonly cpus?: number };
  /** The first is the one that the install script is to fill. */
  readonly disks: readonly Disk[];
  /** Fills the disk, in the installer. Absent when the system comes as an image. */
  readonly install?: Script;
  readonly system: SystemModel;
  /** The system that the promises follow from. Absent: `system`; present where that was changed, and they were not. */
  readonly promised?: SystemModel;
  readonly promises: readonly ScenarioPromise[];
  readonly consoleAllow: readonly ConsoleAllowance[];
  /** Begins with `boot`, ends with `power-off`, `reboot` or `power-cut` between; `power-cut-at` and faults before what powers on. */
  readonly steps: readonly Step[];
  /** Absent: every promise has to be kept. */
  readonly knownBug?: KnownBug;
  /** Lints that are not to be counted. Whether there are such lints is not known here. */
  readonly lintExceptions: readonly LintException[];
  /** Budget of a whole variant, before it is scaled for a slow machine. */
  readonly timeoutMs: number;
}

/** A scenario file: its variants, and what they have in common. */
export interface ScenarioFile {
  readonly name: string;
  readonly title: string;
  readonly file: string;
  /** Every axis with its values; an axis that the file does not name has one value. */
  readonly axes: Axes;
  /** Every combination of the axes' values that can be; at least one. */
  readonly variants: readonly Variant[];
}

/** One point of a scenario's matrix. */
export interface Variant {
  /** `btrfs-luks-rollback[disk=nvme]`: the axes that the file names. */
  readonly id: string;
  readonly axes: Readonly<Record<keyof AxisValues, string>>;
  /** The axes that have more than one value, as on the command line: `disk=nvme`. */
  readonly choices: readonly string[];
  readonly scenario: Scenario;
}

/** What a target cannot do of that which a scenario can ask for, and why: a part of a sentence that names the target. */
export type TargetLimits = Readonly<
  Partial<
    Record<
      | 'nvme'
      | 'virtual-disks'
      | 'untouched-disks'
      | 'large-sectors'
      | 'image'
      | 'tpm'
      | 'secure-boot'
      | 'hibernation'
      | 'power-cut'
      | 'faults'
      /** A passphrase has to be typed on it. */
      | 'console'
      | 'nixos-guest',
      string
    >
  >
>;

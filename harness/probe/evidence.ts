import type { Listing } from './listing.js';
import type { Tree } from './tree.js';

/** A mount as /proc/self/mountinfo shows it. */
export interface Mount {
  readonly mountPoint: string;
  /** Folder of the file system that is mounted: the subvolume, or the source of a bind mount. `//deleted` at the end when it is gone. */
  readonly root: string;
  readonly fsType: string;
  readonly source: string;
  /** Options of the mount and of the file system. */
  readonly options: readonly string[];
}

/** A line of the journal. */
export interface JournalLine {
  /** Microseconds since the kernel started. */
  readonly monotonicUs: number;
  readonly message: string;
  /** The unit that wrote it. */
  readonly writer?: string;
  /** The unit it is about, when systemd wrote it. */
  readonly about?: string;
  readonly messageId?: string;
}

/** A btrfs subvolume. */
export interface Subvolume {
  readonly id: number;
  /** Path from the top level of the file system. */
  readonly path: string;
  readonly uuid: string;
  readonly parentUuid?: string;
}

/** Numbers of users and groups, as far as a scenario says that they own something. */
export interface Accounts {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** All that was read from the running system in one boot. */
export interface BootEvidence {
  readonly boot: number;
  readonly bootId: string;
  readonly nonce: string;
  /** The `ID` of its os-release: `debian`, `nixos`. Empty when there is none. */
  readonly os: string;
  readonly uptimeS: number;
  /** Memory that the kernel has. */
  readonly memoryKiB?: number;
  /** `running`, `degraded` … */
  readonly state: string;
  readonly mounts: readonly Mount[];
  /** Real device behind each name below /dev/mapper and /dev/disk. */
  readonly devices: ReadonlyMap<string, string>;
  /** Devices in use as swap. */
  readonly swaps: readonly string[];
  /** Tables of the device mapper with their keys, as SHA-256, by name. */
  readonly mapperTables: ReadonlyMap<string, string>;
  /** What the firmware says of Secure Boot; a variable that it does not have is absent. */
  readonly secureBoot: {
    readonly enabled?: boolean;
    /** It has no owner's key yet, and takes any. */
    readonly setupMode?: boolean;
    /** What the kernel forbids even to root, as it says itself: `none [integrity] confidentiality`; may be empty. */
    readonly lockdown: string;
  };
  readonly machineId: string;
  /** Boots whose journal can be read, this one included. */
  readonly journalBoots: number;
  /** Units in the state `failed`, each with its description. */
  readonly failedUnits: readonly string[];
  /** Lines of and about the rollback, the units that unlock, and the mount of the root. */
  readonly journal: readonly JournalLine[];
  /** What the kernel said about the mounting of file systems, and the checks that come before it. */
  readonly mountMessages: readonly string[];
  /** The subvolume mounted at `/`; absent when `/` is no btrfs. */
  readonly rootSubvolume?: {
    readonly uuid: string;
    readonly parentUuid: string;
    readonly createdS: number;
    readonly path: string;
  };
  /** All subvolumes of the root's file system. */
  readonly subvolumes: readonly Subvolume[];
  /** Facts about single paths: persisted files and directories on both sides, the mount point of the ESP. */
  readonly paths: Listing;
  readonly accounts: Accounts;
  /** SHA-256 by path; a key that is not there is left out. */
  readonly hostKeys: ReadonlyMap<string, string>;
  /** Absent for a system that was installed. */
  readonly image?: ImageBootEvidence;
  /** Everything planted in earlier boots that is still there. */
  readonly canaries: Listing;
  /** Profile, generation and running system as links. */
  readonly links: Readonly<Record<'profile' | 'generation' | 'current' | 'booted', string>>;
  /** Microseconds since the kernel started at which systemd was done. */
  readonly startupFinishedUs?: number;
  readonly clockS: number;
}

/** What was read right after the canaries of a boot were planted. */
export interface PlantedEvidence {
  readonly boot: number;
  readonly canaries: Listing;
  readonly subvolumes: readonly Subvolume[];
}

/** A file system of the powered-off disk that could be mounted, and was looked through. */
export interface DiskVolume {
  readonly device: string;
  readonly subvolumes: readonly Subvolume[];
  /** Everything planted, wherever it lies; paths from the top level of the file system. */
  readonly canaries: Listing;
  /** What the root is restored from; absent where there is none, and on the other volumes. */
  readonly blank?: { readonly readOnly: boolean; readonly firstFiles: readonly string[] };
}

/** A disk, a partition, or what is mapped from one. */
export interface BlockDevice {
  readonly kernelName: string;
  /** Kernel name of what it is a part of; empty for a disk. */
  readonly parent: string;
  readonly path: string;
  /** `disk`, `part`, `crypt` … */
  readonly type: string;
  /** What is on it; empty when nothing that is known. */
  readonly fsType: string;
  /** Of a partition; else empty. */
  readonly label: string;
  readonly sizeBytes: number;
}

/** What was read from the powered-off disk in the inspector. */
export interface DiskEvidence {
  readonly partitionTable: { readonly valid: boolean; readonly output: string };
  readonly luks: readonly {
    readonly name: string;
    /** There is a header, and it opens with the passphrase. */
    readonly valid: boolean;
    /** SHA-256; empty when there is no header. */
    readonly headerDigest: string;
    readonly output: string;
  }[];
  readonly fileSystems: readonly {
    readonly device: string;
    readonly fsType: string;
    /** Its checker ran and found nothing. */
    readonly clean: boolean;
    /** What the checker and the mount said. */
    readonly output: string;
  }[];
  /** For people: the disk and what is in it. Empty when it could not be listed. */
  readonly blocks: readonly BlockDevice[];
  /** None for a FAT, and none for what could not be read: then nothing can be said about what is on it. */
  readonly volumes: readonly DiskVolume[];
  /** The folders whose content was asked for, by the name of the question. */
  readonly trees: ReadonlyMap<string, Tree>;
  /** Folders of canaries on the root's file system; absent when it is not among the volumes. */
  readonly canaryPaths?: readonly string[];
  /** Absent for a system that was installed, and for an image that could not be read. */
  readonly image?: ImageEvidence;
  /** The last boot's journal, as far as it was kept; only where it was asked for. */
  readonly journal?: string;
}

/** Where things end on the disk of an image. */
export interface DiskLayout {
  readonly diskBytes: number;
  /** Of the last partition, from the beginning of the disk. */
  readonly partitionEndBytes: number;
  readonly partitionBytes: number;
  /** What the btrfs in it takes for its own. */
  readonly fileSystemBytes: number;
}

/** A file that is not root's. */
export interface Foreigner {
  /** From the top level of the file system. */
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
}

/** What a boot of a system that came as an image shows beyond others. */
export interface ImageBootEvidence {
  /** Absent when the partition or its file system was not found. */
  readonly layout?: DiskLayout;
  readonly registrationGone: boolean;
  /** `nix-store --verify`, in the first boot with all contents. */
  readonly verify: { readonly ok: boolean; readonly output: string };
  /** `nix-store --check-validity` of all that is in the store. */
  readonly validity: { readonly ok: boolean; readonly output: string };
  /** Paths that the running system needs. */
  readonly closure: { readonly ok: boolean; readonly output: string };
  /** Journal of systemd-tmpfiles. */
  readonly tmpfiles: readonly string[];
}

/** The btrfs of an image, seen from another machine. */
export interface ImageEvidence {
  readonly layout?: DiskLayout;
  readonly topLevel: readonly string[];
  readonly subvolumes: readonly Subvolume[];
  readonly foreignCount: number;
  /** The first ones. */
  readonly foreign: readonly Foreigner[];
}

/** What was read right after the install. */
export interface InstallEvidence {
  readonly subvolumes: readonly Subvolume[];
  /** SHA-256 of each LUKS header, by the name of the device; taken anew when a TPM has got a key slot. */
  readonly headers: ReadonlyMap<string, string>;
  /** Absent for a system that was installed, and for an image that could not be read. */
  readonly image?: ImageEvidence;
}

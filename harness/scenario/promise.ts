import type { Place } from '../core/index.js';
import type { Script } from './script.js';
import type { ConsoleClassName } from './console-class.js';

/** Console lines that are no failure, although they look like one. */
export interface ConsoleAllowance {
  /** Failure class as the console watcher names it, such as `unmount-failed`. */
  readonly class: ConsoleClassName;
  /** Plain text that the line must contain; without it every line of the class is allowed. */
  readonly match?: string;
  /** Why it is harmless. */
  readonly reason: string;
  readonly place: Place;
}

interface PromiseBase {
  /** `kind`, or `kind:path` for a promise about a path. Unique in a scenario. */
  readonly id: string;
  /** The promise as a sentence without a full stop: "/etc/nixos keeps its files". */
  readonly title: string;
  /** Where the promise was made, else the declaration that it follows from. */
  readonly place: Place;
}

/** After every boot `/` is a new file system: a fresh tmpfs, or a subvolume made by the rollback of this boot. */
export interface RootWipedPromise extends PromiseBase {
  readonly kind: 'root-wiped';
  readonly by: 'tmpfs' | 'rollback';
  /** The read-only snapshot that it is a copy of. */
  readonly blank?: string;
}

/** What was put below `path` is not there after the next boot. */
export interface GonePromise extends PromiseBase {
  readonly kind: 'gone';
  readonly path: string;
}

/** What was put at or below `path` is unchanged after the next boot. */
export interface KeptPromise extends PromiseBase {
  readonly kind: 'kept';
  readonly path: string;
  readonly of: 'directory' | 'file' | 'volume';
  /** The same thing in the persistent store; absent for a volume and for a path that nothing persists. */
  readonly source?: string;
  /** What the path holds where it is a link. Absent: the path is the source itself, bound or mounted. */
  readonly link?: string;
  /** Once its source is there it is bound to it, and no link. */
  readonly bound?: true;
  /** Owner, group and mode, only where the scenario states them. */
  readonly user?: string;
  readonly group?: string;
  readonly mode?: string;
}

/** What the configuration declares as a link is one, and leads to something. */
export interface LinkedPromise extends PromiseBase {
  readonly kind: 'linked';
  readonly path: string;
  /** What the link holds. */
  readonly target: string;
  readonly source: string;
}

/** What a rule of tmpfiles makes is there, and belongs to whom the rule says. */
export interface MadePromise extends PromiseBase {
  readonly kind: 'made';
  readonly path: string;
  readonly of: 'directory' | 'file';
  /** Octal. Like the owners only where the rule states it for what is there already. */
  readonly mode?: string;
  readonly user?: string;
  readonly group?: string;
}

/** The mount is there, from where the layout says, with the options it says. */
export interface MountedPromise extends PromiseBase {
  readonly kind: 'mounted';
  readonly mountPoint: string;
  readonly device: string;
  readonly fsType: string;
  readonly subvolume?: string;
  readonly options: readonly string[];
}

/** /etc/machine-id is the same after every boot. */
export interface MachineIdPromise extends PromiseBase {
  readonly kind: 'machine-id-stable';
}

/** The SSH host keys at `paths` are the same after every boot. */
export interface SshHostKeysPromise extends PromiseBase {
  readonly kind: 'ssh-host-keys-stable';
  readonly paths: readonly string[];
}

/** Each boot's journal holds the rollback's own lines, in this order, and they agree with the disk. */
export interface RollbackLogPromise extends PromiseBase {
  readonly kind: 'rollback-log';
  /** `rollback.service`, or `boot.initrd.postResumeCommands` in scripted stage 1. */
  readonly by: string;
  /** Texts that its lines must contain. May be empty: then there must only be a log. */
  readonly lines: readonly string[];
}

/** In stage 1 the root is unlocked, then rolled back, then mounted. */
export type RollbackOrderPromise = UnitOrderPromise | HookOrderPromise;

/** Each of the units is done before the next one begins, whatever the rollback's unit file says. */
interface UnitOrderPromise extends PromiseBase {
  readonly kind: 'rollback-order';
  readonly stage1: 'systemd';
  /** The units that unlock the root, the rollback, `sysroot.mount`. The units that unlock have no order among them. */
  readonly units: readonly string[];
}

/** What the commands at a point of scripted stage 1 write stands where it belongs in the log of stage 1. */
interface HookOrderPromise extends PromiseBase {
  readonly kind: 'rollback-order';
  readonly stage1: 'scripted';
  /** Devices below the root that are unlocked by a passphrase: only then stage 1 says so. */
  readonly unlocks: readonly string[];
  /** What is mounted at `/`, as the layout names it. */
  readonly root: string;
}

/** No unit is in the state `failed` once the system is up. */
export interface NoFailedUnitsPromise extends PromiseBase {
  readonly kind: 'no-failed-units';
}

/** The system that runs is the one that was booted, and the newest generation of the system profile. */
export interface GenerationPromise extends PromiseBase {
  readonly kind: 'generation';
}

/** Only root can look into the EFI system partition. */
export interface EspPrivatePromise extends PromiseBase {
  readonly kind: 'esp-private';
  readonly mountPoint: string;
  readonly mode: '0700';
}

/** All swap devices are in use. */
export interface SwapActivePromise extends PromiseBase {
  readonly kind: 'swap-active';
  readonly devices: readonly string[];
}

/** Stage 1 unlocks the LUKS devices as the layout says: by what is typed, or without asking. */
export interface UnlockedPromise extends PromiseBase {
  readonly kind: 'unlocked';
  readonly by: 'passphrase' | 'key-file' | 'tpm2';
}

/** The firmware starts only what is signed with keys that it was given. */
export interface SecureBootPromise extends PromiseBase {
  readonly kind: 'secure-boot';
}

/** After an orderly reboot no file system on a disk has to be recovered. */
export interface UnmountedPromise extends PromiseBase {
  readonly kind: 'unmounted-cleanly';
}

/** A hibernated system goes on where it was, and stage 1 rolls nothing back under its feet. */
export interface ResumedPromise extends PromiseBase {
  readonly kind: 'resumed';
}

/** Swap is encrypted, and with another key in every boot. */
export interface SwapKeyPromise extends PromiseBase {
  readonly kind: 'swap-key-random';
  /** Names below /dev/mapper. */
  readonly mappers: readonly string[];
}

/** A user logs in at a terminal with the password of the install, and is refused with another. */
export interface LoginPromise extends PromiseBase {
  readonly kind: 'login';
  readonly user: string;
}

/** A script of the scenario ends with exit code 0. */
export interface CheckPromise extends PromiseBase {
  readonly kind: 'check';
  readonly script: Script;
  /** The first boot in which it is run. */
  readonly fromBoot: number;
}

/** A disk that is somebody else's is the same to the last byte. */
export interface DiskUntouchedPromise extends PromiseBase {
  readonly kind: 'disk-untouched';
  readonly disk: string;
}

/**
 * The image holds the subvolumes that the system mounts and nothing else, and they stay what they are: no boot moves
 * one, or mounts the top level to do so.
 */
export interface ImageSubvolumesPromise extends PromiseBase {
  readonly kind: 'image-subvolumes';
}

/** What the image brings belongs to root, before the first boot and after the last. */
export interface ImageOwnersPromise extends PromiseBase {
  readonly kind: 'image-owners';
}

/** The image is smaller than the disk; from the first boot on its last partition and what is on it are not. */
export interface GrownPromise extends PromiseBase {
  readonly kind: 'grown';
}

/** From the first boot on Nix knows every path of the store, and the registration that it knows them from is gone. */
export interface RegisteredPromise extends PromiseBase {
  readonly kind: 'registered';
}

/** systemd-tmpfiles refuses no path for its owners. */
export interface TmpfilesSafePromise extends PromiseBase {
  readonly kind: 'tmpfiles-safe';
}

/** What the root is restored from is read-only and has nothing in it that a boot would bring back. */
export interface BlankPromise extends PromiseBase {
  readonly kind: 'blank';
  /** From the top level. */
  readonly subvolume: string;
}

/** The powered-off disk passes the checkers of its file systems and LUKS headers. */
export interface DiskCleanPromise extends PromiseBase {
  readonly kind: 'disk-clean';
}

/** The console shows no failure but the allowed ones. */
export interface ConsoleCleanPromise extends PromiseBase {
  readonly kind: 'console-clean';
  readonly allow: readonly ConsoleAllowance[];
}

/** What a scenario says about its layout: made in the file, or following from what the file declares. */
export type ScenarioPromise =
  | RootWipedPromise
  | BlankPromise
  | GonePromise
  | KeptPromise
  | LinkedPromise
  | MadePromise
  | MountedPromise
  | MachineIdPromise
  | SshHostKeysPromise
  | RollbackLogPromise
  | RollbackOrderPromise
  | NoFailedUnitsPromise
  | GenerationPromise
  | EspPrivatePromise
  | SwapActivePromise
  | UnlockedPromise
  | SecureBootPromise
  | UnmountedPromise
  | ResumedPromise
  | SwapKeyPromise
  | LoginPromise
  | CheckPromise
  | DiskUntouchedPromise
  | ImageSubvolumesPromise
  | ImageOwnersPromise
  | GrownPromise
  | RegisteredPromise
  | TmpfilesSafePromise
  | DiskCleanPromise
  | ConsoleCleanPromise;

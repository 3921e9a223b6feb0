import type { ErrorCode, Place } from '../core/index.js';
import type { LeaksRecord } from './leaks.js';

/** Version of the JSON written to `record.json`. Raised when a reader of the old form would misread the new one. */
export const RECORD_VERSION = 1;

/**
 * - `pass`: every promise was proved.
 * - `fail`: the layout broke a promise.
 * - `error`: the harness or the host could not find out; nothing is said about the layout.
 * - `skip`: not run, with the reason.
 * - `known-bug`: failed exactly as the scenario declares.
 */
export type Verdict = 'pass' | 'fail' | 'error' | 'skip' | 'known-bug';

/** One phase of work and how long it took. Phases of one variant do not overlap and are in order. */
export interface PhaseRecord {
  /** Stable kebab-case name: `restore-installer`, `install`, `firmware`, `stage-1`, `stage-2`, `probe` … */
  readonly name: string;
  /** Which boot of the installed system (1, 2, …); absent before the first and after the last. */
  readonly boot?: number;
  /** Milliseconds since the variant (or, for set-up, the run) began. */
  readonly startMs: number;
  readonly durationMs: number;
}

/** One boot of the installed system. */
export interface BootRecord {
  /** Counts from 1. */
  readonly number: number;
  /** How the machine came to boot: first power-on, an orderly reboot, power cut and on again. */
  readonly how: 'power-on' | 'reboot' | 'power-cut';
  /** The kernel's boot id; absent when the boot never answered. */
  readonly bootId?: string;
}

/** One promise (or one standing expectation such as a clean console) and what became of it. */
export interface CheckRecord {
  /** Stable id, unique within a variant together with `boot`: `kept:/home`, `gone:/`, `rollback-order`, `disk-clean` … */
  readonly id: string;
  /** The promise as a sentence: "/home keeps its files". */
  readonly title: string;
  /** Boot after which it was looked at; absent for checks of the powered-off disk or of the whole variant. */
  readonly boot?: number;
  readonly status: 'pass' | 'fail' | 'error';
  /** Where the promise was made. */
  readonly place?: Place;
  /** What was promised, for a failed check. */
  readonly expected?: string;
  /** What was found: for a pass a short proof ("5 files, 2 subvolumes gone"), for a failure the facts. */
  readonly found: string;
  /** Likely cause in words a NixOS user understands; failed checks only. */
  readonly cause?: string;
  /** Lines of evidence to show below the message. */
  readonly evidence?: readonly string[];
  /** Files below the variant's report folder that hold the whole evidence. */
  readonly files?: readonly string[];
}

export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly place?: Place;
  readonly details?: string;
}

/** A machine that was kept: its disks and all that it needs to be powered on again. */
export interface KeptRecord {
  /** Relative to the record file. */
  readonly folder: string;
  /** Bytes that it takes on the disk. */
  readonly sizeBytes: number;
}

export interface VariantRecord {
  /** `btrfs-luks-rollback[disk=nvme]`. Unique in a run. */
  readonly id: string;
  readonly scenario: { readonly name: string; readonly title: string; readonly file: string };
  readonly axes: Readonly<Record<string, string>>;
  readonly guest: string;
  readonly target: string;
  readonly verdict: Verdict;
  /** Why it was skipped, or in one line why it is not a pass. */
  readonly reason?: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** Processor time that the variant's machines used, user and system. */
  readonly machineCpuMs: number;
  readonly phases: readonly PhaseRecord[];
  readonly boots: readonly BootRecord[];
  readonly checks: readonly CheckRecord[];
  /** What the next boot would lose and what nobody declares; absent when it was not looked for. */
  readonly leaks?: LeaksRecord;
  readonly error?: ErrorRecord;
  /** Absent when its machine was not kept. */
  readonly kept?: KeptRecord;
  /** Folder of the variant's evidence, relative to the record file. */
  readonly folder: string;
  /** The command that repeats exactly this variant. */
  readonly repeat: string;
}

/** What the machines ran on. */
export interface HostRecord {
  /** `none`: a real machine. */
  readonly accelerator: 'kvm' | 'tcg' | 'none';
  /** Why this accelerator, as a sentence. */
  readonly acceleratorReason: string;
  /** Version of what runs the machines; of a real machine, what it is. */
  readonly qemu: string;
  readonly firmware: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly node: string;
}

/** One run of `imperm run`: the only thing that reporters read. */
export interface RunRecord {
  readonly version: typeof RECORD_VERSION;
  readonly imperm: string;
  readonly run: string;
  readonly command: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly interrupted: boolean;
  /** Absent when the run ended before it was known what the machines would run on. */
  readonly host?: HostRecord;
  readonly setup: readonly PhaseRecord[];
  readonly variants: readonly VariantRecord[];
}

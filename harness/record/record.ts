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
 * - `flaky`: not as declared in one attempt, and as declared in a later one. Never counted as a pass.
 */
export type Verdict = AttemptVerdict | 'flaky';

/** What one attempt at a variant can end with. */
export type AttemptVerdict = 'pass' | 'fail' | 'error' | 'skip' | 'known-bug';

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

/** What one attempt at a variant has shown. */
interface AttemptFacts {
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
  /** Folder of the evidence, relative to the record file. */
  readonly folder: string;
}

/** One of several attempts at a variant. */
export interface AttemptRecord extends AttemptFacts {
  /** From 1. */
  readonly attempt: number;
  readonly verdict: AttemptVerdict;
}

/** A variant, with the facts of the attempt that decides: the last that broke a promise, else the last that ended in an error. */
export interface VariantRecord extends AttemptFacts {
  /** `btrfs-luks-rollback[disk=nvme]`. Unique in a run. */
  readonly id: string;
  readonly scenario: { readonly name: string; readonly title: string; readonly file: string };
  readonly axes: Readonly<Record<string, string>>;
  readonly guest: string;
  readonly target: string;
  /** Address of the libvirt that had its machine. Absent: none had. */
  readonly connect?: string;
  readonly verdict: Verdict;
  /** Which attempt these facts are of, from 1; absent when there was one only, and nobody asked for more. */
  readonly attempt?: number;
  /** The variant's id without the number of the attempt, where every attempt is a record of its own (`--repeat`). */
  readonly repeatOf?: string;
  /** The attempts that do not decide, in order, where a variant was run again because it was not as declared (`--retries`). */
  readonly otherAttempts?: readonly AttemptRecord[];
  /** The command that repeats exactly this variant. */
  readonly repeat: string;
  /** What earlier runs of this variant found; absent when none is known. */
  readonly history?: HistoryRecord;
}

/** One run of a variant among others. */
export interface HistoryPoint {
  /** ISO 8601, UTC. */
  readonly when: string;
  readonly run: string;
  /** Version of imperm. */
  readonly imperm: string;
}

/** What is known of earlier runs of a variant, with the same guest on the same kind of machine. */
export interface HistoryRecord {
  /** Of the newest earlier runs, at most 20, the oldest first. */
  readonly verdicts: readonly Verdict[];
  /** First of the unbroken row of runs that were not as declared, this one at its end; absent when this one was. */
  readonly failingSince?: HistoryPoint;
  /** How many runs are in that row, this one among them. */
  readonly failingRuns?: number;
  /** The newest earlier run that was as declared. */
  readonly lastAsDeclared?: HistoryPoint;
  /** How long those of `verdicts` took that were as declared, on the same accelerator; milliseconds. */
  readonly durationsMs: readonly number[];
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
  /** Address of the libvirt that has the machines. Absent: none has. */
  readonly connect?: string;
  /** Of the host that has the machines. */
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly node: string;
}

/** One variant of one run, as the history file has it on a line. */
export interface HistoryEntry extends HistoryPoint {
  readonly version: 1;
  /** Id of the variant, without the number of an attempt. */
  readonly variant: string;
  /** With `--repeat` and `--until-fail`, which attempt, from 1. */
  readonly attempt?: number;
  readonly verdict: Verdict;
  readonly durationMs: number;
  /** Id of the first promise that was broken. */
  readonly broken?: string;
  /** Code of the error. */
  readonly error?: string;
  readonly guest: string;
  readonly target: string;
  readonly accelerator?: string;
}

/** The part of a selection that one of several machines runs. */
export interface ShardRecord {
  /** From 1 to `count`. */
  readonly index: number;
  readonly count: number;
  /** Ids of all variants that were selected, in order: what all shards together have to run. */
  readonly selection: readonly string[];
  /** Ids of those that are this shard's to run. */
  readonly part: readonly string[];
  /** Tells selections apart that have the same ids: by what the variants are, and how they are run. */
  readonly digest: string;
}

/** A shard that a merged run was made of. */
export interface MergedShard {
  readonly index: number;
  /** Name of its run. */
  readonly run: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly host?: HostRecord;
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
  /** Present when only a part of the selection was run, the rest being left to other machines. */
  readonly shard?: ShardRecord;
  /** Present when the run was put together from shards. */
  readonly mergedFrom?: readonly MergedShard[];
  /** Absent when the run ended before it was known what the machines would run on, when there were several, or when merged shards differ in it. */
  readonly host?: HostRecord;
  /** Present when the machines were on several: all of them, in the order in which they were named. */
  readonly hosts?: readonly HostRecord[];
  readonly setup: readonly PhaseRecord[];
  readonly variants: readonly VariantRecord[];
}

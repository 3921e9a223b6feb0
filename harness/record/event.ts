import type { LeaksRecord } from './leaks.js';
import type {
  AttemptVerdict,
  BootRecord,
  CheckRecord,
  ErrorRecord,
  HostRecord,
  KeptRecord,
  PhaseRecord,
  ShardRecord,
  VariantRecord,
} from './record.js';

/** What happens during a run, in order. `variant` is the variant's id; events without it belong to the run. */
export type RunEvent =
  | { readonly type: 'run-start'; readonly run: string; readonly command: string; readonly folder: string }
  /** Only a part of the selection is run. */
  | { readonly type: 'shard'; readonly shard: ShardRecord }
  | { readonly type: 'host'; readonly host: HostRecord }
  | { readonly type: 'note'; readonly level: 'info' | 'warn'; readonly text: string }
  | { readonly type: 'phase-start'; readonly variant?: string; readonly name: string; readonly boot?: number }
  | { readonly type: 'phase-end'; readonly variant?: string; readonly phase: PhaseRecord }
  | {
      readonly type: 'variant-start';
      readonly variant: string;
      readonly scenario: VariantRecord['scenario'];
      readonly axes: VariantRecord['axes'];
      readonly guest: string;
      readonly target: string;
      readonly connect?: string;
      readonly folder: string;
      readonly repeat: string;
      /** Absent: nobody asked for more than one. */
      readonly attempt?: {
        /** Id of the variant; that of the event has the number in it. */
        readonly of: string;
        /** From 1. */
        readonly number: number;
        /** Of a repetition each attempt is a record of its own; a retry belongs to the record of the first. */
        readonly why: 'repeat' | 'retry';
      };
    }
  /** A line of the serial console, control sequences and secrets removed. Shown live, not kept in the record. */
  | { readonly type: 'console'; readonly variant?: string; readonly line: string }
  /** Nothing was heard from the machine for a while. */
  | {
      readonly type: 'silence';
      readonly variant?: string;
      readonly seconds: number;
      readonly lastLine: string;
    }
  | { readonly type: 'boot'; readonly variant: string; readonly boot: BootRecord }
  | { readonly type: 'check'; readonly variant: string; readonly check: CheckRecord }
  /** Known once the disk was looked at, when all boots are over. */
  | { readonly type: 'leaks'; readonly variant: string; readonly leaks: LeaksRecord }
  | {
      readonly type: 'variant-end';
      readonly variant: string;
      readonly verdict: AttemptVerdict;
      readonly reason?: string;
      readonly error?: ErrorRecord;
      readonly kept?: KeptRecord;
      readonly machineCpuMs: number;
    }
  | { readonly type: 'run-end'; readonly interrupted: boolean };

/** An event with the time at which it happened: milliseconds since the run began, and the wall clock. */
export interface StampedEvent {
  readonly atMs: number;
  readonly wall: string;
  readonly event: RunEvent;
}

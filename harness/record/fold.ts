import { HarnessError } from '../core/index.js';
import { joinAttempts } from './attempts.js';
import type { Reporter } from './bus.js';
import type { RunEvent, StampedEvent } from './event.js';
import type { LeaksRecord } from './leaks.js';
import {
  RECORD_VERSION,
  type BootRecord,
  type CheckRecord,
  type ErrorRecord,
  type HostRecord,
  type PhaseRecord,
  type RunRecord,
  type ShardRecord,
  type VariantRecord,
  type Verdict,
} from './record.js';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/** A phase that has begun and not ended yet. `startMs` as in `PhaseRecord`. */
interface OpenPhase {
  readonly name: string;
  readonly boot?: number;
  readonly startMs: number;
}

/** What is known of a variant so far. */
interface Draft {
  readonly start: EventOf<'variant-start'>;
  readonly startedAt: string;
  readonly startAtMs: number;
  readonly phases: PhaseRecord[];
  readonly boots: BootRecord[];
  readonly checks: CheckRecord[];
  leaks?: LeaksRecord;
  open?: OpenPhase;
  end?: { readonly event: EventOf<'variant-end'>; readonly atMs: number };
}

export interface RecorderOptions {
  /** Version of imperm, for the record. */
  readonly version: string;
}

export interface Recorder extends Reporter {
  /**
   * What is known at this moment. Before the end of the run it reads as an interrupted one, so that a record
   * written half-way never looks like a finished run.
   *
   * @throws {HarnessError} INTERNAL when the events contradict each other.
   */
  record(): RunRecord;
  /** What an attempt has ended with, by the id of its events; absent before that. */
  verdictOf(variant: string): Verdict | undefined;
}

/**
 * Folds the events of one run into its record. Variants appear in the order of their start.
 *
 * It never throws while it receives, because the bus would leave it out and the record would be lost:
 * what is wrong with the events is told by `record()`.
 */
export function createRecorder(options: RecorderOptions): Recorder {
  const drafts = new Map<string, Draft>();
  const setup: PhaseRecord[] = [];
  const problems: string[] = [];
  const hosts: HostRecord[] = [];
  let shard: ShardRecord | undefined;
  let start: { readonly event: EventOf<'run-start'>; readonly stamped: StampedEvent } | undefined;
  let end: EventOf<'run-end'> | undefined;
  let openSetup: OpenPhase | undefined;
  let lastAtMs = 0;

  const draftOf = (event: RunEvent, variant: string): Draft | undefined => {
    const draft = drafts.get(variant);
    if (draft === undefined)
      problems.push(`"${event.type}" names the variant ${variant}, which did not start`);
    else if (draft.end !== undefined) problems.push(`"${event.type}" of ${variant} came after its end`);
    return draft;
  };

  const receivePhase = (event: EventOf<'phase-start'> | EventOf<'phase-end'>, atMs: number): void => {
    const draft = event.variant === undefined ? undefined : draftOf(event, event.variant);
    if (event.variant !== undefined && draft === undefined) return;
    let open: OpenPhase | undefined;
    if (event.type === 'phase-end') {
      (draft?.phases ?? setup).push(event.phase);
    } else {
      const originMs = draft?.startAtMs ?? start?.stamped.atMs ?? 0;
      open = { name: event.name, ...ifGiven('boot', event.boot), startMs: atMs - originMs };
    }
    if (draft === undefined) openSetup = open;
    else if (open === undefined) delete draft.open;
    else draft.open = open;
  };

  const receive = (stamped: StampedEvent): void => {
    const { event, atMs } = stamped;
    lastAtMs = atMs;
    switch (event.type) {
      case 'run-start':
        start = { event, stamped };
        return;
      case 'host':
        hosts.push(event.host);
        return;
      case 'shard':
        shard = event.shard;
        return;
      case 'phase-start':
      case 'phase-end':
        receivePhase(event, atMs);
        return;
      case 'variant-start':
        if (drafts.has(event.variant)) problems.push(`the variant ${event.variant} started twice`);
        drafts.set(event.variant, {
          start: event,
          startedAt: stamped.wall,
          startAtMs: atMs,
          phases: [],
          boots: [],
          checks: [],
        });
        return;
      case 'boot':
        receiveBoot(draftOf(event, event.variant)?.boots, event.boot);
        return;
      case 'check':
        draftOf(event, event.variant)?.checks.push(event.check);
        return;
      case 'leaks': {
        const draft = draftOf(event, event.variant);
        if (draft !== undefined) draft.leaks = event.leaks;
        return;
      }
      case 'variant-end': {
        const draft = draftOf(event, event.variant);
        if (draft !== undefined) draft.end = { event, atMs };
        return;
      }
      case 'run-end':
        end = event;
        return;
      case 'note':
      case 'console':
      case 'silence':
        return;
    }
  };

  return {
    name: 'recorder',
    receive,
    record() {
      if (start === undefined) problems.push('the run did not start');
      if (start === undefined || problems.length > 0) {
        throw new HarnessError(
          'INTERNAL',
          `Internal error: the run cannot be recorded: ${problems.join('; ')}.`,
          {
            hint: 'This is a bug in imperm, not in your layout. Please report it with this text.',
          },
        );
      }
      const interrupted = end?.interrupted ?? true;
      const runStartMs = start.stamped.atMs;
      return {
        version: RECORD_VERSION,
        imperm: options.version,
        run: start.event.run,
        command: start.event.command,
        startedAt: start.stamped.wall,
        durationMs: lastAtMs - runStartMs,
        interrupted,
        ...ifGiven('shard', shard),
        ...(hosts.length > 1 ? { hosts } : ifGiven('host', hosts[0])),
        setup: withOpenPhase(setup, openSetup, lastAtMs - runStartMs),
        variants: groupAttempts([...drafts.values()]).map(([first, ...later]) =>
          joinAttempts(
            finishVariant(first, { interrupted, lastAtMs }),
            later.map((draft) => finishVariant(draft, { interrupted, lastAtMs })),
          ),
        ),
      };
    },
    verdictOf(variant) {
      const draft = drafts.get(variant);
      return draft?.end === undefined ? undefined : checkedEnding(draft.end.event, draft.checks).verdict;
    },
  };
}

/** A boot may be announced when it begins and again when its boot id is known: the later word counts. */
function receiveBoot(boots: BootRecord[] | undefined, boot: BootRecord): void {
  if (boots === undefined) return;
  const index = boots.findIndex((known) => known.number === boot.number);
  if (index === -1) boots.push(boot);
  else boots[index] = boot;
}

/** Each attempt with those that were made because of it. */
function groupAttempts(drafts: readonly Draft[]): (readonly [Draft, ...Draft[]])[] {
  const groups = new Map<string, [Draft, ...Draft[]]>();
  for (const draft of drafts) {
    const { variant, attempt } = draft.start;
    const group = attempt?.why === 'retry' ? groups.get(attempt.of) : undefined;
    if (group === undefined) groups.set(variant, [draft]);
    else group.push(draft);
  }
  return [...groups.values()];
}

function finishVariant(draft: Draft, run: { interrupted: boolean; lastAtMs: number }): VariantRecord {
  const { start, end } = draft;
  const durationMs = (end?.atMs ?? run.lastAtMs) - draft.startAtMs;
  const ending =
    end === undefined ? unfinishedEnding(draft, run.interrupted) : checkedEnding(end.event, draft.checks);
  const { attempt } = start;
  return {
    id: start.variant,
    scenario: start.scenario,
    axes: start.axes,
    guest: start.guest,
    target: start.target,
    ...ifGiven('connect', start.connect),
    verdict: ending.verdict,
    ...(attempt?.why === 'repeat' ? { attempt: attempt.number, repeatOf: attempt.of } : {}),
    ...ifGiven('reason', ending.reason),
    startedAt: draft.startedAt,
    durationMs,
    machineCpuMs: end?.event.machineCpuMs ?? 0,
    phases: withOpenPhase(draft.phases, draft.open, durationMs),
    boots: [...draft.boots],
    checks: [...draft.checks],
    ...ifGiven('leaks', draft.leaks),
    ...ifGiven('error', ending.error),
    ...ifGiven('kept', end?.event.kept),
    folder: start.folder,
    repeat: start.repeat,
  };
}

type Ending = Pick<VariantRecord, 'verdict' | 'reason' | 'error'>;

function unfinishedEnding(draft: Draft, interrupted: boolean): Ending {
  const open = draft.open;
  const during =
    open === undefined
      ? ''
      : ` during ${open.name}${open.boot === undefined ? '' : ` of boot ${String(open.boot)}`}`;
  if (!interrupted) return internalEnding(`the run ended without a verdict for this variant${during}`);
  return {
    verdict: 'error',
    error: {
      code: 'INTERRUPTED',
      message: `Interrupted${during}, before there was a verdict.`,
      hint: `Run it again: ${draft.start.repeat}`,
    },
  };
}

/** A pass without evidence, or against it, is a bug of ours and must not be shown as a pass. */
function checkedEnding(end: EventOf<'variant-end'>, checks: readonly CheckRecord[]): Ending {
  if (end.verdict === 'pass') {
    if (checks.length === 0) return internalEnding('the variant was called a pass without any evidence');
    const against = checks.find((check) => check.status !== 'pass');
    if (against !== undefined)
      return internalEnding(`the variant was called a pass, but ${against.id} is not`);
  }
  return { verdict: end.verdict, ...ifGiven('reason', end.reason), ...ifGiven('error', end.error) };
}

function internalEnding(what: string): Ending {
  const error: ErrorRecord = {
    code: 'INTERNAL',
    message: `Internal error: ${what}.`,
    hint: 'This is a bug in imperm, not in your layout. Please report it with this text.',
  };
  return { verdict: 'error', error };
}

/** A phase that was cut off still took its time, and tells where the run was. */
function withOpenPhase(
  phases: readonly PhaseRecord[],
  open: OpenPhase | undefined,
  endMs: number,
): PhaseRecord[] {
  if (open === undefined) return [...phases];
  return [...phases, { ...open, durationMs: Math.max(0, endMs - open.startMs) }];
}

function ifGiven<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

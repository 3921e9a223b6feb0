import { hostsOf, type PhaseRecord, type RunRecord, type VariantRecord } from '../record/index.js';
import { digestPromises } from './digest.js';

/** What became of a variant from one run to the next. */
export interface VariantChange {
  /** `btrfs-luks-rollback[disk=nvme]`, with the guest where the runs have several. */
  readonly name: string;
  readonly before?: VariantRecord;
  readonly now?: VariantRecord;
  /** Promises, or the code of an error, that are broken now and were not. */
  readonly newlyBroken: readonly string[];
  /** Those that were broken and are not. */
  readonly mended: readonly string[];
}

/** A phase, over the variants that came to their end in both runs. Means, because a run may have more boots. */
export interface PhaseChange {
  readonly name: string;
  readonly beforeMs: number;
  readonly nowMs: number;
  /** More than 1: slower. */
  readonly ratio: number;
  /** The variant in which it changed most in this direction. */
  readonly most: { readonly name: string; readonly ratio: number };
}

/** What is different between two runs. Every list is in the order of the newer run. */
export interface Comparison {
  readonly before: RunRecord;
  readonly now: RunRecord;
  readonly newFailures: readonly VariantChange[];
  readonly stillFailing: readonly VariantChange[];
  readonly fixed: readonly VariantChange[];
  /** Not the same in every attempt, in the newer run. */
  readonly flaky: readonly VariantChange[];
  /** Ran before, and is now skipped: neither fixed nor broken. */
  readonly nowSkipped: readonly VariantChange[];
  /** Whatever else is not as it was: skipped before, a known bug that is none any more. */
  readonly otherwise: readonly VariantChange[];
  readonly added: readonly VariantChange[];
  readonly gone: readonly VariantChange[];
  /** How many variants passed, or failed exactly as declared, in both runs. */
  readonly unchanged: number;
  readonly slower: readonly PhaseChange[];
  readonly faster: readonly PhaseChange[];
  /** How many variants times were compared in. */
  readonly timed: number;
  /** Why times say nothing, as a sentence; absent when they do. */
  readonly notTimed?: string;
}

export interface CompareOptions {
  /** A phase is slower or faster when its mean time changed by more than this factor. Above 1. */
  readonly factor: number;
}

/** Below this a phase's time is chance, whatever the factor. */
const LEAST_CHANGE_MS = 1_000;

type Standing = 'good' | 'bad' | 'flaky' | 'skip';

/** A verdict that this function does not know is bad until somebody decides otherwise. */
function standingOf({ verdict }: VariantRecord): Standing {
  const word: string = verdict;
  if (word === 'pass' || word === 'known-bug') return 'good';
  return word === 'skip' || word === 'flaky' ? word : 'bad';
}

/**
 * Compares two runs, variant by variant.
 *
 * A variant is the same one when its id, its guest and its target are: what another guest does is another result.
 */
export function compareRuns(before: RunRecord, now: RunRecord, options: CompareOptions): Comparison {
  const older = new Map(before.variants.map((variant) => [keyOf(variant), variant]));
  const newer = new Set(now.variants.map(keyOf));
  const guests = new Set([...before.variants, ...now.variants].map(kindOf));
  const nameOf = (variant: VariantRecord): string =>
    guests.size === 1 ? variant.id : `${variant.id} (${kindOf(variant)})`;

  const lists = {
    newFailures: [] as VariantChange[],
    stillFailing: [] as VariantChange[],
    fixed: [] as VariantChange[],
    flaky: [] as VariantChange[],
    nowSkipped: [] as VariantChange[],
    otherwise: [] as VariantChange[],
    added: [] as VariantChange[],
  };
  let unchanged = 0;
  const pairs: Pair[] = [];
  for (const variant of now.variants) {
    const earlier = older.get(keyOf(variant));
    const name = nameOf(variant);
    const change = describeChange(name, earlier, variant);
    if (earlier === undefined) lists.added.push(change);
    const kind = classify(earlier, variant);
    if (kind === 'unchanged') unchanged += 1;
    else if (kind !== 'added') lists[kind].push(change);
    if (earlier !== undefined && standingOf(earlier) === 'good' && standingOf(variant) === 'good')
      pairs.push({ name, before: earlier, now: variant });
  }
  const gone = before.variants
    .filter((variant) => !newer.has(keyOf(variant)))
    .map((variant): VariantChange => ({
      name: nameOf(variant),
      before: variant,
      newlyBroken: [],
      mended: [],
    }));
  return {
    before,
    now,
    ...lists,
    gone,
    unchanged,
    timed: pairs.length,
    ...compareTimes(pairs, { before, now, ...options }),
  };
}

function keyOf(variant: VariantRecord): string {
  return `${variant.id}\n${kindOf(variant)}`;
}

function kindOf({ guest, target }: VariantRecord): string {
  return `${guest}, ${target}`;
}

type Kind = 'newFailures' | 'stillFailing' | 'fixed' | 'flaky' | 'nowSkipped' | 'otherwise';

function classify(before: VariantRecord | undefined, now: VariantRecord): Kind | 'unchanged' | 'added' {
  const is = standingOf(now);
  const was = before === undefined ? undefined : standingOf(before);
  if (is === 'flaky') return 'flaky';
  if (is === 'bad') return was === 'bad' ? 'stillFailing' : 'newFailures';
  if (was === undefined) return 'added';
  if (is === 'skip') return was === 'skip' ? 'unchanged' : 'nowSkipped';
  if (was === 'bad' || was === 'flaky') return 'fixed';
  return before?.verdict === now.verdict ? 'unchanged' : 'otherwise';
}

function describeChange(name: string, before: VariantRecord | undefined, now: VariantRecord): VariantChange {
  const is = findTroubles(now);
  const was = before === undefined ? [] : findTroubles(before);
  return {
    name,
    ...(before === undefined ? {} : { before }),
    now,
    newlyBroken: is.filter((id) => !was.includes(id)),
    mended: was.filter((id) => !is.includes(id)),
  };
}

/** Promises that were not kept, and the code of an error. */
function findTroubles(variant: VariantRecord): string[] {
  const promises = digestPromises(variant.checks).filter(({ outcome }) => outcome !== 'kept');
  const ids = promises.map(({ id }) => id);
  return variant.error === undefined ? ids : [...ids, variant.error.code];
}

interface Pair {
  readonly name: string;
  readonly before: VariantRecord;
  readonly now: VariantRecord;
}

type Times = Pick<Comparison, 'slower' | 'faster' | 'notTimed'>;

function compareTimes(
  pairs: readonly Pair[],
  { before, now, factor }: { before: RunRecord; now: RunRecord } & CompareOptions,
): Times {
  const none = { slower: [], faster: [] };
  if (pairs.length === 0) return { ...none, notTimed: 'No variant came to a good end in both runs.' };
  const was = acceleratorsOf(before);
  const is = acceleratorsOf(now);
  if (was !== '' && is !== '' && was !== is)
    return { ...none, notTimed: `The machines ran on ${was} before, and on ${is} now.` };
  const names = new Set(pairs.flatMap((pair) => pair.now.phases.map(({ name }) => name)));
  const changes = [...names].flatMap((name) => comparePhase(name, pairs) ?? []);
  const isLarge = ({ beforeMs, nowMs }: PhaseChange): boolean =>
    Math.abs(nowMs - beforeMs) >= LEAST_CHANGE_MS;
  return {
    slower: changes.filter((change) => change.ratio > factor && isLarge(change)),
    faster: changes.filter((change) => change.ratio < 1 / factor && isLarge(change)),
  };
}

/** `kvm and tcg`; empty when nobody knows. */
function acceleratorsOf(record: RunRecord): string {
  return [...new Set(hostsOf(record).map(({ accelerator }) => accelerator))].sort().join(' and ');
}

/** Only variants count that have the phase in both runs. */
function comparePhase(name: string, pairs: readonly Pair[]): PhaseChange | undefined {
  const inBoth = pairs.flatMap((pair) => {
    const was = pair.before.phases.filter((phase) => phase.name === name);
    const is = pair.now.phases.filter((phase) => phase.name === name);
    return was.length === 0 || is.length === 0 ? [] : [{ name: pair.name, was, is }];
  });
  const beforeMs = meanOf(inBoth.flatMap(({ was }) => was));
  const nowMs = meanOf(inBoth.flatMap(({ is }) => is));
  if (beforeMs <= 0 || nowMs <= 0) return undefined;
  const ratio = nowMs / beforeMs;
  const each = inBoth
    .map((pair) => ({ name: pair.name, ratio: meanOf(pair.is) / Math.max(1, meanOf(pair.was)) }))
    .sort((a, b) => (ratio < 1 ? a.ratio - b.ratio : b.ratio - a.ratio));
  const [most] = each;
  return most === undefined ? undefined : { name, beforeMs, nowMs, ratio, most };
}

/** 0 of none. */
function meanOf(phases: readonly PhaseRecord[]): number {
  return phases.reduce((sum, { durationMs }) => sum + durationMs, 0) / Math.max(1, phases.length);
}

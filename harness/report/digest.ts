import type { CheckRecord, VariantRecord } from '../record/index.js';
import { listOf } from './words.js';

/** One promise over all boots after which it was looked at. */
export interface PromiseOutcome {
  readonly id: string;
  readonly title: string;
  /** `kept` only when every look at it was a proof; `unproved` when a look failed to find out. */
  readonly outcome: 'kept' | 'broken' | 'unproved';
  /** All checks of this promise, in order. */
  readonly looks: readonly CheckRecord[];
  /** The first check that decided against it; absent for a promise that was kept. */
  readonly against?: CheckRecord;
}

/** The checks of a variant, gathered by promise, in the order in which they were first looked at. */
export function digestPromises(checks: readonly CheckRecord[]): PromiseOutcome[] {
  const byId = new Map<string, CheckRecord[]>();
  for (const check of checks) {
    const looks = byId.get(check.id);
    if (looks === undefined) byId.set(check.id, [check]);
    else looks.push(check);
  }
  return [...byId].map(([id, looks]) => {
    const title = looks[0]?.title ?? id;
    const broken = looks.find((look) => look.status === 'fail');
    if (broken !== undefined) return { id, title, outcome: 'broken', looks, against: broken };
    const unproved = looks.find((look) => look.status === 'error');
    if (unproved !== undefined) return { id, title, outcome: 'unproved', looks, against: unproved };
    return { id, title, outcome: 'kept', looks };
  });
}

/** How many boots were proved to have wiped the root: the standing promise `root-wiped`, kept. */
export function countWipes(variants: readonly VariantRecord[]): number {
  const checks = variants.flatMap((variant) => variant.checks);
  return checks.filter((check) => check.id === 'root-wiped' && check.status === 'pass').length;
}

/** Why a variant is not a pass, in one sentence; empty when its checks say it. */
export function reasonOf(variant: VariantRecord): string {
  return variant.reason ?? variant.error?.message ?? '';
}

/** "after boot 2"; a check without a boot was made when all boots were over. */
export function momentOf(...checks: readonly CheckRecord[]): string {
  const boots = checks.flatMap((check) => (check.boot === undefined ? [] : [String(check.boot)]));
  const parts = [
    ...(boots.length === 0 ? [] : [`after ${boots.length === 1 ? 'boot' : 'boots'} ${listOf(boots)}`]),
    ...(boots.length === checks.length ? [] : ['at the end']),
  ];
  return parts.join(' and ');
}

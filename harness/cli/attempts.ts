import { HarnessError } from '../core/index.js';
import { isAsDeclared, type RunEvent, type Verdict } from '../record/index.js';
import type { Variant } from '../scenario/index.js';
import { runPool, type PoolLimits } from './pool.js';

/** How often each variant is run, as the command line has it. */
export interface AttemptOptions {
  /** Number of runs of each variant. */
  readonly repeat?: string;
  /** True, or at most how many runs of each variant. */
  readonly untilFail?: string | true;
  /** How often a variant that is not as declared is run again. */
  readonly retries?: string;
}

/** How often each variant is run. */
export interface AttemptPlan {
  /** Runs of each variant, at least 1. */
  readonly repeat: number;
  /** Each run is a record of its own, with a number. */
  readonly isNumbered: boolean;
  /** Nothing more is begun once a run was not as declared. */
  readonly untilFail: boolean;
  readonly retries: number;
}

/** One attempt at a variant. */
export interface Attempt {
  /** The variant's id, from the second attempt on (numbered: from the first) with the number. */
  readonly id: string;
  readonly attempt?: Extract<RunEvent, { type: 'variant-start' }>['attempt'];
}

/** `--until-fail` without a number ends here: what has not failed by then keeps the disk from being filled with evidence. */
const UNTIL_FAIL_MAX = 100;

/**
 * Reads how often each variant is to be run.
 *
 * @throws {HarnessError} USAGE for what is no number from 1, and for two of the options together.
 */
export function readAttempts({ repeat, untilFail, retries }: AttemptOptions): AttemptPlan {
  const given = [
    ...(repeat === undefined ? [] : ['--repeat']),
    ...(untilFail === undefined ? [] : ['--until-fail']),
    ...(retries === undefined ? [] : ['--retries']),
  ];
  if (given.length > 1) {
    throw new HarnessError('USAGE', `${given.join(' and ')} cannot be together`, {
      hint: 'Repetitions show how often a variant is as declared; retries go on where it is not.',
    });
  }
  const most = untilFail === true ? String(UNTIL_FAIL_MAX) : untilFail;
  return {
    repeat: readCount(repeat ?? most ?? '1', repeat === undefined ? '--until-fail' : '--repeat'),
    isNumbered: repeat !== undefined || untilFail !== undefined,
    untilFail: untilFail !== undefined,
    retries: retries === undefined ? 0 : readCount(retries, '--retries'),
  };
}

function readCount(text: string, option: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new HarnessError('USAGE', `${option} takes a whole number from 1 to 9999, not "${text}"`, {
    hint: `Scenarios are named before it: imperm run tmpfs-luks-ext4 ${option} 10`,
  });
}

export interface RunAttemptsOptions<H extends { readonly limits: PoolLimits }> {
  /** Where variants are run. */
  readonly hosts: readonly H[];
  /** Whether a host can run it. */
  readonly suits: (host: H, variant: Variant) => boolean;
  readonly signal: AbortSignal;
  /** Of the machine of a variant. */
  readonly memoryMiB: (variant: Variant) => number;
  readonly processors: (variant: Variant, host: H) => number;
  /**
   * Runs it once. A variant that suits none of the hosts is given to the first, once. Must not throw.
   *
   * @returns What it ended with; nothing when nobody knows.
   */
  readonly runOnce: (variant: Variant, attempt: Attempt, host: H) => Promise<Verdict | undefined>;
  /**
   * Asked of a host after an error, where there are others: one that is gone ends everything at once, would be the least busy one, and
   * get all that is left. @returns Why it is not there any more; undefined when it is.
   */
  readonly whyGone?: (host: H) => Promise<string | undefined>;
  /** Told why a variant is run again, or a host gets no more, as a sentence. */
  readonly note: (text: string) => void;
}

/**
 * Runs variants as often as is asked for, as many at the same time as there is room for. Repetitions go round by round, so that
 * something is known of every variant soon; a retry follows at once, in the place of the attempt before it.
 */
export async function runAttempts<H extends { readonly limits: PoolLimits }>(
  variants: readonly Variant[],
  plan: AttemptPlan,
  options: RunAttemptsOptions<H>,
): Promise<void> {
  const { hosts, suits, signal, note } = options;
  let isOver = false;
  const gone = new Set<H>();
  const runOnce = async (variant: Variant, attempt: Attempt, host: H): Promise<Verdict | undefined> => {
    const verdict = await options.runOnce(variant, attempt, host);
    const why = verdict === 'error' && hosts.length > 1 ? await options.whyGone?.(host) : undefined;
    if (why !== undefined && !gone.has(host)) {
      gone.add(host);
      note(`A host gets nothing more to run: ${why}`);
    }
    return verdict;
  };
  const repeated =
    plan.repeat === 1 ? [] : variants.filter((variant) => hosts.some((host) => suits(host, variant)));
  const pieces = Array.from({ length: plan.repeat }, (_, index) => index + 1).flatMap((number) =>
    (number === 1 ? variants : repeated).map((variant) => ({ variant, number })),
  );
  await runPool(pieces, hosts, {
    memoryMiB: ({ variant }) => options.memoryMiB(variant),
    processors: ({ variant }, host) => options.processors(variant, host),
    suits: (host, { variant }) => !gone.has(host) && suits(host, variant),
    signal,
    work: async ({ variant, number }, given) => {
      if (isOver) return;
      // What only a host could run that is gone ends there, with an error: elsewhere it would count as skipped.
      const host = suits(given, variant) ? given : (hosts.find((other) => suits(other, variant)) ?? given);
      if (!plan.isNumbered) {
        await runWithRetries(variant, plan.retries, {
          runOnce: (attempt) => runOnce(variant, attempt, host),
          note,
          isOver: () => signal.aborted || gone.has(host),
        });
        return;
      }
      const verdict = await runOnce(variant, attemptAt(variant, number, 'repeat'), host);
      if (plan.untilFail && verdict !== undefined && !isAsDeclared(verdict)) isOver = true;
    },
  });
}

async function runWithRetries(
  variant: Variant,
  retries: number,
  options: {
    readonly runOnce: (attempt: Attempt) => Promise<Verdict | undefined>;
    readonly note: (text: string) => void;
    readonly isOver: () => boolean;
  },
): Promise<void> {
  const { runOnce, note, isOver } = options;
  for (let number = 1; number <= retries + 1; number += 1) {
    const attempt = number === 1 ? { id: variant.id } : attemptAt(variant, number, 'retry');
    const verdict = await runOnce(attempt);
    if (verdict === undefined || isAsDeclared(verdict) || isOver() || number > retries) return;
    note(
      `${variant.id} was not as declared (${verdict}) in attempt ${String(number)} of at most ${String(retries + 1)}, and is run again.`,
    );
  }
}

function attemptAt({ id }: Variant, number: number, why: 'repeat' | 'retry'): Attempt {
  return { id: `${id} attempt ${String(number)}`, attempt: { of: id, number, why } };
}

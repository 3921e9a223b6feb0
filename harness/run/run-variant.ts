import { mkdir } from 'node:fs/promises';

import {
  asHarnessError,
  Budget,
  Cleanup,
  describeFailure,
  type HarnessError,
  monotonicMs,
  Redactor,
  takeLease,
} from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import type { AttemptVerdict, ErrorRecord, KeptRecord, RunEvent } from '../record/index.js';
import type { Variant } from '../scenario/index.js';
import type { RunContext } from './context.js';
import { judgeKnownBug } from './findings.js';
import { keepMachine } from './keep-machine.js';
import { PhaseClock } from './phase-clock.js';
import { VariantSession } from './session.js';

export interface RunVariantOptions {
  readonly variant: Variant;
  /** What to do, from the plan. */
  readonly steps: readonly PlanStep[];
  /** Absolute folder for evidence. */
  readonly folder: string;
  /** The same, relative to the record. */
  readonly relativeFolder: string;
  readonly workDir: string;
  /** Command that runs this variant again. */
  readonly repeat: string;
  /** Which attempt it is, when there are several; the variant's id has its number then. */
  readonly attempt?: Extract<RunEvent, { type: 'variant-start' }>['attempt'];
}

/** Installs, boots and judges one variant. Everything it finds goes out as events; it never throws. */
export async function runVariant(run: RunContext, options: RunVariantOptions): Promise<void> {
  const { variant, folder, repeat } = options;
  const { scenario } = variant;
  const redactor = new Redactor();
  run.emit({
    type: 'variant-start',
    variant: variant.id,
    scenario: { name: scenario.name, title: scenario.title, file: scenario.file },
    axes: variant.axes,
    guest: run.guest.name,
    target: run.host.target.name,
    ...(run.host.target.connect === undefined ? {} : { connect: run.host.target.connect }),
    folder: options.relativeFolder,
    repeat,
    ...(options.attempt === undefined ? {} : { attempt: options.attempt }),
  });
  const note = (text: string): void => {
    run.emit({ type: 'note', level: 'warn', text });
  };
  const session = new VariantSession(scenario, options.steps, {
    ...run,
    variant: variant.id,
    folder,
    redactor,
    budget: Budget.start(`the variant ${variant.id}`, scenario.timeoutMs * run.timeScale, run.signal),
    phases: new PhaseClock(run.emit, monotonicMs, variant.id),
  });
  let failure: HarnessError | undefined;
  await using cleanup = new Cleanup((what, error) => {
    note(`${what}: ${describeFailure(error)}`);
  });
  try {
    await mkdir(folder, { recursive: true });
    const lease = await takeLease(options.workDir);
    cleanup.push('removing the disks', () => lease.release());
    await session.run(lease.dir);
  } catch (thrown) {
    failure = asHarnessError(thrown);
  }
  const { failed, checks, broken } = session.log;
  const knownBug = run.guest.knownBug?.(scenario) ?? scenario.knownBug;
  const known = knownBug === undefined ? undefined : judgeKnownBug(knownBug, broken);
  if (known !== undefined && failure === undefined) session.log.add(known);
  const good = knownBug === undefined ? ('pass' as const) : ('known-bug' as const);
  const asDeclared = known === undefined ? failed === 0 : known.status === 'pass';
  const verdict: AttemptVerdict = failure !== undefined ? 'error' : asDeclared ? good : 'fail';
  const kept = await keepIfWanted(run, { session, verdict, failure, ...options });
  // Before the end is told: who hears of it finds nothing of the machine any more.
  await cleanup.release();
  run.emit({
    type: 'variant-end',
    variant: variant.id,
    verdict,
    ...(kept === undefined ? {} : { kept }),
    machineCpuMs: session.power.usedMs,
    ...(failure === undefined
      ? {}
      : { reason: redactor.clean(failure.message), error: recordError(failure, redactor) }),
    ...(verdict === 'fail'
      ? { reason: known?.found ?? `${String(failed)} of ${String(checks)} checks failed` }
      : {}),
    ...(verdict === 'known-bug' && knownBug !== undefined ? { reason: knownBug.reason } : {}),
  });
}

/** What cannot be kept is told, and costs no verdict. */
async function keepIfWanted(
  run: RunContext,
  ended: RunVariantOptions & {
    readonly session: VariantSession;
    readonly verdict: AttemptVerdict;
    readonly failure: HarnessError | undefined;
  },
): Promise<KeptRecord | undefined> {
  const { session, verdict, failure, variant, folder, relativeFolder } = ended;
  const when = run.hands?.keep;
  const { parts } = session;
  const isFailure = verdict === 'fail' || verdict === 'error';
  if (when === undefined || parts === undefined || (when === 'fail' && !isFailure)) return undefined;
  // Whoever interrupts a run wants it to end.
  if (run.signal.aborted || failure?.code === 'INTERRUPTED') return undefined;
  try {
    const { sizeBytes, name } = await keepMachine(variant, parts, { ...run, folder });
    return { folder: `${relativeFolder}/${name}`, sizeBytes };
  } catch (thrown) {
    const text = `The machine of ${variant.id} could not be kept: ${describeFailure(thrown)}`;
    run.emit({ type: 'note', level: 'warn', text });
    return undefined;
  }
}

function recordError(failure: HarnessError, redactor: Redactor): ErrorRecord {
  return {
    code: failure.code,
    message: redactor.clean(failure.message),
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    ...(failure.place === undefined ? {} : { place: failure.place }),
    ...(failure.details === undefined ? {} : { details: redactor.clean(failure.details) }),
  };
}

import { mkdir } from 'node:fs/promises';

import { asHarnessError, Budget, type HarnessError, monotonicMs, Redactor } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import type { AttemptVerdict, ErrorRecord, RunEvent } from '../record/index.js';
import type { Variant } from '../scenario/index.js';
import type { RunContext } from './context.js';
import { judgeKnownBug } from './findings.js';
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
    folder: options.relativeFolder,
    repeat,
    ...(options.attempt === undefined ? {} : { attempt: options.attempt }),
  });
  const session = new VariantSession(scenario, {
    ...run,
    variant: variant.id,
    folder,
    redactor,
    budget: Budget.start(`the variant ${variant.id}`, scenario.timeoutMs * run.timeScale, run.signal),
    phases: new PhaseClock(run.emit, monotonicMs, variant.id),
  });
  let failure: HarnessError | undefined;
  try {
    await mkdir(folder, { recursive: true });
    await session.run(options.steps, options.workDir);
  } catch (thrown) {
    failure = asHarnessError(thrown);
  }
  const { failed, checks, broken } = session.log;
  const knownBug = run.guest.knownBug?.(scenario) ?? scenario.knownBug;
  const known = knownBug === undefined ? undefined : judgeKnownBug(knownBug, broken);
  if (known !== undefined && failure === undefined) session.log.add(known);
  const kept = knownBug === undefined ? ('pass' as const) : ('known-bug' as const);
  const asDeclared = known === undefined ? failed === 0 : known.status === 'pass';
  const verdict: AttemptVerdict = failure !== undefined ? 'error' : asDeclared ? kept : 'fail';
  run.emit({
    type: 'variant-end',
    variant: variant.id,
    verdict,
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

function recordError(failure: HarnessError, redactor: Redactor): ErrorRecord {
  return {
    code: failure.code,
    message: redactor.clean(failure.message),
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    ...(failure.place === undefined ? {} : { place: failure.place }),
    ...(failure.details === undefined ? {} : { details: redactor.clean(failure.details) }),
  };
}

import path from 'node:path';

import { readAvailableMemory } from '../host/index.js';
import { type Plan, planVariant, type TargetFacts } from '../plan/index.js';
import { folderOfVariant } from '../record/index.js';
import { type RunContext, runVariant } from '../run/index.js';
import type { Variant } from '../scenario/index.js';
import { ordinaryCpus } from '../target/index.js';
import { type Attempt, type AttemptPlan, runAttempts } from './attempts.js';
import { memoryOf, processorBudget, processorsOf, readJobs } from './jobs.js';
import type { Reporting } from './reporting.js';

export interface RunVariantsOptions {
  readonly context: RunContext;
  readonly reporting: Pick<Reporting, 'emit' | 'verdictOf' | 'warn'>;
  readonly attempts: AttemptPlan;
  /** Of the target and the guest. Without memory: what this host has free. */
  readonly facts: Omit<TargetFacts, 'memoryMiB'> & Partial<Pick<TargetFacts, 'memoryMiB'>>;
  /** As given with `--jobs`. */
  readonly jobs?: string;
  /** Folder of the run. */
  readonly folder: string;
  readonly workDir: string;
  /** The command that runs a variant again. */
  readonly repeatCommand: (variant: Variant) => string;
}

/** Runs variants as often as is asked for, as many at once as there is room for. What happens is told in events. */
export async function runVariants(variants: readonly Variant[], options: RunVariantsOptions): Promise<void> {
  const { context, reporting, attempts, facts, jobs } = options;
  const memoryMiB = facts.memoryMiB ?? (await readAvailableMemory()).availableMiB;
  const cpus = ordinaryCpus(context.host.accelerator.kind === 'kvm');
  const planOf = (variant: Variant): Plan => planVariant(variant, { ...facts, memoryMiB });
  const whyNot = (plan: Plan): string | undefined =>
    'skip' in plan ? plan.skip : context.guest.whyNot?.(plan.variant.scenario);
  await runAttempts(variants, attempts, {
    limits: {
      jobs: context.hardware === undefined ? readJobs(jobs) : 1,
      memoryMiB,
      processors: processorBudget(jobs, cpus),
    },
    memoryMiB: ({ scenario }) => memoryOf(scenario),
    processors: ({ scenario }) => processorsOf(scenario, cpus),
    signal: context.signal,
    isSkipped: (variant) => whyNot(planOf(variant)) !== undefined,
    runOnce: async (variant, attempt) => {
      const plan = planOf(variant);
      const skip = whyNot(plan);
      if ('skip' in plan || skip !== undefined) tellSkipped(plan, attempt, { ...options, reason: skip });
      else await runPlan(plan, attempt, options);
      return reporting.verdictOf(attempt.id);
    },
    note: reporting.warn,
  });
}

async function runPlan(
  { variant, steps }: Exclude<Plan, { skip: string }>,
  { id, attempt }: Attempt,
  { context, folder, workDir, repeatCommand }: RunVariantsOptions,
): Promise<void> {
  const relativeFolder = folderOfVariant(id);
  await runVariant(context, {
    variant: { ...variant, id },
    steps,
    folder: path.join(folder, relativeFolder),
    relativeFolder,
    workDir,
    repeat: repeatCommand(variant),
    ...(attempt === undefined ? {} : { attempt }),
  });
}

function tellSkipped(
  { variant }: Plan,
  { id, attempt }: Attempt,
  { context, reporting, repeatCommand, reason }: RunVariantsOptions & { readonly reason: string | undefined },
): void {
  const { scenario, axes } = variant;
  reporting.emit({
    type: 'variant-start',
    variant: id,
    scenario: { name: scenario.name, title: scenario.title, file: scenario.file },
    axes,
    guest: context.guest.name,
    target: context.host.target.name,
    folder: folderOfVariant(id),
    repeat: repeatCommand(variant),
    ...(attempt === undefined ? {} : { attempt }),
  });
  reporting.emit({
    type: 'variant-end',
    variant: id,
    verdict: 'skip',
    ...(reason === undefined ? {} : { reason }),
    machineCpuMs: 0,
  });
}

import path from 'node:path';

import { readAvailableMemory } from '../host/index.js';
import { type Plan, planVariant, type TargetFacts } from '../plan/index.js';
import { folderOfVariant } from '../record/index.js';
import { type RunContext, runVariant } from '../run/index.js';
import type { Variant } from '../scenario/index.js';
import { ordinaryCpus } from '../target/index.js';
import { type Attempt, type AttemptPlan, runAttempts } from './attempts.js';
import { memoryOf, processorBudget, processorsOf, readJobs } from './jobs.js';
import type { PoolLimits } from './pool.js';
import type { Reporting } from './reporting.js';

/** A host that can have machines. */
export interface VariantHost {
  readonly context: RunContext;
  /** Of the target and the guest. Without memory: what this host has free. */
  readonly facts: Omit<TargetFacts, 'memoryMiB'> & Partial<Pick<TargetFacts, 'memoryMiB'>>;
  /** Processors. Absent: as many as this host has. */
  readonly cpus?: number;
  /** The command that runs a variant again there. */
  readonly repeatCommand: (variant: Variant) => string;
  /** Asks whether it is still there. @returns Why not; undefined when it is. */
  readonly whyGone?: () => Promise<string | undefined>;
}

export interface RunVariantsOptions {
  /** At least one. */
  readonly hosts: readonly VariantHost[];
  readonly reporting: Pick<Reporting, 'emit' | 'verdictOf' | 'warn'>;
  readonly attempts: AttemptPlan;
  readonly signal: AbortSignal;
  /** As given with `--jobs`; counts for each host. */
  readonly jobs?: string;
  /** Folder of the run. */
  readonly folder: string;
  readonly workDir: string;
}

/** A host, with what it has room for. */
interface MeasuredHost extends Omit<VariantHost, 'facts'> {
  readonly facts: TargetFacts;
  readonly limits: PoolLimits;
}

/** Runs variants as often as is asked for, as many at once as there is room for. What happens is told in events. */
export async function runVariants(variants: readonly Variant[], options: RunVariantsOptions): Promise<void> {
  const { reporting, attempts, signal } = options;
  const hosts = await Promise.all(options.hosts.map((host) => measure(host, options.jobs)));
  const whyNot = ({ context }: MeasuredHost, plan: Plan): string | undefined =>
    'skip' in plan ? plan.skip : context.guest.whyNot?.(plan.variant.scenario);
  await runAttempts(variants, attempts, {
    hosts,
    suits: (host, variant) => whyNot(host, planVariant(variant, host.facts)) === undefined,
    memoryMiB: ({ scenario }) => memoryOf(scenario),
    processors: ({ scenario }, host) => processorsOf(scenario, ordinaryOf(host)),
    signal,
    runOnce: async (variant, attempt, host) => {
      const plan = planVariant(variant, host.facts);
      const skip = whyNot(host, plan);
      if ('skip' in plan || skip !== undefined) tellSkipped(plan, attempt, { host, reporting, reason: skip });
      else await runPlan(plan, attempt, { ...options, host });
      return reporting.verdictOf(attempt.id);
    },
    whyGone: async (host) => host.whyGone?.(),
    note: reporting.warn,
  });
}

async function measure(host: VariantHost, jobs: string | undefined): Promise<MeasuredHost> {
  const { context, facts, cpus } = host;
  const memoryMiB = facts.memoryMiB ?? (await readAvailableMemory()).availableMiB;
  return {
    ...host,
    facts: { ...facts, memoryMiB },
    limits: {
      jobs: context.hardware === undefined ? readJobs(jobs, cpus) : 1,
      memoryMiB,
      processors: processorBudget(jobs, ordinaryOf(host), cpus),
    },
  };
}

function ordinaryOf({ context }: Pick<VariantHost, 'context'>): number {
  return ordinaryCpus(context.host.accelerator.kind === 'kvm');
}

async function runPlan(
  { variant, steps }: Exclude<Plan, { skip: string }>,
  { id, attempt }: Attempt,
  { host, folder, workDir }: Pick<RunVariantsOptions, 'folder' | 'workDir'> & { readonly host: VariantHost },
): Promise<void> {
  const { context, repeatCommand } = host;
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
  {
    host,
    reporting,
    reason,
  }: Pick<RunVariantsOptions, 'reporting'> & {
    readonly host: VariantHost;
    readonly reason: string | undefined;
  },
): void {
  const { context, repeatCommand } = host;
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

import { asHarnessError, type Environment } from '../core/index.js';
import type { Plan, TargetFacts } from '../plan/index.js';
import { type GuestChoice, prepareRun, type PrepareOptions, type RunContext } from '../run/index.js';
import type { GuestKind, Scenario, Variant } from '../scenario/index.js';
import type { OpenTarget, TargetChoice } from '../target/index.js';
import { askTarget, describeTarget, reapLibvirt } from './choose-target.js';
import type { HostOptions } from './options.js';
import type { VariantHost } from './run-variants.js';

/** A host that has said what it can do. Nothing has been made for it yet. */
export interface OpenHost {
  readonly choice: TargetChoice;
  readonly target: OpenTarget;
  readonly facts: Omit<TargetFacts, 'memoryMiB'> & Partial<Pick<TargetFacts, 'memoryMiB'>>;
}

/** Asks all hosts that are to have machines what they can do, and ends what dead runs left at their libvirts. */
export function openHosts(
  choices: readonly TargetChoice[],
  options: { readonly environment: Environment; readonly signal: AbortSignal; readonly guest: GuestKind },
): Promise<readonly OpenHost[]> {
  const { environment, signal, guest } = options;
  return Promise.all(
    choices.map(async (choice) => {
      const target = await askTarget(choice, { workDir: environment.workDir, signal });
      if (choice.kind === 'libvirt') await reapLibvirt(choice.uri, signal);
      return { choice, target, facts: { guest, ...describeTarget(target) } };
    }),
  );
}

/** Of all variants that are not skipped. */
export function scenariosOf(plans: readonly Plan[]): Scenario[] {
  return plans.filter((plan) => !('skip' in plan)).map(({ variant }) => variant.scenario);
}

/** Makes ready on every host what its variants need, one host after the other: most of it is the same. */
export async function prepareHosts(
  hosts: readonly (OpenHost & { readonly plans: readonly Plan[] })[],
  options: Pick<HostOptions, 'tools' | 'accel'> &
    Pick<PrepareOptions, 'environment' | 'signal' | 'emit'> & {
      readonly guest: GuestChoice;
      readonly hands?: RunContext['hands'];
      readonly repeatCommand: (variant: Variant, choice: TargetChoice) => string;
    },
): Promise<readonly VariantHost[]> {
  const { environment, tools, accel, signal, emit, guest, hands } = options;
  const prepared: VariantHost[] = [];
  for (const { choice, target, facts, plans } of hosts) {
    const scenarios = scenariosOf(plans);
    const context = await prepareRun({
      environment,
      tools,
      accelerator: accel,
      target,
      signal,
      emit,
      guest,
      scenarios,
    });
    prepared.push({
      context: hands === undefined ? context : { ...context, hands },
      facts,
      ...(target.capacity === undefined ? {} : { cpus: target.capacity.cpus }),
      repeatCommand: (variant) => options.repeatCommand(variant, choice),
      whyGone: () =>
        askTarget(choice, { workDir: environment.workDir, signal }).then(
          () => undefined,
          (thrown: unknown) =>
            `${choice.kind === 'libvirt' ? choice.uri : choice.kind}: ${asHarnessError(thrown).message}`,
        ),
    });
  }
  return prepared;
}

import {
  type BootEvidence,
  type CanaryPlan,
  checkBoot,
  checkLogins,
  collectBootEvidence,
  collectPlanted,
  type Collection,
  type InstallEvidence,
  planCanaries,
  type PlantedEvidence,
} from '../probe/index.js';
import type { PlanStep } from '../plan/index.js';
import type { Scenario } from '../scenario/index.js';
import type { MachineShell } from '../target/index.js';
import type { BootedSystem } from './booted-system.js';
import { makeBoundary } from './boundary.js';
import { checkIdentity } from './check-identity.js';
import type { VariantContext } from './context.js';
import type { FindingLog } from './findings.js';
import { LeakWatch } from './leak-watch.js';
import type { MachineParts } from './machine-parts.js';
import type { MachinePower } from './power.js';

export type BootStep = Extract<PlanStep, { kind: 'boot' }>;

export interface RunningBoot {
  readonly shell: MachineShell;
  /** How often stage 1 asked for a passphrase. */
  readonly prompts: number;
}

/** What is gathered and judged in the boots of a variant, one after the other. */
export class BootJudge {
  readonly planted: { plan: CanaryPlan; evidence: PlantedEvidence }[] = [];
  readonly leaks: LeakWatch;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #system: BootedSystem;
  readonly #power: MachinePower;
  readonly #log: FindingLog;
  #previous: BootEvidence | undefined;

  constructor(
    scenario: Scenario,
    context: VariantContext,
    parts: { readonly system: BootedSystem; readonly power: MachinePower; readonly log: FindingLog },
  ) {
    this.#scenario = scenario;
    this.#context = context;
    this.#system = parts.system;
    this.#power = parts.power;
    this.#log = parts.log;
    this.leaks = new LeakWatch(scenario, context);
  }

  /** Gathers the evidence of a boot that has come up, and judges it. */
  async judge(
    { boot, how }: BootStep,
    { shell, prompts }: RunningBoot,
    installed: InstallEvidence,
  ): Promise<void> {
    const context = this.#context;
    const scenario = this.#scenario;
    const evidence = await context.phases.run(
      'probe',
      async () => {
        const canaryFolders = this.planted.flatMap(({ plan }) => [...plan.doomed, ...plan.kept.values()]);
        const collection = collectBootEvidence(scenario, boot, { canaryFolders, boundary: makeBoundary() });
        const found = await this.#system.collect(shell, collection, `the evidence of boot ${String(boot)}`);
        await this.leaks.lookAtStart(found, this.#askOf(shell));
        return found;
      },
      boot,
    );
    await this.#log.save(`boot-${String(boot)}.json`, evidence);
    checkIdentity(evidence, {
      nonce: this.#power.nonce,
      bootBefore: this.#previous?.bootId,
      guest: context.guest.name,
    });
    context.emit({
      type: 'boot',
      variant: context.variant,
      boot: { number: boot, how, bootId: evidence.bootId },
    });
    const session = { prompts, scripts: await this.#system.runChecks(boot, shell) };
    await this.#log.save(`session-${String(boot)}.json`, session);
    const previous = this.#previous === undefined ? {} : { previous: this.#previous };
    const findings = checkBoot({
      scenario,
      evidence,
      planted: this.planted,
      installed: installed.subvolumes,
      session,
      how,
      ...previous,
    });
    this.#log.report(findings, [`boot-${String(boot)}.json`, `session-${String(boot)}.json`, 'journal.log']);
    this.#previous = evidence;
  }

  /** The last thing in a boot: what its scripts did to the system is then done. */
  async logIn(boot: number, { password }: MachineParts, shell: MachineShell): Promise<void> {
    const logins = await this.#system.logIn(boot, { password, shell });
    if (logins.size === 0) return;
    const name = `logins-${String(boot)}.json`;
    await this.#log.save(name, logins);
    this.#log.report(checkLogins(this.#scenario, boot, logins), [name, 'journal.log']);
  }

  /** The last look into the running system, before anyone logs in: what a login leaves is the harness's. */
  async lookAtEnd(boot: number, shell: MachineShell): Promise<void> {
    await this.leaks.lookAtEnd(boot, this.#askOf(shell));
  }

  /** Leaves things that have to vanish, and others that have to stay. */
  async plant(boot: number, shell: MachineShell): Promise<void> {
    await this.#context.phases.run(
      'plant',
      async () => {
        const plan = planCanaries(this.#scenario, boot);
        const collection = collectPlanted(boot, {
          folders: [...plan.doomed, ...plan.kept.values()],
          plantScript: plan.script,
          boundary: makeBoundary(),
        });
        const evidence = await this.#system.collect(shell, collection, 'the canaries to be planted');
        await this.#log.save(`planted-${String(boot)}.json`, evidence);
        this.planted.push({ plan, evidence });
      },
      boot,
    );
  }

  #askOf(shell: MachineShell) {
    return <T>(collection: Collection<T>, label: string): Promise<T> =>
      this.#system.collect(shell, collection, label);
  }
}

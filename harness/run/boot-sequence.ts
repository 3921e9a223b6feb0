import path from 'node:path';

import { describeFailure, monotonicMs } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import type { InstallEvidence } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { Machine, type MachineShell } from '../target/index.js';
import type { BootJudge, BootStep, RunningBoot } from './boot-judge.js';
import { followBoot } from './boot-machine.js';
import type { BootedSystem } from './booted-system.js';
import type { VariantContext } from './context.js';
import { cutBootAt, cutShutdownAt } from './cut-boot.js';
import { AT_ONCE, type Typing } from './fault-state.js';
import { applyFaults } from './faults.js';
import type { FindingLog } from './findings.js';
import { hibernate, hibernationFinding } from './hibernation.js';
import type { Holder } from './holder.js';
import type { MachineParts } from './machine-parts.js';
import type { MachinePower } from './power.js';
import { isLayoutsFault, type StuckBoot } from './stuck-boot.js';

/** How the boots of a variant ended. */
export interface Ending {
  readonly stuck?: StuckBoot;
  /** The power went while the system was up or on its way. */
  readonly wasCut: boolean;
}

export interface BootSequenceParts {
  readonly power: MachinePower;
  readonly system: BootedSystem;
  readonly judge: BootJudge;
  readonly log: FindingLog;
  readonly holder: Holder;
}

/** All boots of a variant in turn, and what is done in them and between them. */
export class BootSequence {
  /** Of the LUKS devices, as they were set up. */
  headers: InstallEvidence['headers'];
  /** The machine's parts as they are now. */
  parts: MachineParts;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #with: BootSequenceParts;
  readonly #installed: InstallEvidence;
  #shell: MachineShell | undefined;

  constructor(
    scenario: Scenario,
    context: VariantContext,
    options: BootSequenceParts & { readonly parts: MachineParts; readonly installed: InstallEvidence },
  ) {
    this.#scenario = scenario;
    this.#context = context;
    this.#with = options;
    this.#installed = options.installed;
    this.headers = options.installed.headers;
    this.parts = options.parts;
  }

  /** Until one boot does not come up or a hibernated system does not go on. */
  async run(steps: readonly PlanStep[]): Promise<Ending> {
    for (const step of steps) {
      const ending = await this.#doStep(step);
      await this.#with.holder.ifBroken(this.parts);
      if (ending !== undefined) return ending;
      // What comes before the boots, and after them, is done elsewhere.
      if ('boot' in step && step.boot > 0) await this.#with.holder.atEnd(step, this.parts);
    }
    return { wasCut: false };
  }

  /** @returns How it ended, when nothing can come after the step. */
  async #doStep(step: PlanStep): Promise<Ending | undefined> {
    const { power, system, judge, log } = this.#with;
    const scenario = this.#scenario;
    const context = this.#context;
    const shell = this.#shell;
    switch (step.kind) {
      case 'enrol-tpm2':
        if (shell !== undefined) this.headers = await system.enrolTpm2(step, shell, this.parts.passphrase);
        return undefined;
      case 'run':
        if (shell !== undefined) await system.runScript(step, shell);
        return undefined;
      case 'hibernate': {
        if (shell === undefined) return undefined;
        const { boot } = step;
        const slept = await hibernate(power, context, { scenario, boot, parts: this.parts, shell });
        const found = hibernationFinding(scenario, boot, slept.judgement);
        log.report(found, ['console.log', 'journal.log']);
        this.parts = slept.parts;
        this.#shell = slept.shell;
        return slept.shell === undefined ? { wasCut: true } : undefined;
      }
      case 'power-off':
        // Before anyone logs in: what a login leaves is the harness's.
        if (shell !== undefined) {
          await judge.lookAtEnd(step.boot, shell);
          await this.#logIn(step.boot, shell);
        }
        await power.off(step.boot);
        return undefined;
      case 'shut-down':
        if (shell !== undefined) await this.#logIn(step.boot, shell);
        this.#shell = undefined;
        if (step.how === 'power-off') await power.off(step.boot);
        else await power.cut();
        return undefined;
      case 'faults':
        if (step.boot > 0) {
          const faulted = await applyFaults(step.faults, this.parts, {
            scenario,
            context,
            isInstalled: true,
          });
          this.parts = faulted.parts;
          this.headers = faulted.headers ?? this.headers;
        }
        return undefined;
      case 'power-cut-at':
        return this.#cutPower(step);
      case 'boot':
        return this.#bootAndJudge(step);
      default:
        return undefined;
    }
  }

  async #cutPower(step: Extract<PlanStep, { kind: 'power-cut-at' }>): Promise<Ending | undefined> {
    const { power } = this.#with;
    const running = this.#shell;
    this.#shell = undefined;
    try {
      if (step.during === 'shutdown') {
        if (running !== undefined) await this.#logIn(step.boot, running);
        await cutShutdownAt(step, power, this.#context);
      } else {
        if (running !== undefined) await this.#logIn(step.boot - 1, running);
        await cutBootAt(step, power, this.#context, this.parts);
        this.parts = typedAtOnce(this.parts);
      }
      return undefined;
    } catch (error) {
      return { stuck: await this.#takeStuckBoot(step.boot, error), wasCut: true };
    }
  }

  async #bootAndJudge(step: BootStep): Promise<Ending | undefined> {
    const { power, judge, log, holder } = this.#with;
    const running = this.#shell;
    if (running !== undefined) await this.#logIn(step.boot - 1, running);
    let from = 0;
    if (step.how === 'reboot' && running !== undefined) {
      from = await power.reboot(step.boot - 1, this.parts);
    } else {
      await power.cut();
      await power.on(this.parts);
    }
    const { passphrase, faults } = this.parts;
    const up = await this.#boot(step, { from, passphrase, typing: faults.typing });
    this.parts = typedAtOnce(this.parts);
    if ('error' in up) return { stuck: up, wasCut: true };
    this.#shell = up.shell;
    await judge.judge(step, up, this.#installed);
    // As it was found: before anything is planted.
    await holder.ifBroken(this.parts);
    if (log.isDecided()) return { wasCut: true };
    await judge.plant(step.boot, up.shell);
    return undefined;
  }

  async #logIn(boot: number, shell: MachineShell): Promise<void> {
    await this.#with.judge.logIn(boot, this.parts, shell);
    await this.#with.holder.ifBroken(this.parts);
  }

  async #boot(
    { boot, how }: BootStep,
    options: { readonly from: number; readonly passphrase: string; readonly typing: Typing },
  ): Promise<RunningBoot | StuckBoot> {
    const context = this.#context;
    context.emit({ type: 'boot', variant: context.variant, boot: { number: boot, how } });
    const startMs = monotonicMs();
    try {
      const asks = this.#scenario.system.luks.length > 0;
      const up = await followBoot(this.#with.power.machine, context, {
        boot,
        asks,
        stage1: this.#scenario.system.stage1,
        enrolsKeys: boot === 1 && this.#scenario.system.secureBoot !== undefined,
        ...options,
      });
      const upS = (monotonicMs() - startMs) / 1000;
      this.#with.log.add({
        id: 'boots',
        title: 'the system comes up',
        boot,
        status: 'pass',
        found: `after ${upS.toFixed(1)} s`,
      });
      return up;
    } catch (error) {
      return this.#takeStuckBoot(boot, error);
    }
  }

  /** @throws What is not the layout's fault. */
  async #takeStuckBoot(boot: number, error: unknown): Promise<StuckBoot> {
    if (!isLayoutsFault(error)) throw error;
    if (this.#context.hardware !== undefined || this.#context.brief === true) return { boot, error };
    // While the machine still shows it.
    const screen = path.join(this.#context.folder, 'screen.png');
    await this.#with.power.machine.screenshot(screen, Machine.stopBudget()).catch((thrown: unknown) => {
      const text = `No picture of the screen: ${describeFailure(thrown)}`;
      this.#context.emit({ type: 'note', level: 'warn', text });
    });
    await this.#with.holder.ifStuck(boot, error, this.parts);
    return { boot, error };
  }
}

/** What somebody types slowly or wrongly is so in one boot. */
function typedAtOnce(parts: MachineParts): MachineParts {
  return { ...parts, faults: { ...parts.faults, typing: AT_ONCE } };
}

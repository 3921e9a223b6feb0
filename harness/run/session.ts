import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Cleanup, describeFailure, monotonicMs, takeLease } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import { checkDisk, ConsoleWatch, type InstallEvidence } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { type MachineShell, Machine } from '../target/index.js';
import { BootJudge, type BootStep, type RunningBoot } from './boot-judge.js';
import { followBoot } from './boot-machine.js';
import { BootedSystem } from './booted-system.js';
import type { VariantContext } from './context.js';
import { FindingLog, judgeConsole, whyConsoleUnseen } from './findings.js';
import { cutBootAt, cutShutdownAt } from './cut-boot.js';
import { applyFaults } from './faults.js';
import { reportFailedInstall } from './failed-install.js';
import { hibernate, hibernationFinding } from './hibernation.js';
import { inspectPoweredOff } from './inspect.js';
import { type MachineParts, makeMachineParts } from './machine-parts.js';
import { checkUntouched, digestUntouched } from './make-disks.js';
import { MachinePower } from './power.js';
import { AT_ONCE, type Typing } from './fault-state.js';
import { provideDisk } from './provide-disk.js';
import { makeSecrets } from './secrets.js';
import { isLayoutsFault, reportStuckBoot, type StuckBoot } from './stuck-boot.js';

/** How the boots of a variant ended. */
interface Ending {
  /** The machine's parts at the end. */
  readonly parts: MachineParts;
  readonly stuck?: StuckBoot;
  /** The power went while the system was up or on its way. */
  readonly wasCut: boolean;
}

/** One variant from the empty disk to the last look at it. */
export class VariantSession {
  readonly log: FindingLog;
  readonly power: MachinePower;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #watch: ConsoleWatch;
  readonly #system: BootedSystem;
  readonly #judge: BootJudge;
  /** Of the LUKS devices, as they were set up. */
  #headers: InstallEvidence['headers'] = new Map();

  constructor(scenario: Scenario, context: VariantContext) {
    this.#scenario = scenario;
    this.#context = context;
    this.#watch = new ConsoleWatch(scenario.consoleAllow);
    this.log = new FindingLog(context);
    this.power = new MachinePower(scenario, context, this.#watch);
    this.#system = new BootedSystem(scenario, context, this.power);
    this.#judge = new BootJudge(scenario, context, {
      system: this.#system,
      power: this.power,
      log: this.log,
    });
  }

  /** Does what the plan says. */
  async run(steps: readonly PlanStep[], workDir: string): Promise<void> {
    const scenario = this.#scenario;
    const context = this.#context;
    await using cleanup = new Cleanup((what, error) => {
      this.#note(`${what}: ${describeFailure(error)}`);
    });
    const lease = await takeLease(workDir);
    cleanup.push('removing the disks', () => lease.release());
    cleanup.push('stopping the machine', () => this.power.cut());
    const secrets = makeSecrets(context.redactor);
    const made = await makeMachineParts(scenario, context, { workDir: lease.dir, secrets });
    const [first] = steps;
    const parts =
      first?.kind === 'faults'
        ? await applyFaults(first.faults, made, { scenario, context, isInstalled: false })
        : made;
    const digests = await digestUntouched(scenario, parts.disks);
    const provided = await provideDisk(scenario, parts, context).catch((error: unknown) => {
      reportFailedInstall(error, { scenario, log: this.log });
      return undefined;
    });
    if (provided === undefined) {
      this.log.report(checkUntouched(scenario, digests, await digestUntouched(scenario, parts.disks)), []);
      return;
    }
    const installed = provided.evidence;
    await this.log.save('install.json', installed);
    this.#headers = installed.headers;
    this.log.report(provided.findings, ['install.json']);
    const ending = await this.#bootAll(steps, parts, installed);
    await this.power.cut();
    const { stuck, wasCut } = ending;
    const report = { ...context, scenario, log: this.log };
    // That it did not come up is all that was wanted.
    if (stuck !== undefined && context.brief === true)
      await reportStuckBoot(stuck, { ...report, disk: { volumes: [] } });
    if (this.log.isDecided()) return;
    const evidence = await context.phases.run('inspect-disk', () =>
      inspectPoweredOff(scenario, ending.parts, {
        ...context,
        trees: this.#judge.leaks.diskTrees,
        // A real machine forwards its journal only once it can be talked to.
        journal: stuck !== undefined && context.hardware !== undefined,
      }),
    );
    if (stuck !== undefined) await reportStuckBoot(stuck, { ...report, disk: evidence });
    const { journal } = evidence;
    if (journal !== undefined)
      await writeFile(path.join(context.folder, 'disk-journal.log'), context.redactor.clean(journal));
    await this.log.save('disk.json', { ...evidence, trees: undefined, journal: undefined });
    await this.#judge.leaks.report(evidence.trees, this.log, wasCut);
    const asSetUp = { ...installed, headers: this.#headers };
    const findings = checkDisk({
      scenario,
      evidence,
      installed: asSetUp,
      planted: this.#judge.planted,
      wasCut,
    });
    this.log.report(findings, ['disk.json']);
    // The parts of the beginning: what a resumed system wrote lies on copies.
    this.log.report(checkUntouched(scenario, digests, await digestUntouched(scenario, parts.disks)), []);
    const unseen = whyConsoleUnseen(context);
    if (unseen !== undefined) this.#note(unseen);
    else
      this.log.report(judgeConsole(scenario, this.#watch.findings, { cameUp: stuck === undefined }), [
        'console.log',
      ]);
  }

  /** All boots in turn, until one does not come up or a hibernated system does not go on. */
  async #bootAll(
    steps: readonly PlanStep[],
    newParts: MachineParts,
    installed: InstallEvidence,
  ): Promise<Ending> {
    let shell: MachineShell | undefined;
    let parts = newParts;
    for (const step of steps) {
      if (step.kind === 'enrol-tpm2' && shell !== undefined)
        this.#headers = await this.#system.enrolTpm2(step, shell, parts.passphrase);
      if (step.kind === 'run' && shell !== undefined) await this.#system.runScript(step, shell);
      if (step.kind === 'hibernate' && shell !== undefined) {
        const { boot } = step;
        const slept = await hibernate(this.power, this.#context, {
          scenario: this.#scenario,
          boot,
          parts,
          shell,
        });
        this.log.report(hibernationFinding(this.#scenario, boot, slept.judgement), [
          'console.log',
          'journal.log',
        ]);
        ({ parts, shell } = slept);
        if (shell === undefined) return { parts, wasCut: true };
      }
      if (step.kind === 'power-off') {
        // Before anyone logs in: what a login leaves is the harness's.
        if (shell !== undefined) {
          await this.#judge.lookAtEnd(step.boot, shell);
          await this.#judge.logIn(step.boot, parts, shell);
        }
        await this.power.off(step.boot);
      }
      if (step.kind === 'shut-down') {
        if (shell !== undefined) await this.#judge.logIn(step.boot, parts, shell);
        shell = undefined;
        if (step.how === 'power-off') await this.power.off(step.boot);
        else await this.power.cut();
      }
      if (step.kind === 'faults' && step.boot > 0) {
        const { faults } = step;
        parts = await applyFaults(faults, parts, {
          scenario: this.#scenario,
          context: this.#context,
          isInstalled: true,
        });
      }
      if (step.kind === 'power-cut-at') {
        const running = shell;
        shell = undefined;
        try {
          if (step.during === 'shutdown') {
            if (running !== undefined) await this.#judge.logIn(step.boot, parts, running);
            await cutShutdownAt(step, this.power, this.#context);
          } else {
            if (running !== undefined) await this.#judge.logIn(step.boot - 1, parts, running);
            await cutBootAt(step, this.power, this.#context, parts);
            parts = typedAtOnce(parts);
          }
        } catch (error) {
          return { parts, stuck: await this.#takeStuckBoot(step.boot, error), wasCut: true };
        }
      }
      if (step.kind !== 'boot') continue;
      if (shell !== undefined) await this.#judge.logIn(step.boot - 1, parts, shell);
      let from = 0;
      if (step.how === 'reboot' && shell !== undefined) {
        from = await this.power.reboot(step.boot - 1);
      } else {
        await this.power.cut();
        await this.power.on(parts);
      }
      const { passphrase, faults } = parts;
      const up = await this.#boot(step, { from, passphrase, typing: faults.typing });
      parts = typedAtOnce(parts);
      if ('error' in up) return { parts, stuck: up, wasCut: true };
      shell = up.shell;
      await this.#judge.judge(step, up, installed);
      if (this.log.isDecided()) return { parts, wasCut: true };
      await this.#judge.plant(step.boot, shell);
    }
    return { parts, wasCut: false };
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
      const up = await followBoot(this.power.machine, context, {
        boot,
        asks,
        stage1: this.#scenario.system.stage1,
        enrolsKeys: boot === 1 && this.#scenario.system.secureBoot !== undefined,
        ...options,
      });
      const upS = (monotonicMs() - startMs) / 1000;
      this.log.add({
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
    await this.power.machine.screenshot(screen, Machine.stopBudget()).catch((thrown: unknown) => {
      this.#note(`No picture of the screen: ${describeFailure(thrown)}`);
    });
    return { boot, error };
  }

  #note(text: string): void {
    this.#context.emit({ type: 'note', level: 'warn', text });
  }
}

/** What somebody types slowly or wrongly is so in one boot. */
function typedAtOnce(parts: MachineParts): MachineParts {
  return { ...parts, faults: { ...parts.faults, typing: AT_ONCE } };
}

import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Cleanup, describeFailure, monotonicMs, takeLease } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import {
  type BootEvidence,
  type CanaryPlan,
  checkBoot,
  checkDisk,
  checkLogins,
  collectBootEvidence,
  collectPlanted,
  type Collection,
  ConsoleWatch,
  type InstallEvidence,
  planCanaries,
  type PlantedEvidence,
} from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { type MachineShell, Machine } from '../target/index.js';
import { followBoot } from './boot-machine.js';
import { BootedSystem } from './booted-system.js';
import { makeBoundary } from './boundary.js';
import { checkIdentity } from './check-identity.js';
import type { VariantContext } from './context.js';
import { FindingLog, judgeConsole, whyConsoleUnseen } from './findings.js';
import { cutBootAt } from './cut-boot.js';
import { reportFailedInstall } from './failed-install.js';
import { hibernate, hibernationFinding } from './hibernation.js';
import { inspectPoweredOff } from './inspect.js';
import { type MachineParts, makeMachineParts } from './machine-parts.js';
import { LeakWatch } from './leak-watch.js';
import { checkUntouched, digestUntouched } from './make-disks.js';
import { MachinePower } from './power.js';
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

interface RunningBoot {
  readonly shell: MachineShell;
  /** How often stage 1 asked for a passphrase. */
  readonly prompts: number;
}

type BootStep = Extract<PlanStep, { kind: 'boot' }>;

/** One variant from the empty disk to the last look at it. */
export class VariantSession {
  readonly log: FindingLog;
  readonly power: MachinePower;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #watch: ConsoleWatch;
  readonly #system: BootedSystem;
  readonly #leaks: LeakWatch;
  readonly #planted: { plan: CanaryPlan; evidence: PlantedEvidence }[] = [];
  #previous: BootEvidence | undefined;
  /** Of the LUKS devices, as they were set up. */
  #headers: InstallEvidence['headers'] = new Map();

  constructor(scenario: Scenario, context: VariantContext) {
    this.#scenario = scenario;
    this.#context = context;
    this.#watch = new ConsoleWatch(scenario.consoleAllow);
    this.log = new FindingLog(context);
    this.power = new MachinePower(scenario, context, this.#watch);
    this.#system = new BootedSystem(scenario, context, this.power);
    this.#leaks = new LeakWatch(scenario, context);
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
    const parts = await makeMachineParts(scenario, context, { workDir: lease.dir, secrets });
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
    if (stuck !== undefined) await reportStuckBoot(stuck, { ...context, scenario, log: this.log });
    if (this.log.isDecided()) return;
    const evidence = await context.phases.run('inspect-disk', () =>
      inspectPoweredOff(scenario, ending.parts, {
        ...context,
        trees: this.#leaks.diskTrees,
        // A real machine forwards its journal only once it can be talked to.
        journal: stuck !== undefined && context.hardware !== undefined,
      }),
    );
    const { journal } = evidence;
    if (journal !== undefined)
      await writeFile(path.join(context.folder, 'disk-journal.log'), context.redactor.clean(journal));
    await this.log.save('disk.json', { ...evidence, trees: undefined, journal: undefined });
    await this.#leaks.report(evidence.trees, this.log, wasCut);
    const asSetUp = { ...installed, headers: this.#headers };
    const findings = checkDisk({
      scenario,
      evidence,
      installed: asSetUp,
      planted: this.#planted,
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
          await this.#leaks.lookAtEnd(step.boot, this.#askOf(shell));
          await this.#logIn(step.boot, parts, shell);
        }
        await this.power.off(step.boot);
      }
      if (step.kind === 'power-cut-at') {
        if (shell !== undefined) await this.#logIn(step.boot - 1, parts, shell);
        shell = undefined;
        try {
          await cutBootAt(step, this.power, this.#context, parts);
        } catch (error) {
          return { parts, stuck: await this.#takeStuckBoot(step.boot, error), wasCut: true };
        }
      }
      if (step.kind !== 'boot') continue;
      if (shell !== undefined) await this.#logIn(step.boot - 1, parts, shell);
      let from = 0;
      if (step.how === 'reboot') {
        from = await this.power.reboot(step.boot - 1);
      } else {
        await this.power.cut();
        await this.power.on(parts);
      }
      const up = await this.#boot(step, { from, passphrase: parts.passphrase });
      if ('error' in up) return { parts, stuck: up, wasCut: true };
      shell = up.shell;
      await this.#judgeBoot(step, up, installed);
      if (this.log.isDecided()) return { parts, wasCut: true };
      await this.#plant(step, shell);
    }
    return { parts, wasCut: false };
  }

  async #boot(
    { boot, how }: BootStep,
    options: { readonly from: number; readonly passphrase: string },
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

  async #judgeBoot(
    { boot, how }: BootStep,
    { shell, prompts }: RunningBoot,
    installed: InstallEvidence,
  ): Promise<void> {
    const context = this.#context;
    const scenario = this.#scenario;
    const evidence = await context.phases.run(
      'probe',
      async () => {
        const canaryFolders = this.#planted.flatMap(({ plan }) => [...plan.doomed, ...plan.kept.values()]);
        const collection = collectBootEvidence(scenario, boot, { canaryFolders, boundary: makeBoundary() });
        const found = await this.#system.collect(shell, collection, `the evidence of boot ${String(boot)}`);
        await this.#leaks.lookAtStart(found, this.#askOf(shell));
        return found;
      },
      boot,
    );
    await this.log.save(`boot-${String(boot)}.json`, evidence);
    checkIdentity(evidence, {
      nonce: this.power.nonce,
      bootBefore: this.#previous?.bootId,
      guest: context.guest.name,
    });
    context.emit({
      type: 'boot',
      variant: context.variant,
      boot: { number: boot, how, bootId: evidence.bootId },
    });
    const session = { prompts, scripts: await this.#system.runChecks(boot, shell) };
    await this.log.save(`session-${String(boot)}.json`, session);
    const previous = this.#previous === undefined ? {} : { previous: this.#previous };
    const findings = checkBoot({
      scenario,
      evidence,
      planted: this.#planted,
      installed: installed.subvolumes,
      session,
      how,
      ...previous,
    });
    this.log.report(findings, [`boot-${String(boot)}.json`, `session-${String(boot)}.json`, 'journal.log']);
    this.#previous = evidence;
  }

  /** The last thing in a boot: what its scripts did to the system is then done. */
  async #logIn(boot: number, { password }: MachineParts, shell: MachineShell): Promise<void> {
    const logins = await this.#system.logIn(boot, { password, shell });
    if (logins.size === 0) return;
    const name = `logins-${String(boot)}.json`;
    await this.log.save(name, logins);
    this.log.report(checkLogins(this.#scenario, boot, logins), [name, 'console.log']);
  }

  #askOf(shell: MachineShell) {
    return <T>(collection: Collection<T>, label: string): Promise<T> =>
      this.#system.collect(shell, collection, label);
  }

  async #plant({ boot }: BootStep, shell: MachineShell): Promise<void> {
    await this.#context.phases.run(
      'plant',
      async () => {
        const plan = planCanaries(this.#scenario, boot);
        const collection = collectPlanted(boot, {
          folders: [...plan.doomed, ...plan.kept.values()],
          plantScript: plan.script,
          boundary: makeBoundary(),
        });
        this.#planted.push({
          plan,
          evidence: await this.#system.collect(shell, collection, 'the canaries to be planted'),
        });
      },
      boot,
    );
  }

  #note(text: string): void {
    this.#context.emit({ type: 'note', level: 'warn', text });
  }
}

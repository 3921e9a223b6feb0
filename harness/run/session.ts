import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Cleanup, describeFailure } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import { checkDisk, ConsoleWatch, type InstallEvidence } from '../probe/index.js';
import type { Scenario } from '../scenario/index.js';
import { BootJudge } from './boot-judge.js';
import { BootSequence, type Ending } from './boot-sequence.js';
import { BootedSystem } from './booted-system.js';
import type { VariantContext } from './context.js';
import { reportFailedInstall } from './failed-install.js';
import { applyFaults } from './faults.js';
import { FindingLog, judgeConsole, whyConsoleUnseen } from './findings.js';
import { Holder } from './holder.js';
import { inspectPoweredOff } from './inspect.js';
import { type MachineParts, makeMachineParts } from './machine-parts.js';
import { checkUntouched, digestUntouched } from './make-disks.js';
import { MachinePower } from './power.js';
import { provideDisk } from './provide-disk.js';
import { makeSecrets } from './secrets.js';
import { reportStuckBoot } from './stuck-boot.js';

/** One variant from the empty disk to the last look at it. */
export class VariantSession {
  readonly log: FindingLog;
  readonly power: MachinePower;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #steps: readonly PlanStep[];
  readonly #watch: ConsoleWatch;
  readonly #system: BootedSystem;
  readonly #judge: BootJudge;
  readonly #holder: Holder;
  #parts: MachineParts | undefined;
  #sequence: BootSequence | undefined;

  /** @param steps What to do, from the plan. */
  constructor(scenario: Scenario, steps: readonly PlanStep[], context: VariantContext) {
    this.#scenario = scenario;
    this.#steps = steps;
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
    this.#holder = new Holder(steps, context, { power: this.power, log: this.log });
  }

  /** The machine's parts as they are now; undefined before there are any. */
  get parts(): MachineParts | undefined {
    return this.#sequence?.parts ?? this.#parts;
  }

  /**
   * Does what the plan says. The machine is off afterwards.
   *
   * @param workDir Gets the machine's parts, and keeps them.
   */
  async run(workDir: string): Promise<void> {
    const scenario = this.#scenario;
    const context = this.#context;
    await using cleanup = new Cleanup((what, error) => {
      this.#note(`${what}: ${describeFailure(error)}`);
    });
    cleanup.push('stopping the machine', () => this.power.cut());
    const secrets = makeSecrets(context.redactor);
    const made = await makeMachineParts(scenario, context, { workDir, secrets });
    this.#parts = made;
    try {
      await this.#runWith(made);
    } catch (error) {
      await this.#holder.ifError(error, this.parts ?? made);
      throw error;
    }
  }

  async #runWith(made: MachineParts): Promise<void> {
    const scenario = this.#scenario;
    const context = this.#context;
    const steps = this.#steps;
    const [first] = steps;
    const { parts } =
      first?.kind === 'faults'
        ? await applyFaults(first.faults, made, { scenario, context, isInstalled: false })
        : { parts: made };
    this.#parts = parts;
    if (first?.kind === 'faults') await this.#holder.atEnd(first, parts);
    const digests = await digestUntouched(scenario, parts.disks);
    const provided = await provideDisk(scenario, parts, context).catch((error: unknown) => {
      reportFailedInstall(error, { scenario, log: this.log });
      return undefined;
    });
    if (provided === undefined) {
      await this.#holder.ifBroken(parts);
      this.log.report(checkUntouched(scenario, digests, await digestUntouched(scenario, parts.disks)), []);
      return;
    }
    const installed = provided.evidence;
    await this.log.save('install.json', installed);
    this.log.report(provided.findings, ['install.json']);
    await this.#holder.ifBroken(parts);
    const installStep = steps.find(({ kind }) => kind === 'install' || kind === 'make-image');
    if (installStep !== undefined) await this.#holder.atEnd(installStep, parts);
    const sequence = new BootSequence(scenario, context, {
      power: this.power,
      system: this.#system,
      judge: this.#judge,
      log: this.log,
      holder: this.#holder,
      parts,
      installed,
    });
    this.#sequence = sequence;
    const ending = await sequence.run(steps);
    await this.power.cut();
    await this.#inspect(sequence, ending, { installed, digests, parts });
  }

  /** All that can be said once the machine is off for good. */
  async #inspect(
    sequence: BootSequence,
    { stuck, wasCut }: Ending,
    beginning: {
      readonly installed: InstallEvidence;
      readonly digests: ReadonlyMap<string, string>;
      readonly parts: MachineParts;
    },
  ): Promise<void> {
    const scenario = this.#scenario;
    const context = this.#context;
    const { installed, digests, parts } = beginning;
    const report = { ...context, scenario, log: this.log };
    // That it did not come up is all that was wanted.
    if (stuck !== undefined && context.brief === true)
      await reportStuckBoot(stuck, { ...report, disk: { volumes: [] } });
    if (this.log.isDecided()) return;
    const evidence = await context.phases.run('inspect-disk', () =>
      inspectPoweredOff(scenario, sequence.parts, {
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
    const asSetUp = { ...installed, headers: sequence.headers };
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
    await this.#holder.ifBroken(sequence.parts);
    const last = this.#steps.at(-1);
    if (last?.kind === 'inspect') await this.#holder.atEnd(last, sequence.parts);
  }

  #note(text: string): void {
    this.#context.emit({ type: 'note', level: 'warn', text });
  }
}

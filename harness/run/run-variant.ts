import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { asHarnessError, Budget, Cleanup, describeFailure, HarnessError, monotonicMs, Redactor, takeLease } from '../core/index.js';
import { checkBoot, checkDisk, collectBootEvidence, collectPlanted, ConsoleWatch, type BootEvidence, type Finding, type InstallEvidence, type CanaryPlan, type PlantedEvidence, planCanaries } from '../probe/index.js';
import type { BootRecord, CheckRecord, Verdict } from '../record/index.js';
import type { PlanStep } from '../plan/index.js';
import type { Scenario, Variant } from '../scenario/index.js';
import { makeMachineKeys, makeNonce, type MachineShell, QemuMachine } from '../target/index.js';
import { followBoot } from './boot-machine.js';
import { makeBoundary } from './boundary.js';
import { GUEST_TIMEOUT_S, LIMITS_MS, SILENCE_MS } from './budgets.js';
import { PhaseClock, type RunContext, type VariantContext } from './context.js';
import { inspectPoweredOff } from './inspect.js';
import { installSystem, type MachineParts, makeMachineParts } from './install.js';

export interface VariantPlace {
  /** Absolute folder for evidence. */
  readonly folder: string;
  /** The same, relative to the record. */
  readonly relativeFolder: string;
  readonly workDir: string;
  /** Command that runs this variant again. */
  readonly repeat: string;
}

/** Installs, boots and judges one variant. Everything it finds goes out as events; it never throws. */
export async function runVariant(variant: Variant, steps: readonly PlanStep[], run: RunContext, place: VariantPlace): Promise<void> {
  const { scenario } = variant;
  const redactor = new Redactor();
  const emit = run.emit;
  emit({
    type: 'variant-start', variant: variant.id, scenario: { name: scenario.name, title: scenario.title, file: scenario.file },
    axes: variant.axes, guest: 'debian', target: 'qemu', folder: place.relativeFolder, repeat: place.repeat,
  });
  const session = new VariantSession(scenario, {
    ...run,
    variant: variant.id,
    folder: place.folder,
    redactor,
    budget: Budget.start(`the variant ${variant.id}`, scenario.timeoutMs * run.timeScale, run.signal),
    phases: new PhaseClock(emit, monotonicMs, variant.id),
  });
  let failure: HarnessError | undefined;
  try {
    await mkdir(place.folder, { recursive: true });
    await session.run(steps, place.workDir);
  } catch (thrown) {
    failure = asHarnessError(thrown);
  }
  const verdict: Verdict = failure !== undefined ? 'error' : session.failed > 0 ? 'fail' : 'pass';
  emit({
    type: 'variant-end',
    variant: variant.id,
    verdict,
    machineCpuMs: session.machineCpuMs,
    ...(failure === undefined
      ? verdict === 'fail'
        ? { reason: `${String(session.failed)} of ${String(session.checks)} checks failed` }
        : {}
      : {
          reason: failure.message,
          error: {
            code: failure.code,
            message: redactor.clean(failure.message),
            ...(failure.hint === undefined ? {} : { hint: failure.hint }),
            ...(failure.place === undefined ? {} : { place: failure.place }),
            ...(failure.details === undefined ? {} : { details: redactor.clean(failure.details) }),
          },
        }),
  });
}

/** Power of the machine under test, from one power-on to the next. */
interface PoweredMachine {
  readonly machine: QemuMachine;
  readonly nonce: string;
}

class VariantSession {
  failed = 0;
  checks = 0;
  machineCpuMs = 0;
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #watch: ConsoleWatch;
  readonly #planted: { plan: CanaryPlan; evidence: PlantedEvidence }[] = [];
  #previous: BootEvidence | undefined;
  #powered: PoweredMachine | undefined;

  constructor(scenario: Scenario, context: VariantContext) {
    this.#scenario = scenario;
    this.#context = context;
    this.#watch = new ConsoleWatch(scenario.consoleAllow);
  }

  /** Does what the plan says. */
  async run(steps: readonly PlanStep[], workDir: string): Promise<void> {
    await using cleanup = new Cleanup((what, error) => {
      this.#note(`${what}: ${describeFailure(error)}`);
    });
    const lease = await takeLease(workDir);
    cleanup.push('removing the disks', () => lease.release());
    cleanup.push('stopping the machine', () => this.#cutPower());
    const passphrase = randomBytes(15).toString('hex');
    this.#context.redactor.add(passphrase);
    const parts = await makeMachineParts(this.#scenario, this.#context, lease.dir, passphrase);
    const installed = await installSystem(this.#scenario, parts, this.#context);
    await this.#saveJson('install.json', installed);
    const came = await this.#bootAll(steps, parts, installed);
    await this.#cutPower();
    const disk = await this.#context.phases.run('inspect-disk', () => inspectPoweredOff(this.#scenario, parts, this.#context));
    await this.#saveJson('disk.json', disk);
    this.#report(checkDisk({ scenario: this.#scenario, evidence: disk, installed, planted: this.#planted }), ['disk.json']);
    this.#report(this.#judgeConsole(came), ['console.log']);
  }

  /** All boots in turn. @returns False when one did not come up. */
  async #bootAll(steps: readonly PlanStep[], parts: MachineParts, installed: InstallEvidence): Promise<boolean> {
    for (const step of steps) {
      if (step.kind === 'power-off') await this.#powerOff(step.boot);
      if (step.kind !== 'boot') continue;
      let from = 0;
      if (step.how === 'reboot') {
        from = await this.#reboot(step.boot - 1);
      } else {
        await this.#cutPower();
        await this.#powerOn(parts);
      }
      if (!(await this.#bootOnce(step.boot, { how: step.how, from, passphrase: parts.passphrase, installed }))) return false;
    }
    return true;
  }

  async #bootOnce(boot: number, options: { how: BootRecord['how']; from: number; passphrase: string; installed: InstallEvidence }): Promise<boolean> {
    const { machine, nonce } = this.#running();
    const context = this.#context;
    const { emit, variant, phases } = context;
    emit({ type: 'boot', variant, boot: { number: boot, how: options.how } });
    const startMs = monotonicMs();
    let shell: MachineShell;
    try {
      shell = await followBoot(machine, context, { boot, from: options.from, passphrase: options.passphrase, asks: this.#scenario.system.luks.length > 0 });
    } catch (error) {
      if (!isLayoutsFault(error)) throw error;
      await this.#reportNoBoot(boot, error);
      return false;
    }
    const upS = (monotonicMs() - startMs) / 1000;
    const evidence = await phases.run('probe', async () => {
      const boundary = makeBoundary();
      const collection = collectBootEvidence(this.#scenario, boot, { canaryFolders: this.#planted.flatMap(({ plan }) => [...plan.doomed, ...plan.kept.values()]), boundary });
      return this.#collect(shell, collection, `the evidence of boot ${String(boot)}`);
    }, boot);
    await this.#saveJson(`boot-${String(boot)}.json`, evidence);
    if (evidence.nonce !== nonce) {
      throw new HarnessError('WRONG_MACHINE', `The machine that answers is not the one that was started: it holds the nonce ${evidence.nonce}, not ${nonce}`);
    }
    if (this.#previous?.bootId === evidence.bootId) {
      throw new HarnessError('WRONG_MACHINE', `The machine was to boot again, but its boot id is still ${evidence.bootId}`);
    }
    emit({ type: 'boot', variant, boot: { number: boot, how: options.how, bootId: evidence.bootId } });
    this.#emitCheck({ id: 'boots', title: 'the system comes up', boot, status: 'pass', found: `after ${upS.toFixed(1)} s, boot id ${evidence.bootId.slice(0, 8)}…` });
    this.#report(
      checkBoot({ scenario: this.#scenario, evidence, planted: this.#planted, installed: options.installed.subvolumes, ...(this.#previous === undefined ? {} : { previous: this.#previous }) }),
      [`boot-${String(boot)}.json`, 'journal.log'],
    );
    this.#previous = evidence;
    await phases.run('plant', async () => {
      const plan = planCanaries(this.#scenario, boot);
      const collection = collectPlanted(boot, { folders: [...plan.doomed, ...plan.kept.values()], plantScript: plan.script, boundary: makeBoundary() });
      this.#planted.push({ plan, evidence: await this.#collect(shell, collection, 'the canaries to be planted') });
    }, boot);
    return true;
  }

  async #collect<T>(shell: MachineShell, collection: { script: string; parse(output: Buffer): T }, label: string): Promise<T> {
    const part = this.#context.budget.part(label, LIMITS_MS.probe * this.#context.timeScale, { lastSeen: () => this.#powered?.machine.console.tail() ?? '' });
    const result = await this.#running().machine.until(shell.execute('bash -s', part, { input: collection.script }), part);
    return collection.parse(result.stdout);
  }

  async #powerOn(parts: MachineParts): Promise<void> {
    const { host, folder, redactor, emit, variant, timeScale, budget } = this.#context;
    const nonce = makeNonce();
    const timeout = String(GUEST_TIMEOUT_S * timeScale);
    const machine = await QemuMachine.start(
      host,
      {
        ...this.#scenario.machine,
        boot: { from: 'disk' },
        disks: parts.disks,
        nvramFile: parts.nvramFile,
        nonce,
        // Only for this power-on, nothing on the disk knows of it: the guest's own time-outs follow the machine's speed.
        ...(timeScale > 1
          ? { extraCommandLine: `mitigations=off systemd.default_timeout_start_sec=${timeout} systemd.default_device_timeout_sec=${timeout}` }
          : {}),
      },
      {
        budget,
        keys: makeMachineKeys(),
        redactor,
        consoleFile: path.join(folder, 'console.log'),
        journalFile: path.join(folder, 'journal.log'),
        judge: (line) => {
          const finding = this.#watch.see(line);
          return finding?.severity === 'fatal' && finding.allowed === undefined ? { kind: finding.class, text: finding.text } : undefined;
        },
        onConsoleLine: (line) => {
          emit({ type: 'console', variant, line: line.text });
        },
        onCleanupError: (what, error) => {
          this.#note(`${what}: ${describeFailure(error)}`);
        },
      },
    );
    this.#powered = { machine, nonce };
    this.#announceSilence(machine);
  }

  #announceSilence(machine: QemuMachine): void {
    const { emit, variant } = this.#context;
    let announcedAt = 0;
    const timer = setInterval(() => {
      if (this.#powered?.machine !== machine) {
        clearInterval(timer);
        return;
      }
      const silentMs = machine.console.silentMs;
      if (silentMs < SILENCE_MS) announcedAt = 0;
      else if (silentMs - announcedAt >= SILENCE_MS) {
        announcedAt = silentMs;
        emit({ type: 'silence', variant, seconds: Math.round(silentMs / 1000), lastLine: machine.console.lastLine });
      }
    }, 1000);
    timer.unref();
  }

  async #reboot(boot: number): Promise<number> {
    const { machine } = this.#running();
    const from = machine.console.position;
    await this.#context.phases.run('shutdown', async () => {
      const part = this.#shutdownBudget('reboot');
      const reset = machine.waitForReset(part);
      await machine.sendCommand('systemctl reboot', part);
      await reset;
    }, boot);
    return Math.max(from, machine.console.position);
  }

  async #powerOff(boot: number): Promise<void> {
    const { machine } = this.#running();
    await this.#context.phases.run('shutdown', async () => {
      const part = this.#shutdownBudget('power off');
      await machine.sendCommand('systemctl poweroff', part);
      await machine.waitForPowerOff(part);
    }, boot);
  }

  #shutdownBudget(what: string): Budget {
    return this.#context.budget.part(`the machine to ${what}`, LIMITS_MS.shutdown * this.#context.timeScale, { lastSeen: () => this.#powered?.machine.console.tail() ?? '' });
  }

  /** Ends the machine at once, as when its power fails. Its disks stay. */
  async #cutPower(): Promise<void> {
    const powered = this.#powered;
    this.#powered = undefined;
    if (powered === undefined) return;
    this.machineCpuMs += powered.machine.processorMs;
    await powered.machine.stop();
  }

  #running(): PoweredMachine {
    if (this.#powered === undefined) throw new HarnessError('INTERNAL', 'Internal error: the machine is off');
    return this.#powered;
  }

  async #reportNoBoot(boot: number, error: HarnessError): Promise<void> {
    const { machine } = this.#running();
    await machine.screenshot(path.join(this.#context.folder, 'screen.png'), QemuMachine.stopBudget()).catch((thrown: unknown) => {
      this.#note(`No picture of the screen: ${describeFailure(thrown)}`);
    });
    this.#emitCheck({
      id: 'boots',
      title: 'the system comes up',
      boot,
      status: 'fail',
      expected: 'a booted system that answers',
      found: error.message,
      cause: 'The lines of the console above the failure tell what stage 1 or the system was waiting for.',
      evidence: (error.details ?? '').split('\n').slice(-20),
      files: ['console.log', 'journal.log', 'screen.png'],
    });
  }

  #judgeConsole(came: boolean): Finding[] {
    const promise = this.#scenario.promises.find(({ kind }) => kind === 'console-clean');
    if (promise === undefined) return [];
    const bad = this.#watch.findings.filter(({ allowed }) => allowed === undefined);
    const allowed = this.#watch.findings.length - bad.length;
    if (bad.length === 0 && came) return [{ promise, status: 'pass', found: `no failure on the console${allowed === 0 ? '' : `, ${String(allowed)} allowed`}` }];
    if (bad.length === 0) return [];
    return [
      {
        promise,
        status: 'fail',
        expected: 'no failure on the console, or an entry below promises.console that says why it is harmless',
        found: `${String(bad.length)} ${bad.length === 1 ? 'line' : 'lines'} (${[...new Set(bad.map((finding) => finding.class))].join(', ')})`,
        evidence: bad.slice(0, 10).map(({ text }) => text),
      },
    ];
  }

  #report(findings: readonly Finding[], files: readonly string[]): void {
    for (const { promise, status, found, boot, expected, cause, evidence } of findings) {
      this.#emitCheck({
        id: promise.id,
        title: promise.title,
        place: promise.place,
        status,
        found,
        ...(boot === undefined ? {} : { boot }),
        ...(expected === undefined ? {} : { expected }),
        ...(cause === undefined ? {} : { cause }),
        ...(evidence === undefined || evidence.length === 0 ? {} : { evidence }),
        ...(status === 'pass' ? {} : { files }),
      });
    }
  }

  #emitCheck(check: CheckRecord): void {
    this.checks += 1;
    if (check.status === 'fail') this.failed += 1;
    this.#context.emit({ type: 'check', variant: this.#context.variant, check });
  }

  #note(text: string): void {
    this.#context.emit({ type: 'note', level: 'warn', text });
  }

  async #saveJson(name: string, value: unknown): Promise<void> {
    const text = JSON.stringify(value, (_key, entry: unknown) => (entry instanceof Map ? Object.fromEntries(entry) : entry), 2);
    await writeFile(path.join(this.#context.folder, name), `${this.#context.redactor.clean(text)}\n`);
  }
}

/** A machine that shows on its console that it will not come up, or hangs in its boot, says something about the layout. */
function isLayoutsFault(error: unknown): error is HarnessError {
  return error instanceof HarnessError && (error.code === 'CONSOLE_FAILURE' || (error.code === 'TIMEOUT' && /stage 1 to|booted system to/.test(error.message)));
}

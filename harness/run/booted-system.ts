import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError, lastLines } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import {
  collectChecks,
  collectHeaders,
  type Collection,
  type InstallEvidence,
  type LoginEvidence,
  renderScript,
  type SessionEvidence,
} from '../probe/index.js';
import { nameOfScript, type Scenario } from '../scenario/index.js';
import type { MachineShell } from '../target/index.js';
import { makeBoundary } from './boundary.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import { tryLogins } from './login.js';
import type { MachinePower } from './power.js';
import { enrolTpm2 } from './unlock.js';

/** What is done in a system that has come up. */
export class BootedSystem {
  readonly #scenario: Scenario;
  readonly #context: VariantContext;
  readonly #power: MachinePower;

  constructor(scenario: Scenario, context: VariantContext, power: MachinePower) {
    this.#scenario = scenario;
    this.#context = context;
    this.#power = power;
  }

  /** Runs one script that gathers evidence, and reads what it printed. */
  async collect<T>(
    shell: MachineShell,
    collection: Collection<T>,
    label: string,
    limitMs: number = LIMITS_MS.probe,
  ): Promise<T> {
    const part = this.#part(label, limitMs);
    const input = { input: collection.script };
    const result = await this.#power.machine.until(shell.execute('bash -s', part, input), part);
    return collection.parse(result.stdout);
  }

  /** Logs in as every user with a password: whether it was kept shows only then. */
  async logIn(
    boot: number,
    { password, shell }: { readonly password: string; readonly shell: MachineShell },
  ): Promise<ReadonlyMap<string, LoginEvidence>> {
    const users = this.#scenario.promises.flatMap((promise) =>
      promise.kind === 'login' ? [promise.user] : [],
    );
    // Of a system that has forgotten nothing yet a login says nothing.
    if (users.length === 0 || boot === 1) return new Map();
    return this.#context.phases.run(
      'log-in',
      async () => {
        const folder = path.join(this.#context.folder, `logins-${String(boot)}`);
        await mkdir(folder, { recursive: true });
        return tryLogins(users, {
          machine: this.#power.machine,
          shell,
          budget: this.#part('logins at a terminal', LIMITS_MS.login),
          redactor: this.#context.redactor,
          folder,
          password,
          alsoWrong: boot === 2,
        });
      },
      boot,
    );
  }

  /** Runs the scenario's own checks. */
  async runChecks(boot: number, shell: MachineShell): Promise<SessionEvidence['scripts']> {
    const collection = collectChecks(this.#scenario, boot, makeBoundary());
    if (collection === undefined) return new Map();
    return this.#context.phases.run(
      'checks',
      () => this.collect(shell, collection, "the scenario's own checks", LIMITS_MS.script),
      boot,
    );
  }

  /**
   * Runs a script of the scenario's steps.
   *
   * @throws {HarnessError} STEP_FAILED when it does not succeed.
   */
  async runScript({ boot, script }: Extract<PlanStep, { kind: 'run' }>, shell: MachineShell): Promise<void> {
    await this.#context.phases.run(
      'run-script',
      async () => {
        const part = this.#part(`the script ${nameOfScript(script)}`, LIMITS_MS.script);
        const input = { input: `${renderScript(script.text, boot)} 2>&1` };
        const result = await this.#power.machine.until(shell.execute('bash -s', part, input), part);
        if (result.exitCode === 0) return;
        const output = this.#context.redactor.clean(result.stdout.toString('utf8'));
        throw new HarnessError(
          'STEP_FAILED',
          `The script ${nameOfScript(script)}, run in boot ${String(boot)}, ended with exit code ${String(result.exitCode)}`,
          {
            place: script.place,
            details: lastLines(output, 20),
            hint: 'What a step runs has to succeed; what is to be judged belongs below promises.checks.',
          },
        );
      },
      boot,
    );
  }

  /**
   * Enrols the TPM.
   *
   * @returns The LUKS headers, which have changed by it.
   */
  async enrolTpm2(
    { boot, devices }: Extract<PlanStep, { kind: 'enrol-tpm2' }>,
    shell: MachineShell,
    passphrase: string,
  ): Promise<InstallEvidence['headers']> {
    return this.#context.phases.run(
      'enrol-tpm2',
      async () => {
        const budget = this.#part('the TPM to be enrolled', LIMITS_MS.script);
        await this.#power.machine.until(enrolTpm2(devices, shell, { passphrase, budget }), budget);
        const collection = collectHeaders(this.#scenario, { boundary: makeBoundary() });
        return this.collect(shell, collection, 'the LUKS headers after the enrolment');
      },
      boot,
    );
  }

  #part(label: string, limitMs: number): VariantContext['budget'] {
    const { budget, timeScale } = this.#context;
    return budget.part(label, limitMs * timeScale, { lastSeen: this.#power.consoleTail });
  }
}

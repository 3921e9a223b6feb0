import { Budget, HarnessError } from '../core/index.js';
import { findStep, type PlanStep } from '../plan/index.js';
import type { CheckRecord } from '../record/index.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import type { FindingLog } from './findings.js';
import type { HeldMachine } from './hands.js';
import { givePassphrase } from './install.js';
import { openWithDisks } from './inspect.js';
import type { MachineParts } from './machine-parts.js';
import type { MachinePower } from './power.js';

/** What went wrong with the machine under test: there is something to look at. */
const WORTH_A_LOOK: readonly HarnessError['code'][] = [
  'CONSOLE_FAILURE',
  'EVIDENCE_MISSING',
  'GUEST_COMMAND_FAILED',
  'INSTALL_FAILED',
  'STEP_FAILED',
  'TIMEOUT',
];

/** Holds the machine of a variant for a person, when one has asked for it. No time passes meanwhile. */
export class Holder {
  readonly #context: VariantContext;
  readonly #power: MachinePower;
  readonly #log: FindingLog;
  readonly #pauseAt: PlanStep | undefined;
  /** Only the first failure holds: what comes after it mostly follows from it. */
  #hasFailed = false;

  constructor(
    steps: readonly PlanStep[],
    context: VariantContext,
    parts: { readonly power: MachinePower; readonly log: FindingLog },
  ) {
    const { hands } = context;
    this.#context = context;
    this.#power = parts.power;
    this.#log = parts.log;
    this.#pauseAt = hands?.pauseAt === undefined ? undefined : findStep(steps, hands.pauseAt);
  }

  /** With the first broken promise. */
  async ifBroken(parts: MachineParts): Promise<void> {
    const { firstBroken } = this.#log;
    if (firstBroken !== undefined) await this.#onFailure(describeBroken(firstBroken), parts);
  }

  /** When a boot does not come up. */
  async ifStuck(boot: number, error: HarnessError, parts: MachineParts): Promise<void> {
    await this.#onFailure(`Boot ${String(boot)} does not come up: ${error.message}`, parts);
  }

  /** When the harness cannot go on: the machine may show why. */
  async ifError(error: unknown, parts: MachineParts): Promise<void> {
    if (!(error instanceof HarnessError) || !WORTH_A_LOOK.includes(error.code)) return;
    await this.#onFailure(`The run cannot go on: ${error.message}`, parts);
  }

  /** At the end of the step that was named. */
  async atEnd(step: PlanStep, parts: MachineParts): Promise<void> {
    if (step === this.#pauseAt)
      await this.#hold(`The step is done: ${this.#context.hands?.pauseAt ?? ''}`, parts);
  }

  async #onFailure(why: string, parts: MachineParts): Promise<void> {
    if (this.#hasFailed || this.#context.hands?.shellOnFail !== true) return;
    this.#hasFailed = true;
    await this.#hold(why, parts);
  }

  async #hold(why: string, parts: MachineParts): Promise<void> {
    const { hands, budget, phases, signal, variant } = this.#context;
    if (hands === undefined) return;
    const held = { variant, why, secrets: parts };
    const give = (machine: Pick<HeldMachine, 'what' | 'machine' | 'shell'>): Promise<void> =>
      hands.hold({ ...held, ...machine }, signal);
    await phases.run('held', () =>
      budget.stopWhile(async () => {
        if (!this.#power.isOn) return this.#holdInstaller(parts, give);
        const { machine } = this.#power;
        const { shell } = machine;
        return give({ what: 'system', machine, ...(shell === undefined ? {} : { shell }) });
      }),
    );
  }

  /** The machine is off: its disks can be looked at. */
  async #holdInstaller(
    parts: MachineParts,
    give: (machine: Pick<HeldMachine, 'what' | 'machine' | 'shell'>) => Promise<void>,
  ): Promise<void> {
    const { timeScale, signal } = this.#context;
    const limitMs = LIMITS_MS.restoreInstaller * timeScale;
    const budget = Budget.start('the installer to show the disks', limitMs, signal);
    const { machine, shell } = await openWithDisks(parts, this.#context, { budget, log: 'held' });
    await using running = machine;
    await givePassphrase(shell, parts, budget);
    await give({ what: 'installer', machine: running, shell });
  }
}

function describeBroken({ title, id, boot, found }: CheckRecord): string {
  const when = boot === undefined ? 'at the end' : `after boot ${String(boot)}`;
  return `Broken ${when}: ${title} [${id}]: ${found}`;
}

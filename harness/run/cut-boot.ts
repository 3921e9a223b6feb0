import { HarnessError } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import type { Machine } from '../target/index.js';
import { typeUntilAgent } from './boot-machine.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import type { MachineParts } from './machine-parts.js';
import type { MachinePower } from './power.js';

type CutStep = Extract<PlanStep, { kind: 'power-cut-at' }>;

/**
 * Powers the machine on, and cuts its power as soon as a line of the console or of the forwarded journal has the text:
 * the boot stays half done. Types the passphrase when it is asked for.
 *
 * @throws {HarnessError} STEP_FAILED when the system comes up and nothing had the text; CONSOLE_FAILURE when the console
 * shows that the machine will not come up; TIMEOUT.
 */
export async function cutBootAt(
  step: CutStep,
  power: MachinePower,
  context: VariantContext,
  parts: MachineParts,
): Promise<void> {
  await cutAt(step, { power, context, phase: 'cut-boot' }, async (part) => {
    await power.cut();
    await power.on(parts);
    return {
      ended: comeUp(power.machine, { part, parts }),
      without: `The system came up, and no line of its console or journal had "${step.text}", at which its power was to be cut`,
    };
  });
}

/**
 * Tells the running system to power off, and cuts its power as soon as a line of the console or of the forwarded journal
 * has the text.
 *
 * @throws {HarnessError} STEP_FAILED when the system has powered off and nothing had the text; TIMEOUT.
 */
export async function cutShutdownAt(
  step: CutStep,
  power: MachinePower,
  context: VariantContext,
): Promise<void> {
  await cutAt(step, { power, context, phase: 'cut-shutdown' }, (part) => {
    const { machine } = power;
    const off = machine.waitForPowerOff(part).then(() => undefined);
    machine.sendCommand('systemctl poweroff', part).catch(() => undefined);
    return Promise.resolve({
      ended: off,
      without: `The system powered off, and no line of its console or journal had "${step.text}", at which its power was to be cut`,
    });
  });
}

/** @param begin Causes what is to be cut; `ended` settles when it has come to its end uncut. */
async function cutAt(
  { boot, text, place }: CutStep,
  options: { readonly power: MachinePower; readonly context: VariantContext; readonly phase: string },
  begin: (
    part: VariantContext['budget'],
  ) => Promise<{ readonly ended: Promise<undefined>; readonly without: string }>,
): Promise<void> {
  const { power, context, phase } = options;
  const { phases, budget, timeScale, emit } = context;
  await phases.run(
    phase,
    async () => {
      let tell: (line: string) => void = () => undefined;
      const said = new Promise<string>((resolve) => (tell = resolve));
      const unwatch = power.watch((line) => {
        if (!line.includes(text)) return;
        power.overlook();
        tell(line);
      });
      try {
        const part = budget.part(`the machine to say "${text}"`, LIMITS_MS.cut * timeScale, {
          lastSeen: power.consoleTail,
        });
        const { ended, without } = await begin(part);
        // Cutting the power ends what nobody waits for any more.
        ended.catch(() => undefined);
        const line = await power.machine.until(Promise.race([said, ended]), part);
        if (line === undefined) {
          throw new HarnessError('STEP_FAILED', without, {
            place,
            hint: 'journal.log and console.log show what the machine says when.',
          });
        }
        await power.cut();
        emit({ type: 'note', level: 'info', text: `Power cut at: ${line.trim()}` });
      } finally {
        unwatch();
      }
    },
    boot,
  );
}

/** Settles when all jobs of the boot are done. */
async function comeUp(
  machine: Machine,
  { part, parts }: { readonly part: VariantContext['budget']; readonly parts: MachineParts },
): Promise<undefined> {
  const { passphrase, faults } = parts;
  const { shell } = await typeUntilAgent(machine, { part, passphrase, typing: faults.typing });
  await shell.execute('systemctl is-system-running --wait', part);
}

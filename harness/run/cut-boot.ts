import { HarnessError } from '../core/index.js';
import type { PlanStep } from '../plan/index.js';
import type { Machine } from '../target/index.js';
import { typeUntilAgent } from './boot-machine.js';
import { LIMITS_MS } from './budgets.js';
import type { VariantContext } from './context.js';
import type { MachineParts } from './machine-parts.js';
import type { MachinePower } from './power.js';

/**
 * Powers the machine on, and cuts its power as soon as a line of the console or of the forwarded journal has the text:
 * the boot stays half done. Types the passphrase when it is asked for.
 *
 * @throws {HarnessError} STEP_FAILED when the system comes up and nothing had the text; CONSOLE_FAILURE when the console
 * shows that the machine will not come up; TIMEOUT.
 */
export async function cutBootAt(
  { boot, text, place }: Extract<PlanStep, { kind: 'power-cut-at' }>,
  power: MachinePower,
  context: VariantContext,
  parts: MachineParts,
): Promise<void> {
  const { phases, budget, timeScale, emit } = context;
  await phases.run(
    'cut-boot',
    async () => {
      await power.cut();
      let tell: (line: string) => void = () => undefined;
      const said = new Promise<string>((resolve) => (tell = resolve));
      await power.on(parts, (line) => {
        if (line.includes(text)) tell(line);
      });
      const { machine } = power;
      const part = budget.part(`the machine to say "${text}"`, LIMITS_MS.cut * timeScale, {
        lastSeen: power.consoleTail,
      });
      const up = comeUp(machine, { part, passphrase: parts.passphrase });
      // Cutting the power ends what nobody waits for any more.
      up.catch(() => undefined);
      const line = await machine.until(Promise.race([said, up]), part);
      if (line === undefined) {
        throw new HarnessError(
          'STEP_FAILED',
          `The system came up, and no line of its console or journal had "${text}", at which its power was to be cut`,
          { place, hint: 'journal.log and console.log show what the machine says when.' },
        );
      }
      await power.cut();
      emit({ type: 'note', level: 'info', text: `Power cut at: ${line.trim()}` });
    },
    boot,
  );
}

/** Settles when all jobs of the boot are done. */
async function comeUp(
  machine: Machine,
  options: { readonly part: VariantContext['budget']; readonly passphrase: string },
): Promise<undefined> {
  const { shell } = await typeUntilAgent(machine, options);
  await shell.execute('systemctl is-system-running --wait', options.part);
}

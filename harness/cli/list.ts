import type { GuestOptions } from './choose-guest.js';
import { glob } from './glob.js';
import { renderPlan, planVariant, type TargetFacts } from '../plan/index.js';
import { loadScenarios, selectVariants as chooseVariants } from '../scenario/index.js';
import { SCENARIOS_DIR, type SelectOptions, selectVariants } from './select.js';

/** A plan made without looking at the host: nothing is refused for lack of memory. */
export const ANY_HOST: TargetFacts = {
  guest: 'debian',
  memoryMiB: Number.POSITIVE_INFINITY,
};

export async function plan(
  names: readonly string[],
  options: SelectOptions & Pick<GuestOptions, 'guest'>,
): Promise<void> {
  for (const variant of await selectVariants(names, options)) {
    process.stdout.write(`${renderPlan(planVariant(variant, { ...ANY_HOST, guest: options.guest }))}\n`);
  }
}

/** Every scenario below scenarios/, those that must fail included, with the names to run them by. */
export async function list(): Promise<void> {
  const files = await glob(SCENARIOS_DIR);
  const scenarios = await loadScenarios(files.map(({ file }) => file));
  const idsOf = (variants: ReturnType<typeof chooseVariants>): Set<string> =>
    new Set(variants.map(({ id }) => id));
  const inAll = idsOf(
    chooseVariants(scenarios.filter((_, index) => files[index]?.name.includes('/') === false)),
  );
  for (const [index, scenario] of scenarios.entries()) {
    const name = files[index]?.name ?? scenario.name;
    process.stdout.write(`${name}\n  ${scenario.title}\n`);
    const pairs = idsOf(chooseVariants([scenario]));
    for (const { id, choices } of chooseVariants([scenario], { spread: 'full' })) {
      const mark = inAll.has(id) ? '*' : pairs.has(id) ? '+' : ' ';
      const chosen = choices.map((choice) => ` --variant ${choice}`).join('');
      process.stdout.write(`  ${mark} npx imperm run ${name}${chosen}\n`);
    }
  }
  process.stdout.write(LEGEND);
}

const LEGEND = `
* also run by \`imperm run --all\`: every pair of values occurs in one of these
+ also run by \`imperm run\` with the name alone: every pair of values of this scenario
The others are run when they are asked for, or with --full.
`;

import { glob } from './glob.js';
import { renderPlan, planVariant, type TargetFacts } from '../plan/index.js';
import { loadScenarios, selectVariants as chooseVariants } from '../scenario/index.js';
import { SCENARIOS_DIR, type SelectOptions, selectVariants } from './select.js';

/** A plan made without looking at the host: nothing is refused for lack of memory. */
export const ANY_HOST: TargetFacts = {
  target: 'qemu',
  guests: ['debian'],
  memoryMiB: Number.POSITIVE_INFINITY,
};

export async function plan(names: readonly string[], options: SelectOptions): Promise<void> {
  for (const variant of await selectVariants(names, options)) {
    process.stdout.write(`${renderPlan(planVariant(variant, ANY_HOST))}\n`);
  }
}

/** Every scenario below scenarios/, those that must fail included, with the names to run them by. */
export async function list(): Promise<void> {
  const files = await glob(SCENARIOS_DIR);
  const scenarios = await loadScenarios(files.map(({ file }) => file));
  for (const [index, scenario] of scenarios.entries()) {
    const name = files[index]?.name ?? scenario.name;
    process.stdout.write(`${name}\n  ${scenario.title}\n`);
    const pairs = new Set(chooseVariants(scenario).map(({ id }) => id));
    for (const variant of chooseVariants(scenario, { spread: 'full' })) {
      const choices = variant.choices.map((choice) => ` --variant ${choice}`).join('');
      const only = pairs.has(variant.id) ? '' : '   (only with --full)';
      process.stdout.write(`    npx imperm run ${name}${choices}${only}\n`);
    }
  }
}

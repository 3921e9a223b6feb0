import { type Environment, formatPlace } from '../core/index.js';
import type { GuestOptions } from './choose-guest.js';
import { describeTarget, openChosenTarget } from './choose-target.js';
import { glob } from './glob.js';
import { lintScenario } from '../lint/index.js';
import type { TargetOptions } from './options.js';
import { renderPlan, planVariant, type TargetFacts } from '../plan/index.js';
import { makePrintable } from '../report/index.js';
import { loadScenarios, selectVariants as chooseVariants, type Variant } from '../scenario/index.js';
import { SCENARIOS_DIR, type SelectOptions, selectVariants } from './select.js';

/** A plan made without looking at the host: nothing is refused for lack of memory. */
export const ANY_HOST: TargetFacts = {
  guest: 'debian',
  memoryMiB: Number.POSITIVE_INFINITY,
};

/** Shows what a run would do. A libvirt is asked what it can do, and for nothing else. */
export async function plan(
  names: readonly string[],
  options: SelectOptions & Pick<GuestOptions, 'guest'> & TargetOptions,
  { workDir }: Pick<Environment, 'workDir'>,
): Promise<void> {
  const variants = await selectVariants(names, options);
  const target = await openChosenTarget(options, { workDir, signal: new AbortController().signal });
  for (const variant of variants) {
    const planned = planVariant(variant, { ...ANY_HOST, guest: options.guest, ...describeTarget(target) });
    process.stdout.write(`${renderPlan(planned)}${renderWarnings(variant)}\n`);
  }
}

/** What `imperm check` would find, a line each; nothing of a layout that is there to show a fault. */
function renderWarnings({ scenario }: Variant): string {
  if (scenario.knownBug !== undefined) return '';
  const excepted = scenario.lintExceptions.map(({ lint }) => lint);
  return lintScenario(scenario)
    .filter(({ lint }) => !excepted.includes(lint))
    .map(
      ({ lint, place, message }) => `  warning  ${formatPlace(place)} ${lint}: ${makePrintable(message)}\n`,
    )
    .join('');
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

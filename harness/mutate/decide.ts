import { HarnessError } from '../core/index.js';
import { lintScenario, type LintFinding } from '../lint/index.js';
import type { Scenario, ScenarioEdit, Step, SystemModel } from '../scenario/index.js';
import { loadEdited, type Mutant, type Original } from './mutant.js';
import { isSameLayout } from './trial.js';

/** What is known of a mutant before any machine is started. */
export type Decision =
  /** It is the same layout. */
  | { readonly kind: 'equivalent'; readonly reason: string }
  /** It is refused. */
  | { readonly kind: 'refused'; readonly by: 'loader' | 'lint'; readonly reason: string }
  /** Only a machine can tell; `lints` are the names of those that find something in it, and nothing in the original. */
  | { readonly kind: 'run'; readonly scenario: Scenario; readonly lints: readonly string[] };

/** A system alone: its promises, and what is done with it, are those of the original. */
const SYSTEM_ALONE: readonly ScenarioEdit[] = [
  { at: ['promises'], remove: true },
  { at: ['expect'], remove: true },
  { at: ['steps'], remove: true },
];

/**
 * Decides what can be decided by reading. This is the one place for it: whoever judges a scenario without a machine is asked
 * here, and answers with `refused`.
 *
 * Sound: the loader refuses what NixOS refuses to evaluate, and what cannot work whatever the machine does (nothing starts
 * the rollback, nothing unlocks a device). Somebody who writes such a layout is told before anything is installed.
 *
 * @param options.byLints What `imperm check` finds in it counts as found. Every lint is shown by a layout that fails on a
 * machine for what the lint says, but that is another layout: a machine is the better judge where there is time.
 */
export async function decide(
  mutant: Mutant,
  original: Original,
  options: { readonly byLints?: boolean } = {},
): Promise<Decision> {
  if (mutant.equivalent !== undefined) return { kind: 'equivalent', reason: mutant.equivalent };
  let scenario: Scenario;
  try {
    scenario = await loadEdited([...mutant.edits, ...SYSTEM_ALONE], original);
  } catch (thrown) {
    if (!(thrown instanceof HarnessError) || thrown.code !== 'SCENARIO_INVALID') throw thrown;
    const [problem = thrown.message] = (thrown.details ?? '').split('\n');
    return { kind: 'refused', by: 'loader', reason: problem.replace(/^\S+:\d+:\d+: /, '') };
  }
  const { system, install } = scenario;
  if (isSameLayout(scenario, original.scenario))
    return { kind: 'equivalent', reason: 'the system that is made of it is the same to the letter' };
  const found = newLints(original.scenario, scenario);
  const [first] = found;
  if (options.byLints === true && first !== undefined)
    return { kind: 'refused', by: 'lint', reason: `${first.message} [${first.lint}]` };
  const lints = [...new Set(found.map(({ lint }) => lint))];
  return { kind: 'run', scenario: mutantScenario(original.scenario, { system, install }), lints };
}

/** What the lints find in a mutant more often than in its original: its lines may be others, and so may the words. */
function newLints(original: Scenario, mutant: Scenario): readonly LintFinding[] {
  const known = new Map<string, number>();
  for (const { lint } of lintScenario(original)) known.set(lint, (known.get(lint) ?? 0) + 1);
  const found = lintScenario(mutant);
  return found.filter(
    ({ lint }) => found.filter((each) => each.lint === lint).length > (known.get(lint) ?? 0),
  );
}

/** The layout as it is, run in the same way as its mutants. */
export function controlScenario({ scenario }: Original): Scenario {
  return mutantScenario(scenario, scenario);
}

/** A system under the promises of another one. */
function mutantScenario(
  original: Scenario,
  { system, install }: { readonly system: SystemModel; readonly install?: Scenario['install'] | undefined },
): Scenario {
  return {
    ...original,
    system,
    promised: original.system,
    steps: shorten(original.steps),
    ...(install === undefined ? {} : { install }),
  };
}

/** One boot of a new system, one that has something to forget and to keep, and the disk: more of the same shows nothing. */
function shorten(steps: readonly Step[]): readonly Step[] {
  const again = steps.findIndex(({ kind }) => kind === 'reboot' || kind === 'power-cut');
  const first = steps
    .slice(0, again < 0 ? steps.length : again)
    .filter(({ kind }) => kind !== 'power-cut-at');
  const between = first.filter(({ kind }) => kind === 'run' || kind === 'hibernate');
  return [{ kind: 'boot' }, ...between, { kind: 'reboot' }, { kind: 'power-off' }];
}

import type { PlanStep } from './plan.js';

/**
 * A step as a person names it: by the number that `imperm plan` prints before it, as `boot 2`, or by its kind (`install`,
 * `inspect`, `power-off`), which means the first of that kind.
 *
 * @returns Undefined when the plan has none.
 */
export function findStep(steps: readonly PlanStep[], name: string): PlanStep | undefined {
  if (/^\d+$/.test(name)) return steps[Number(name) - 1];
  const boot = /^boot[ -](\d+)$/.exec(name)?.[1];
  return boot === undefined
    ? steps.find(({ kind }) => kind === name)
    : steps.find((step) => step.kind === 'boot' && step.boot === Number(boot));
}

/** Every name that `findStep` takes besides numbers, in the order of the steps. */
export function nameSteps(steps: readonly PlanStep[]): readonly string[] {
  const names = steps.map((step) => (step.kind === 'boot' ? `boot ${String(step.boot)}` : step.kind));
  return [...new Set(names)];
}

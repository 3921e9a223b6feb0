import { formatPlace } from '../core/index.js';
import { suggest, type ScenarioFile, type Variant } from '../scenario/index.js';
import { LINTS, lintScenario, type LintFinding } from './lint-scenario.js';

/** What was found in a scenario file, over all its variants. */
export interface FileFinding extends LintFinding {
  /** The variants in which it was found, at least one. */
  readonly variants: readonly Variant[];
  /** Why the file says that it does not count (`lint.without`). */
  readonly excepted?: string;
}

/** Name of the finding that an exception is not needed, which is no lint: no exception can be made of it. */
export const UNUSED_EXCEPTION = 'exception-unused';

/**
 * Lints every variant of a scenario file.
 *
 * @returns Each finding once, by place; those that the file makes an exception of are marked. An exception that is not needed
 * is a finding itself when this very file makes it; one that is inherited from an extended file is not.
 */
export function lintFile(file: ScenarioFile): readonly FileFinding[] {
  const found = new Map<string, LintFinding & { variants: Variant[] }>();
  for (const variant of file.variants) {
    for (const finding of lintScenario(variant.scenario)) {
      const key = [finding.lint, formatPlace(finding.place), finding.message].join('\n');
      const known = found.get(key) ?? { ...finding, variants: [] };
      known.variants.push(variant);
      found.set(key, known);
    }
  }
  const exceptions = file.variants[0]?.scenario.lintExceptions ?? [];
  const findings = [...found.values()].map((finding): FileFinding => {
    const exception = exceptions.find(({ lint }) => lint === finding.lint);
    return exception === undefined ? finding : { ...finding, excepted: exception.reason };
  });
  const unused = exceptions
    .filter(({ lint, place }) => place.file === file.file && !findings.some((each) => each.lint === lint))
    .map(({ lint, place }) => ({ ...describeUnused(lint), place, variants: file.variants }));
  return [...findings, ...unused].sort(byPlace);
}

function describeUnused(lint: string): Omit<FileFinding, 'place' | 'variants'> {
  const names = LINTS.map(({ name }) => name);
  const isKnown = names.includes(lint);
  return {
    lint: UNUSED_EXCEPTION,
    message: isKnown
      ? `lint.without excepts "${lint}", which finds nothing here`
      : `lint.without excepts "${lint}", and there is no such lint.${suggest(lint, names)}`,
    reason: 'An exception that is not needed would hide the fault when it comes back.',
    advice: 'Take it out; `imperm check --list` shows all lints.',
  };
}

function byPlace({ place: a }: LintFinding, { place: b }: LintFinding): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.col - b.col;
}

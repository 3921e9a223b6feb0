import { formatPlace } from '../core/index.js';
import { type FileFinding, type LINTS, UNUSED_EXCEPTION } from '../lint/index.js';
import { makePrintable, wrapText } from '../report/index.js';
import type { ScenarioFile, Variant } from '../scenario/index.js';

/** A finding with what it counts for. The same one in several scenarios is one. */
export interface Judged {
  /** `declared`: the scenario has an `expect`; `excepted`: it says that the lint is not to count. */
  readonly kind: 'warning' | 'declared' | 'excepted';
  readonly finding: FileFinding;
  /** Why it does not count. */
  readonly because?: string;
  /** Where it was found: scenarios, with what their variants have in common where it was not in all. */
  readonly where: readonly string[];
}

/** Tells which findings count, and brings those together that several scenarios share. */
export function judgeFindings(
  checked: readonly { readonly file: ScenarioFile; readonly findings: readonly FileFinding[] }[],
): readonly Judged[] {
  const judged = new Map<string, Judged & { readonly where: string[] }>();
  for (const { file, findings } of checked) {
    const declared = file.variants[0]?.scenario.knownBug?.reason;
    for (const finding of findings) {
      // Whatever the layout is there to show, an exception that is not needed shows nothing.
      const isUnused = finding.lint === UNUSED_EXCEPTION;
      const because = finding.excepted ?? (isUnused ? undefined : declared);
      const kind =
        finding.excepted !== undefined ? 'excepted' : because === undefined ? 'warning' : 'declared';
      const key = [kind, because, finding.lint, formatPlace(finding.place), finding.message].join('\n');
      const known = judged.get(key) ?? {
        kind,
        finding,
        ...(because === undefined ? {} : { because }),
        where: [],
      };
      known.where.push(nameVariants(file, finding.variants));
      judged.set(key, known);
    }
  }
  const order = ['warning', 'declared', 'excepted'];
  return [...judged.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** The scenario, and which of its variants are meant: by one axis where that tells them, else by their names. */
function nameVariants(file: ScenarioFile, variants: readonly Variant[]): string {
  if (variants.length === file.variants.length) return file.name;
  for (const axis of Object.keys(file.axes) as (keyof Variant['axes'])[]) {
    const values = new Set(variants.map(({ axes }) => axes[axis]));
    const same = file.variants.filter(({ axes }) => values.has(axes[axis]));
    if (same.length === variants.length) return `${file.name} (${axis}=${[...values].join(', ')})`;
  }
  return variants.map(({ id }) => id).join(', ');
}

/** A finding as text: what and where, why it matters, and what to do; of an excepted one only why it does not count. */
export function renderJudged({ kind, finding, because, where }: Judged, width: number): string {
  const { place, lint, message, reason, advice } = finding;
  const lines = [`${formatPlace(place)}: ${kind}[${lint}]: ${makePrintable(message)}`];
  if (because !== undefined) lines.push(...row(kind === 'declared' ? 'declared' : 'because', because, width));
  if (kind !== 'excepted') {
    lines.push(...row('why', reason, width), ...row('do', advice, width));
  }
  lines.push(...row('in', where.join(', '), width));
  return `${lines.join('\n')}\n`;
}

function row(title: string, text: string, width: number): string[] {
  const lines = wrapText(makePrintable(text), Math.max(20, width - 12));
  return lines.map((line, index) => `  ${(index === 0 ? title : '').padEnd(10)}${line}`);
}

/** The last line of a check. */
export function renderLintSummary(judged: readonly Judged[], scenarios: number): string {
  const count = (kind: Judged['kind']): number => judged.filter((each) => each.kind === kind).length;
  const warnings = count('warning');
  const others = (['declared', 'excepted'] as const)
    .filter((kind) => count(kind) > 0)
    .map((kind) => `${String(count(kind))} ${kind}`);
  const found =
    warnings === 0 ? 'nothing found' : `${String(warnings)} ${warnings === 1 ? 'warning' : 'warnings'}`;
  const looked = `${String(scenarios)} ${scenarios === 1 ? 'scenario' : 'scenarios'} checked`;
  return `${looked}: ${[found, ...others].join(', ')}.\n`;
}

/** Every lint with its reason, and where it can be seen. */
export function renderLintList(lints: typeof LINTS, width: number): string {
  return lints
    .map(({ name, reason, advice, shownBy, saidBy }) =>
      [
        name,
        ...row('why', reason, width),
        ...row('do', advice, width),
        ...(shownBy.length === 0 ? [] : row('shown by', shownBy.join(', '), width)),
        ...(saidBy === undefined ? [] : row('said by', saidBy, width)),
        '',
      ].join('\n'),
    )
    .join('\n');
}

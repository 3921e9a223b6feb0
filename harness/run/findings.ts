import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { ConsoleFinding, Finding } from '../probe/index.js';
import type { CheckRecord } from '../record/index.js';
import type { KnownBug, Scenario } from '../scenario/index.js';
import type { VariantContext } from './context.js';

/** Passes on what became of the promises of a variant, and counts it. */
export class FindingLog {
  checks = 0;
  failed = 0;
  /** What was found first of all that is broken. */
  firstBroken: CheckRecord | undefined;
  /** Ids of the promises that were broken. */
  readonly broken = new Set<string>();
  readonly #context: VariantContext;

  constructor(context: VariantContext) {
    this.#context = context;
  }

  /** @param files Below the variant's folder: where the whole evidence of these findings is. */
  report(findings: readonly Finding[], files: readonly string[]): void {
    for (const { promise, status, found, boot, expected, cause, evidence } of findings) {
      this.add({
        id: promise.id,
        title: promise.title,
        place: promise.place,
        status,
        found,
        ...(boot === undefined ? {} : { boot }),
        ...(expected === undefined ? {} : { expected }),
        ...(cause === undefined ? {} : { cause }),
        ...(evidence === undefined || evidence.length === 0 ? {} : { evidence }),
        ...(status === 'pass' ? {} : { files }),
      });
    }
  }

  add(check: CheckRecord): void {
    this.checks += 1;
    if (check.status === 'fail') {
      this.failed += 1;
      this.firstBroken ??= check;
      this.broken.add(check.id);
    }
    this.#context.emit({ type: 'check', variant: this.#context.variant, check });
  }

  /** A broken promise was all that was wanted, and there is one. */
  isDecided(): boolean {
    return this.#context.brief === true && this.failed > 0;
  }

  /** Keeps evidence in the variant's folder, secrets removed. */
  async save(name: string, value: unknown): Promise<void> {
    const plain = (_key: string, entry: unknown): unknown =>
      entry instanceof Map ? Object.fromEntries(entry as Map<string, unknown>) : entry;
    const text = this.#context.redactor.clean(JSON.stringify(value, plain, 2));
    await writeFile(path.join(this.#context.folder, name), `${text}\n`);
  }
}

/** What the console showed in all boots together. A machine that did not come up has been reported already. */
export function judgeConsole(
  scenario: Scenario,
  findings: readonly ConsoleFinding[],
  options: { readonly cameUp: boolean },
): Finding[] {
  const promise = scenario.promises.find(({ kind }) => kind === 'console-clean');
  if (promise === undefined) return [];
  const bad = findings.filter(({ allowed }) => allowed === undefined);
  const allowed = findings.length - bad.length;
  if (bad.length === 0) {
    const found = `no failure on the console${allowed === 0 ? '' : `, ${String(allowed)} allowed`}`;
    return options.cameUp ? [{ promise, status: 'pass', found }] : [];
  }
  const classes = [...new Set(bad.map((finding) => finding.class))].join(', ');
  return [
    {
      promise,
      status: 'fail',
      expected: 'no failure on the console, or an entry below promises.console that says why it is harmless',
      found: `${String(bad.length)} ${bad.length === 1 ? 'line' : 'lines'} (${classes})`,
      evidence: bad.slice(0, 10).map(({ text }) => text),
    },
  ];
}

/** Why nothing can be said of the console: a real machine may have none for us. */
export function whyConsoleUnseen({ hardware }: Pick<VariantContext, 'hardware'>): string | undefined {
  if (hardware === undefined || hardware.host.console !== undefined) return undefined;
  return `Nobody has seen the console: whether it shows failures was not looked at (no \`console\` in ${hardware.host.file}).`;
}

/** A layout with a known fault has to break exactly the promises that it is known to break. */
export function judgeKnownBug(known: KnownBug, broken: ReadonlySet<string>): CheckRecord {
  const missing = known.broken.filter((id) => !broken.has(id));
  const more = [...broken].filter((id) => !known.broken.includes(id) && !known.sometimes.includes(id));
  const check = {
    id: 'known-bug',
    title: `the layout fails as declared: ${known.reason}`,
    place: known.place,
  };
  if (missing.length + more.length === 0)
    return {
      ...check,
      status: 'pass',
      found: `broken: ${known.broken.join(', ')}, and nothing else${known.symptom === undefined ? '' : `; as reported: ${known.symptom}`}`,
    };
  return {
    ...check,
    status: 'fail',
    expected: `exactly these promises are broken: ${known.broken.join(', ')}`,
    found: [
      ...(missing.length === 0 ? [] : [`kept, although declared to be broken: ${missing.join(', ')}`]),
      ...(more.length === 0 ? [] : [`broken, although not declared: ${more.join(', ')}`]),
    ].join('; '),
    cause:
      broken.size === 0
        ? 'The fault does not show any more: it was mended, or the scenario does not provoke it. If it is mended, take out `expect`.'
        : 'The layout fails otherwise than declared: something else is wrong, or the fault has changed.',
  };
}

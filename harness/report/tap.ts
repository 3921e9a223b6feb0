import { stringify } from 'yaml';

import {
  isAsDeclared,
  type CheckRecord,
  type ErrorRecord,
  type RunRecord,
  type VariantRecord,
} from '../record/index.js';
import { listAttempts } from './attempts.js';
import { momentOf, reasonOf } from './digest.js';
import { describeHistory } from './history.js';
import { listLeaks } from './leaks.js';
import { makeOneLine, makePrintable } from './text.js';

const SUBTEST_INDENT = '    ';
const YAML_INDENT = '  ';

/**
 * The run as TAP version 14: one subtest per variant, one test point per check, a YAML block below each point
 * that is not ok.
 *
 * - A check that failed or could not be made is `not ok`; `severity` tells which.
 * - In a variant with the verdict known-bug the broken promises are `not ok … # TODO`: declared, so not counted
 *   against the run.
 * - A skipped variant is one point `ok … # SKIP reason`.
 * - A variant whose verdict its checks do not explain (the machine died, a declared bug did not show, it is flaky) gets one
 *   more point, `verdict`, that carries it.
 * - Control characters are shown, not sent, because TAP is read on terminals.
 * - An interrupted run ends with `Bail out!`.
 */
export function renderTap(record: RunRecord): string {
  const count = record.variants.length;
  const lines = [
    'TAP version 14',
    // The plan comes first: a parser that has seen it at the end does not listen to "Bail out!" any more.
    count === 0 ? '1..0 # SKIP no variant was run' : `1..${String(count)}`,
    ...record.variants.flatMap((variant, index) => renderVariant(variant, index + 1)),
  ];
  if (record.interrupted) lines.push('Bail out! The run was interrupted.');
  return `${lines.join('\n')}\n`;
}

function renderVariant(variant: VariantRecord, number: number): string[] {
  const name = describe(variant.id);
  if (variant.verdict === 'skip')
    return [`ok ${String(number)} - ${name} # SKIP ${reasonText(reasonOf(variant))}`];

  const points = variant.checks.map((check, index) => renderCheck(check, variant, index + 1));
  const verdict = renderVerdict(variant, points.length + 1);
  if (verdict !== undefined) points.push(verdict);
  // Comments: neither leaks nor earlier runs are a verdict.
  const comments = [...describeHistory(variant), ...listLeaks(variant)].map(
    (line) => `# ${makeOneLine(line)}`,
  );
  const subtest = [...points.flat(), ...comments, `1..${String(points.length)}`];
  const ok = isAsDeclared(variant.verdict);
  return [
    `# Subtest: ${name}`,
    ...subtest.map((line) => SUBTEST_INDENT + line),
    `${ok ? 'ok' : 'not ok'} ${String(number)} - ${name}`,
  ];
}

function renderCheck(check: CheckRecord, variant: VariantRecord, number: number): string[] {
  const name = describe(`${check.title}, ${momentOf(check)} [${check.id}]`);
  if (check.status === 'pass') return [`ok ${String(number)} - ${name}`];
  const known = variant.verdict === 'known-bug' && check.status === 'fail';
  const directive = known ? ` # TODO known bug: ${reasonText(reasonOf(variant))}` : '';
  const diagnostics = {
    severity: check.status,
    id: check.id,
    boot: check.boot,
    at:
      check.place === undefined
        ? undefined
        : { file: check.place.file, line: check.place.line, column: check.place.col },
    expected: check.expected,
    found: check.found,
    cause: check.cause,
    evidence: check.evidence,
    files: check.files?.map((file) => `${variant.folder}/${file}`),
    repeat: variant.repeat,
  };
  return [`not ok ${String(number)} - ${name}${directive}`, ...renderDiagnostics(diagnostics)];
}

/** Only for a verdict that the checks above do not show already. */
function renderVerdict(variant: VariantRecord, number: number): string[] | undefined {
  if (isAsDeclared(variant.verdict)) return undefined;
  const isFlaky = variant.verdict === 'flaky';
  if (!isFlaky && variant.error === undefined && variant.checks.some((check) => check.status !== 'pass'))
    return undefined;
  const error: Partial<ErrorRecord> = variant.error ?? {};
  const diagnostics = {
    message: reasonOf(variant),
    severity: isFlaky ? 'flaky' : variant.error === undefined ? 'fail' : 'error',
    attempts: isFlaky ? listAttempts(variant) : undefined,
    code: error.code,
    at:
      error.place === undefined
        ? undefined
        : { file: error.place.file, line: error.place.line, column: error.place.col },
    hint: error.hint,
    details: error.details,
    files: [`${variant.folder}/`],
    repeat: variant.repeat,
  };
  const what = isFlaky
    ? 'the variant is as declared at the first attempt'
    : variant.error !== undefined
      ? 'the variant ran to its end'
      : 'the verdict is as declared';
  return [`not ok ${String(number)} - ${describe(`${what} [verdict]`)}`, ...renderDiagnostics(diagnostics)];
}

function renderDiagnostics(diagnostics: Readonly<Record<string, unknown>>): string[] {
  const printable = (_: unknown, value: unknown): unknown =>
    typeof value === 'string' ? makePrintable(value) : value;
  // Without folding each line of a message stays a line, and a console's tail can be read as it is.
  const yaml = stringify(diagnostics, printable, {
    lineWidth: 0,
    blockQuote: 'literal',
    doubleQuotedMinMultiLineLength: Infinity,
  }).trimEnd();
  return ['---', ...yaml.split('\n'), '...'].map((line) => YAML_INDENT + line);
}

/** A description: `#` would begin a directive, a `{` at the end a block of points. */
function describe(text: string): string {
  return guardBrace(makeOneLine(text)).replaceAll('\\', '\\\\').replaceAll('#', '\\#');
}

function reasonText(text: string): string {
  return describe(text === '' ? 'no reason given' : text);
}

function guardBrace(text: string): string {
  return text.endsWith('{') ? `${text}.` : text;
}

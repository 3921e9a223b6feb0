import { Builder } from 'xml2js';

import { formatPlace } from '../core/index.js';
import { isAsDeclared, type CheckRecord, type RunRecord, type VariantRecord } from '../record/index.js';
import { momentOf, reasonOf } from './digest.js';
import { listAttempts } from './attempts.js';
import { describeHistory } from './history.js';
import { listLeaks } from './leaks.js';
import { makePrintable } from './text.js';

interface Element {
  readonly $?: Readonly<Record<string, string>>;
  readonly _?: string;
  readonly [child: string]: unknown;
}

interface Counts {
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly skipped: number;
}

/**
 * The run as JUnit XML, in the form that Jenkins and GitLab read: one suite per variant, one case per check, and
 * one case `run` per variant that carries its time and a verdict which the checks do not show.
 *
 * Jenkins' xUnit plug-in refuses a whole file for one attribute that its schema does not name, so places stand in the text
 * of a failure (a case has no `file` there), and what was skipped is counted by suites.
 *
 * JUnit has no word for a known bug: its broken promises are `skipped`, with the reason. Nor has it one for a flaky variant:
 * its case `run` is a failure of type `flaky`.
 * Escape sequences are taken out, and other control characters are left as text (`\\x00`): XML cannot hold them.
 */
export function renderJUnit(record: RunRecord): string {
  const suites = record.variants.map((variant) => toSuite(variant));
  const counts = addUp(suites.map((suite) => suite.counts));
  const root = {
    testsuites: {
      $: {
        name: 'imperm',
        tests: String(counts.tests),
        failures: String(counts.failures),
        errors: String(counts.errors),
        time: seconds(record.durationMs),
      },
      testsuite: suites.map((suite) => suite.element),
    },
  };
  return `${new Builder({ xmldec: { version: '1.0', encoding: 'UTF-8' } }).buildObject(root)}\n`;
}

function toSuite(variant: VariantRecord): { element: Element; counts: Counts } {
  const cases = [toRunCase(variant), ...variant.checks.map((check) => toCheckCase(check, variant))];
  const has = (child: string): number => cases.filter((element) => child in element).length;
  const counts = {
    tests: cases.length,
    failures: has('failure'),
    errors: has('error'),
    skipped: has('skipped'),
  };
  const properties = {
    ...variant.axes,
    guest: variant.guest,
    target: variant.target,
    repeat: variant.repeat,
  };
  const element = {
    $: clean({
      name: variant.id,
      ...countAttributes(counts),
      time: seconds(variant.durationMs),
      timestamp: stamp(variant.startedAt),
      // The record names no machine: a report is often published.
      hostname: 'localhost',
      file: variant.scenario.file,
    }),
    properties: {
      property: Object.entries(properties).map(([name, value]) => ({ $: clean({ name, value }) })),
    },
    testcase: cases,
    'system-out': makePrintable(
      [
        `Evidence: ${variant.folder}/`,
        ...evidenceFiles(variant),
        ...listAttempts(variant),
        ...describeHistory(variant),
        ...listLeaks(variant),
        `Repeat: ${variant.repeat}`,
      ].join('\n'),
    ),
  };
  return { element, counts };
}

function toRunCase(variant: VariantRecord): Element {
  const $ = clean({
    classname: variant.id,
    name: 'run',
    time: seconds(variant.durationMs),
  });
  const reason = reasonOf(variant);
  const explained = variant.error === undefined && variant.checks.some((check) => check.status !== 'pass');
  if (variant.verdict === 'skip') return { $, skipped: { $: clean({ message: reason }) } };
  const isFlaky = variant.verdict === 'flaky';
  if (!isFlaky && (isAsDeclared(variant.verdict) || explained)) return { $ };
  const { error } = variant;
  const place = error?.place === undefined ? undefined : `At ${formatPlace(error.place)}`;
  const attempts = isFlaky ? listAttempts(variant) : [];
  const text = [...attempts, error?.message ?? reason, place, error?.hint, error?.details]
    .filter((part) => part !== undefined)
    .join('\n\n');
  if (isFlaky)
    return { $, failure: { $: clean({ message: reason, type: 'flaky' }), _: makePrintable(text) } };
  const outcome = {
    $: clean({ message: reason, type: error?.code ?? variant.verdict }),
    _: makePrintable(text),
  };
  return error === undefined && variant.verdict === 'fail' ? { $, failure: outcome } : { $, error: outcome };
}

function toCheckCase(check: CheckRecord, variant: VariantRecord): Element {
  const $ = clean({
    classname: variant.id,
    name: `${check.title}, ${momentOf(check)} [${check.id}]`,
    time: '0.000',
  });
  if (check.status === 'pass') return { $ };
  if (variant.verdict === 'known-bug' && check.status === 'fail') {
    return { $, skipped: { $: clean({ message: `known bug: ${reasonOf(variant)}` }) } };
  }
  const files = (check.files ?? []).map((file) => `${variant.folder}/${file}`);
  const parts = [
    ...(check.expected === undefined ? [] : [`Expected: ${check.expected}`]),
    `Found: ${check.found}`,
    ...(check.cause === undefined ? [] : [`Likely why: ${check.cause}`]),
    ...(check.place === undefined ? [] : [`Promised at ${formatPlace(check.place)}`]),
    ...(check.evidence ?? []),
  ];
  const outcome = { $: clean({ message: check.found, type: check.id }), _: makePrintable(parts.join('\n')) };
  const output = files.length === 0 ? {} : { 'system-out': makePrintable(files.join('\n')) };
  return check.status === 'fail' ? { $, failure: outcome, ...output } : { $, error: outcome, ...output };
}

function evidenceFiles(variant: VariantRecord): string[] {
  const files = variant.checks.flatMap((check) => check.files ?? []);
  return [...new Set(files)].map((file) => `${variant.folder}/${file}`);
}

function addUp(all: readonly Counts[]): Counts {
  const sum = (pick: (counts: Counts) => number): number =>
    all.reduce((total, counts) => total + pick(counts), 0);
  return {
    tests: sum((counts) => counts.tests),
    failures: sum((counts) => counts.failures),
    errors: sum((counts) => counts.errors),
    skipped: sum((counts) => counts.skipped),
  };
}

function countAttributes(counts: Counts): Record<keyof Counts, string> {
  return {
    tests: String(counts.tests),
    failures: String(counts.failures),
    errors: String(counts.errors),
    skipped: String(counts.skipped),
  };
}

function seconds(durationMs: number): string {
  return (durationMs / 1000).toFixed(3);
}

/** JUnit's schema knows neither fractions of a second nor a zone; the time is UTC. */
function stamp(iso: string): string {
  return iso.slice(0, 19);
}

function clean(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, makePrintable(value)]));
}

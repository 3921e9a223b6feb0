// What machines of others read: each format against its own rules, and to the letter against harness/report/golden.
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';
import { parseStringPromise } from 'xml2js';
import { z } from 'zod';

import { repositoryRoot } from '../core/index.js';
import { createRecorder, recordJsonSchema, type RunEvent, type RunRecord } from '../record/index.js';
import { goldenTexts, makeEarlierRecord } from './golden-texts.js';
import { renderAnnotations, renderJUnit, renderMarkdownSummary, renderTap } from './index.js';
import { HOSTILE_TAIL, makeSampleRecord } from './sample-run.js';

const record = makeSampleRecord();
const GOLDEN = path.join(repositoryRoot, 'harness/report/golden');

/** A variant that fails, is run again, and passes then. */
function makeFlakyRecord(): RunRecord {
  const id = 'shaky[disk=nvme]';
  const attempt = (number: number, status: 'pass' | 'fail'): RunEvent[] => {
    const variant = number === 1 ? id : `${id} attempt ${String(number)}`;
    return [
      {
        type: 'variant-start',
        variant,
        scenario: { name: 'shaky', title: 'A layout', file: 'shaky.yaml' },
        axes: { disk: 'nvme' },
        guest: 'debian',
        target: 'qemu',
        folder: `shaky-${String(number)}`,
        repeat: 'imperm run shaky.yaml',
        ...(number === 1 ? {} : { attempt: { of: id, number, why: 'retry' } }),
      },
      {
        type: 'check',
        variant,
        check: { id: 'root-wiped', title: 'The root is new', boot: 2, status, found: 'x' },
      },
      { type: 'variant-end', variant, verdict: status, machineCpuMs: 0 },
    ];
  };
  const recorder = createRecorder({ version: '0.1.0' });
  const events: RunEvent[] = [
    { type: 'run-start', run: 'flaky', command: 'imperm run --retries 1', folder: 'flaky' },
    ...attempt(1, 'fail'),
    ...attempt(2, 'pass'),
    { type: 'run-end', interrupted: false },
  ];
  events.forEach((event, atMs) => {
    recorder.receive({ atMs, wall: new Date(Date.UTC(2026, 2, 1) + atMs).toISOString(), event });
  });
  return recorder.record();
}

t.test('a flaky variant is told where machines read, too', (t) => {
  const flaky = makeFlakyRecord();
  t.match(flaky.variants, [{ verdict: 'flaky' }]);
  t.match(
    renderAnnotations(flaky),
    /^::error file=shaky\.yaml,line=1,col=1,title=The root is new::/,
    'it turns a run red',
  );
  t.match(renderMarkdownSummary(flaky, { folder: 'r' }), /\| flaky \| shaky.*broken: root-wiped \|/i);
  t.end();
});

t.test('golden texts', async (t) => {
  const texts = goldenTexts();
  t.strictSame((await readdir(GOLDEN)).sort(), Object.keys(texts).sort());
  for (const [name, text] of Object.entries(texts)) {
    t.equal(
      text,
      await readFile(path.join(GOLDEN, name), 'utf8'),
      `${name}: \`npm run golden\` writes it anew`,
    );
  }
});

// ---- JUnit: the rules of the schema by which Jenkins' xUnit plug-in refuses a file (junit-10) -------------------------

interface XmlNode {
  readonly '#name': string;
  readonly $?: Readonly<Record<string, string>>;
  readonly $$?: readonly XmlNode[];
  readonly _?: string;
}

interface ElementRule {
  readonly needs: readonly string[];
  readonly may: readonly string[];
  readonly holds: readonly string[];
  readonly text: boolean;
}

const element = (rule: Partial<ElementRule>): ElementRule => ({
  needs: [],
  may: [],
  holds: [],
  text: false,
  ...rule,
});
const outcome = element({ may: ['type', 'message'], text: true });
const rerun = element({
  needs: ['type'],
  may: ['message'],
  holds: ['stackTrace', 'system-out', 'system-err'],
  text: true,
});
const RULES: Readonly<Record<string, ElementRule>> = {
  testsuites: element({ may: ['name', 'time', 'tests', 'failures', 'errors'], holds: ['testsuite'] }),
  testsuite: element({
    needs: ['name', 'tests', 'failures', 'errors'],
    may: ['group', 'time', 'skipped', 'timestamp', 'hostname', 'id', 'package', 'file', 'log', 'url'],
    holds: ['testsuite', 'properties', 'testcase', 'system-out', 'system-err'],
  }),
  properties: element({ holds: ['property'] }),
  property: element({ needs: ['name', 'value'] }),
  testcase: element({
    needs: ['name'],
    may: ['time', 'classname', 'group'],
    holds: [
      ...['skipped', 'error', 'failure', 'system-out', 'system-err'],
      ...['rerunFailure', 'rerunError', 'flakyFailure', 'flakyError'],
    ],
  }),
  skipped: outcome,
  error: outcome,
  failure: outcome,
  rerunFailure: rerun,
  rerunError: rerun,
  flakyFailure: rerun,
  flakyError: rerun,
  stackTrace: element({ text: true }),
  'system-out': element({ text: true }),
  'system-err': element({ text: true }),
};

/** Every way in which a file breaks the rules. */
async function findBreaches(xml: string): Promise<string[]> {
  const root = (await parseStringPromise(xml, {
    explicitRoot: false,
    explicitChildren: true,
    preserveChildrenOrder: true,
  })) as XmlNode;
  return root['#name'] === 'testsuites' ? breachesOf(root) : [`begins with ${root['#name']}`];
}

function breachesOf(node: XmlNode): string[] {
  const name = node['#name'];
  const rule = RULES[name];
  if (rule === undefined) return [`unknown element ${name}`];
  const attributes = Object.entries(node.$ ?? {});
  const children = node.$$ ?? [];
  const has = (attribute: string): boolean => attributes.some(([known]) => known === attribute);
  return [
    ...rule.needs.filter((attribute) => !has(attribute)).map((attribute) => `${name} lacks ${attribute}`),
    ...attributes
      .filter(([attribute]) => !rule.needs.includes(attribute) && !rule.may.includes(attribute))
      .map(([attribute]) => `${name} has ${attribute}`),
    ...attributes
      .filter(([attribute, value]) => attribute === 'time' && !/^\d+(\.\d+)?$/.test(value))
      .map(([, value]) => `${name} took ${value}`),
    ...(rule.text || (node._ ?? '').trim() === '' ? [] : [`${name} has text`]),
    ...children
      .filter((child) => !rule.holds.includes(child['#name']))
      .map((child) => `${name} holds ${child['#name']}`),
    ...children.flatMap(breachesOf),
  ];
}

t.test('JUnit keeps to the schema of CI servers', async (t) => {
  const runs: RunRecord[] = [record, makeEarlierRecord(), makeFlakyRecord(), { ...record, variants: [] }];
  for (const each of runs) t.strictSame(await findBreaches(renderJUnit(each)), [], each.run);

  // Each break of a rule is found.
  const good = renderJUnit(record);
  const broken: readonly (readonly [from: string | RegExp, to: string, breach: string])[] = [
    ['<testsuites ', '<testsuites skipped="1" ', 'testsuites has skipped'],
    ['<testcase ', '<testcase file="x" ', 'testcase has file'],
    [/<testcase classname="[^"]*" name="[^"]*"/, '<testcase', 'testcase lacks name'],
    [/ hostname="localhost"/, ' host="localhost"', 'testsuite has host'],
    [
      / tests="\d+" failures="0" errors="0" skipped/,
      ' failures="0" errors="0" skipped',
      'testsuite lacks tests',
    ],
    [/time="\d+\.\d+"/, 'time="1 min"', 'testsuites took 1 min'],
    ['<properties>', '<properties>x', 'properties has text'],
    ['<properties>', '<notes/><properties>', 'testsuite holds notes'],
    [/<system-out>[^]*<\/system-out>/, '<system-out><b/></system-out>', 'system-out holds b'],
    [/ value="[^"]*"/, '', 'property lacks value'],
  ];
  for (const [from, to, breach] of broken) {
    t.ok((await findBreaches(good.replace(from, to))).includes(breach), breach);
  }
  t.strictSame(await findBreaches('<testsuite name="x"/>'), ['begins with testsuite']);
});

// ---- TAP: a second reader, the one that defined it ------------------------------------------------------------------

const hasPerl = spawnSync('perl', ['-MTAP::Parser', '-e', '1']).status === 0;

/** What Perl's own parser says: a line of counts, then one line for each point, then its complaints. */
const READ_TAP = `
use TAP::Parser;
local $/;
my $parser = TAP::Parser->new({ tap => <STDIN> });
my @points;
while (my $result = $parser->next) {
  next unless $result->is_test;
  push @points, join(" ", $result->number, $result->is_ok ? "ok" : "not-ok", $result->directive || "-");
}
print join("\\n", "plan " . $parser->plan . " run " . $parser->tests_run, @points, map("! $_", $parser->parse_errors)), "\\n";
`;

function readByPerl(tap: string): string[] {
  // It knows no version 14, which is made so that older parsers read it all the same: a subtest is its last point to them, and
  // what is indented is not theirs. Of YAML it knows a part only, and reads none where no version is said.
  const input = tap.replace('TAP version 14\n', '');
  const { stdout, stderr, status } = spawnSync('perl', ['-e', READ_TAP], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`perl: ${stderr}`);
  return stdout.trimEnd().split('\n');
}

t.test(
  'TAP is read by a second parser',
  { skip: hasPerl ? false : 'this host has no perl with TAP::Parser' },
  async (t) => {
    t.strictSame(readByPerl(renderTap(record)), [
      'plan 1..5 run 5',
      '1 ok -',
      '2 not-ok -',
      '3 not-ok -',
      '4 ok SKIP',
      '5 ok -',
    ]);
    const hostile = record.variants.map((variant) => ({
      ...variant,
      id: `${HOSTILE_TAIL} # TODO`,
      reason: HOSTILE_TAIL,
    }));
    t.strictSame(
      readByPerl(renderTap({ ...record, variants: hostile })).filter((line) => line.startsWith('!')),
      [],
      'whatever the text',
    );
    t.match(
      readByPerl(renderTap(record).replace('1..5', '1..6')).at(-1),
      /^! Bad plan/,
      'and it would complain',
    );
  },
);

// ---- the record -----------------------------------------------------------------------------------------------------

t.test('the JSON Schema of records', async (t) => {
  const file = path.join(repositoryRoot, 'reports/record.schema.json');
  const schema = recordJsonSchema();
  t.strictSame(JSON.parse(await readFile(file, 'utf8')), schema, '`npm run schema` writes it anew');
  const { $schema, ...rest } = schema;
  t.match($schema, 'draft-07');
  const validator = z.fromJSONSchema(rest);
  const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  for (const each of [record, makeEarlierRecord(), makeFlakyRecord(), { ...record, variants: [] }])
    t.ok(validator.safeParse(asJson(each)).success, each.run);
  const [variant] = record.variants;
  const wrong: readonly (readonly [string, unknown])[] = [
    ['another version', { ...record, version: 2 }],
    ['no variants', { ...record, variants: undefined }],
    ['an unknown verdict', { ...record, variants: [{ ...variant, verdict: 'fine' }] }],
    ['a negative time', { ...record, durationMs: -1 }],
    ['a date in other words', { ...record, startedAt: 'yesterday' }],
    ['null for what is absent', { ...record, host: null }],
  ];
  for (const [what, value] of wrong) t.notOk(validator.safeParse(asJson(value)).success, `refuses ${what}`);
  t.ok(validator.safeParse(asJson({ ...record, later: 1 })).success, 'a newer imperm may say more');
});

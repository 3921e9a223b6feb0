// What is said of mutants and of the layout as it is, and how results are written and read.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import type { CheckRecord, VariantRecord } from '../record/index.js';
import { openScenario } from '../scenario/index.js';
import { judgeControl, judgeMutant } from './judge.js';
import { countResults, renderControl, renderListed, renderMutant, renderResults } from './render.js';
import {
  emptyResults,
  type LayoutResults,
  type MutantResult,
  noteDecided,
  type Outcome,
  readResults,
  takeLayout,
} from './results.js';

const PASSED: VariantRecord = {
  id: 'x drop',
  scenario: { name: 'x', title: 'x', file: 'x/scenario.yaml' },
  axes: {},
  guest: 'debian',
  target: 'qemu',
  verdict: 'pass',
  startedAt: '2026-11-22T00:00:00.000Z',
  durationMs: 61_400,
  machineCpuMs: 1,
  phases: [
    { name: 'install', startMs: 0, durationMs: 9000 },
    { name: 'stage-1', boot: 1, startMs: 0, durationMs: 7000 },
  ],
  boots: [],
  checks: [{ id: 'gone:/', title: 'x', boot: 2, status: 'pass', found: 'y' }],
  folder: 'x-drop',
  repeat: '',
};
const BROKEN: readonly CheckRecord[] = [
  { id: 'root-wiped', title: 'x', boot: 1, status: 'fail', found: 'the old one' },
  { id: 'rollback-log', title: 'x', boot: 1, status: 'fail', found: 'none' },
  { id: 'root-wiped', title: 'x', boot: 2, status: 'fail', found: 'the old one' },
];
const FAILED: VariantRecord = { ...PASSED, verdict: 'fail', checks: [...PASSED.checks, ...BROKEN] };
const LOST: VariantRecord = {
  ...PASSED,
  verdict: 'error',
  error: { code: 'MACHINE_DIED', message: 'QEMU is gone' },
};

function resultOf(outcome: Outcome, id = 'rollback/drop'): MutantResult {
  const place = { file: 'x/scenario.yaml', line: 3, col: 1 };
  return {
    id,
    title: 'there is no rollback',
    missing: 'anything empties the root',
    place,
    lints: [],
    outcome,
  };
}

t.test('a mutant', async (t) => {
  t.match(judgeMutant(FAILED), {
    kind: 'killed',
    by: { promise: 'root-wiped', boot: 1, found: 'the old one' },
    broken: ['root-wiped', 'rollback-log'],
  });
  t.match(judgeMutant(PASSED), { kind: 'survived' });
  t.match(judgeMutant(LOST), { kind: 'error', message: 'QEMU is gone' }, 'no verdict without evidence');
  const late: VariantRecord = { ...LOST, checks: BROKEN };
  t.match(judgeMutant(late), { kind: 'killed' }, 'what was seen before the error counts');
  const refused: VariantRecord = {
    ...PASSED,
    verdict: 'error',
    error: { code: 'INSTALL_FAILED', message: 'no' },
  };
  t.match(judgeMutant(refused), { kind: 'killed', by: { promise: 'installs' } });
  const unsaid: VariantRecord = { ...refused, error: { code: 'STEP_FAILED', message: 'no line had it' } };
  t.match(judgeMutant(unsaid), { kind: 'killed', by: { promise: 'steps', found: 'no line had it' } });
});

t.test('a boot that hangs on a host that has become slow', async (t) => {
  const [first] = BROKEN;
  const hangs = (found: string, id = 'boots'): VariantRecord => ({
    ...FAILED,
    checks: [{ ...first, id, title: 'x', boot: 1, status: 'fail', found }],
  });
  const gaveUp = 'Gave up after 90 s waiting for stage 1';
  t.match(
    judgeMutant(hangs(gaveUp), 8000),
    { kind: 'killed', by: { promise: 'boots' } },
    'as fast as before',
  );
  t.match(judgeMutant(hangs(gaveUp)), { kind: 'killed' });
  t.match(judgeMutant(hangs(gaveUp), 3000), { kind: 'error', message: /^The host was 3\.0 times slower/ });
  t.match(
    judgeMutant(hangs('the console shows an emergency shell'), 3000),
    { kind: 'killed' },
    'nothing of time',
  );
  t.match(judgeMutant(hangs(gaveUp, 'root-wiped'), 3000), { kind: 'killed' });
});

t.test('going on with results', async (t) => {
  const source = await openScenario(path.join(repositoryRoot, 'scenarios/tmpfs-two-nvme/scenario.yaml'));
  const scenario = source.scenario.variants[0]?.scenario;
  if (scenario === undefined) throw new Error('no variant');
  const results = emptyResults({ imperm: '1', command: 'c', startedAt: PASSED.startedAt });
  const of = { variant: 'x', file: 'x', made: 4, scenario };
  const first = takeLayout(results, of);
  t.same([first.controls, first.mutants, results.layouts.length], [[], [], 1]);
  first.controls.push(judgeControl(1, PASSED), judgeControl(2, FAILED), judgeControl(3, LOST));
  first.mutants.push(resultOf(judgeMutant(FAILED), 'a'), resultOf(judgeMutant(LOST), 'b'));
  const again = takeLayout(results, of);
  t.same(
    again.mutants.map(({ id }) => id),
    ['a'],
    'what nobody knows is run again',
  );
  t.same(
    again.controls.map(({ number }) => number),
    [1, 2],
    'a false alarm is not forgotten',
  );
  t.equal(results.layouts.length, 1);
  const other = takeLayout(results, { ...of, scenario: { ...scenario, steps: [{ kind: 'boot' }] } });
  t.same([other.controls, other.mutants], [[], []], 'of another layout nothing is known');
});

t.test('what is decided without a machine, where a machine has decided before', async (t) => {
  const open = resultOf({ kind: 'survived', trials: [], durationMs: 1, folder: 'f' }, 'a/drop');
  const layout: LayoutResults = {
    variant: 'x',
    file: 'x',
    digest: 'd',
    promises: 1,
    made: 3,
    controls: [],
    mutants: [open, resultOf(judgeMutant(FAILED), 'b/drop')],
  };
  const same = (id: string): MutantResult => resultOf({ kind: 'equivalent', reason: 'the same' }, id);
  t.equal(noteDecided(layout, same('a/drop')), 'known');
  t.equal(noteDecided(layout, same('b/drop')), 'contradicted');
  t.equal(noteDecided(layout, resultOf({ kind: 'refused', by: 'lint', reason: 'x' }, 'b/drop')), 'known');
  t.equal(noteDecided(layout, same('c/drop')), 'new');
  t.same(
    layout.mutants.map(({ id, outcome }) => [id, outcome.kind]),
    [
      ['a/drop', 'equivalent'],
      ['b/drop', 'refused'],
      ['c/drop', 'equivalent'],
    ],
  );
});

t.test('the layout as it is', async (t) => {
  t.match(judgeControl(1, PASSED), { falseAlarms: [], slowestMs: 7000, setUpMs: 9000 });
  t.equal(judgeControl(1, PASSED).error, undefined);
  t.match(judgeControl(1, FAILED), { falseAlarms: [{ promise: 'root-wiped' }, {}, {}] });
  t.match(judgeControl(1, LOST), { falseAlarms: [], error: 'QEMU is gone' });
  t.match(renderControl(judgeControl(1, PASSED)), /^passed .*every promise kept, 61 s$/);
  t.match(renderControl(judgeControl(1, FAILED)), /^FALSE ALARM .*root-wiped: the old one/);
  t.match(renderControl(judgeControl(1, LOST)), /^error .*QEMU is gone/);
});

t.test('what is shown and counted', async (t) => {
  const layout: LayoutResults = {
    variant: 'x[disk=nvme]',
    file: 'x',
    digest: 'd',
    promises: 3,
    made: 7,
    controls: [judgeControl(1, PASSED), judgeControl(2, FAILED)],
    mutants: [
      resultOf(judgeMutant(FAILED)),
      resultOf({ kind: 'survived', trials: [], durationMs: 100_000, folder: 'f' }, 'a/drop'),
      resultOf({ kind: 'refused', by: 'loader', reason: 'nothing starts it' }, 'b/drop'),
      resultOf({ kind: 'equivalent', reason: 'the same' }, 'c/drop'),
      resultOf(judgeMutant(LOST), 'd/drop'),
    ],
  };
  t.match(countResults([layout]), {
    made: 7,
    decided: 5,
    refused: 1,
    killed: 1,
    survived: 1,
    equivalent: 1,
    errors: 1,
    falseAlarms: 1,
    controlErrors: 0,
  });
  t.match(
    layout.mutants.map(renderMutant).join('\n'),
    /^killed +rollback\/drop +root-wiped in boot 1, 61 s\nsurvived +a\/drop +every promise kept, 100 s\nrefused +b\/drop +by the loader: nothing starts it\nequivalent +c\/drop +the same\nerror +d\/drop +QEMU is gone$/,
  );
  t.match(
    renderListed(resultOf(judgeMutant(LOST)), undefined),
    /^run +rollback\/drop +there is no rollback$/,
  );
  const results = {
    ...emptyResults({ imperm: '1', command: 'c', startedAt: PASSED.startedAt }),
    layouts: [layout],
  };
  const text = renderResults(results);
  t.match(
    text,
    /Survived:\n {2}a\/drop {2}\(x\/scenario\.yaml:3\)\n.*\n {4}Nobody promises that anything empties the root\./,
  );
  t.match(text, /Caught first by: root-wiped 1/);
  t.match(
    text,
    /7 made, 2 not looked at, 1 killed statically, 1 killed by a machine, 1 survived, 1 equivalent, 1 errors, 1 false alarms in 2 controls; 74 s/,
  );
  t.match(text, /Interrupted: --resume/);
  const folder = t.testdir({});
  const file = path.join(folder, 'mutants.json');
  await writeFile(file, JSON.stringify(results));
  t.same(await readResults(file), results, 'written and read');
  await writeFile(file, JSON.stringify({ ...results, version: 2 }));
  await t.rejects(readResults(file), { code: 'USAGE' });
  await writeFile(file, '{');
  await t.rejects(readResults(file), { code: 'USAGE' });
});

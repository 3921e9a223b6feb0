// The texts that nix/ makes for a machine, read by the programs that they are for, which are the same on every host.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';

import { repositoryRoot, runProgram } from '../core/index.js';
import { makeStageOneTree, type Tree } from '../guest/index.js';
import { evaluateMapping, NIX_DIR } from './evaluate.js';
import { pairWithMapping } from './mapped-systems.js';
import { findMissingReferences, layOutStageOne, makeStageOneRoot, verifyUnits } from './stage-one-root.js';
import { setUpNixTest } from './test-set-up.js';
import { openTestTools } from './test-tools.js';
import { loadAllScenarios } from './write.js';

const { folder, budget, nix } = await setUpNixTest(t, 'rendered texts to be read');
const tools = await openTestTools(budget);
const root = path.join(folder, 'root');
await makeStageOneRoot(root, tools);

const mapping = await evaluateMapping(nix);
const systems = pairWithMapping(await loadAllScenarios(), mapping);

/** Its fault is that nobody can read it. */
const UNREADABLE = 'script-unreadable';

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)];
const SERVICE_SCRIPTS = distinct(
  systems
    .filter(({ name }) => name !== UNREADABLE)
    .flatMap(({ mapped }) => Object.values(mapped.rendered.services).map(({ script }) => script)),
);
const HOOK_SCRIPTS = distinct(
  systems.flatMap(({ mapped }) => Object.values(mapped.rendered.hooks).map(({ content }) => content)),
);
const REPORT_SCRIPT = await readFile(path.join(NIX_DIR, 'report.sh'), 'utf8');
const CI_DIR = path.join(repositoryRoot, '.ci');
const CI_SCRIPTS = await Promise.all(
  (await readdir(CI_DIR))
    .filter((name) => !name.includes('.'))
    .map((name) => readFile(path.join(CI_DIR, name), 'utf8')),
);

/** Fails for every text that is not taken, and when one is taken that is broken. */
async function checkEach(
  t: Test,
  texts: readonly string[],
  read: (file: string) => Promise<unknown>,
): Promise<void> {
  const file = path.join(folder, 'script');
  const check = async (text: string): Promise<unknown> => {
    await writeFile(file, text);
    return read(file);
  };
  t.ok(texts.length > 2, `${String(texts.length)} different scripts`);
  for (const text of texts) await t.resolves(check(text), text.split('\n').slice(0, 4).join('\n'));
  await t.rejects(check('if true; then\n'), { code: 'TOOL_FAILED' }, 'the check can fail');
}

void t.test('bash reads every script of a service', async (t) => {
  await checkEach(t, [...SERVICE_SCRIPTS, REPORT_SCRIPT], (file) =>
    runProgram('bash', ['-n', file], { budget }),
  );
});

void t.test('busybox reads every hook of scripted stage 1', async (t) => {
  await checkEach(t, HOOK_SCRIPTS, (file) => tools.run('busybox', ['ash', '-n', file]));
});

/** Each code that shellcheck has for a text, hints of style included, once. */
async function findingsIn(text: string, shell: 'bash' | 'busybox'): Promise<string[]> {
  const file = path.join(folder, 'script');
  await writeFile(file, text);
  const { stdout } = await tools.run(
    'shellcheck',
    ['--norc', `--shell=${shell}`, '--severity=style', '--format=json1', file],
    { okExitCodes: [0, 1] },
  );
  const { comments } = JSON.parse(stdout) as { comments: readonly { readonly code: number }[] };
  return distinct(comments.map(({ code }) => `SC${String(code)}`)).sort();
}

async function findingsInAll(texts: readonly string[], shell: 'bash' | 'busybox'): Promise<string[]> {
  const found: string[] = [];
  for (const text of texts) found.push(...(await findingsIn(text, shell)));
  return distinct(found).sort();
}

/** What shellcheck is not heeded in. What it no longer finds has to go from here. */
const NOT_HEEDED = {
  hooks: [
    // `read` without -r: as published, and no path of these layouts has a backslash.
    'SC2162',
    // $'…': shellcheck takes busybox for dash here. Its ash knows it.
    'SC3003',
  ],
  report: [
    // `sed 's/^/- /'`: every line gets it, which no expansion of a variable can do.
    'SC2001',
  ],
};

void t.test('shellcheck finds nothing in any script but what is known', async (t) => {
  t.strictSame(await findingsInAll(SERVICE_SCRIPTS, 'bash'), [], 'services');
  t.strictSame(await findingsInAll(HOOK_SCRIPTS, 'busybox'), NOT_HEEDED.hooks, 'hooks');
  t.strictSame(await findingsIn(REPORT_SCRIPT, 'bash'), NOT_HEEDED.report, 'report.sh');
  t.ok(CI_SCRIPTS.length > 5);
  t.strictSame(await findingsInAll(CI_SCRIPTS, 'bash'), [], '.ci');
  t.strictSame(await findingsIn('rm -rf $FOLDER/*\n', 'bash'), ['SC2086', 'SC2115'], 'the check can fail');
  t.strictSame(
    await findingsIn('list=(one two)\n', 'busybox'),
    ['SC2034', 'SC3030'],
    'and knows what ash lacks',
  );
});

// ---- the units of stage 1 --------------------------------------------------------------------------------------------

const PROGRAM = '/nix/store/unit-script-rollback-start';
const ROLLBACK = 'rollback.service';

/** Every stage 1 by systemd: different ones only, with the names of the systems that have it. */
const trees = new Map<string, { readonly names: string[]; readonly tree: Tree }>();
for (const { name, system } of systems) {
  if (system.stage1 !== 'systemd') continue;
  const tree = makeStageOneTree(system, PROGRAM);
  const key = JSON.stringify([...tree]);
  const known = trees.get(key) ?? { names: [], tree };
  known.names.push(name);
  trees.set(key, known);
}

/** Names of the units that a scenario adds. */
function unitsOf(tree: Tree): string[] {
  return [...tree.keys()].flatMap((file) => /^\/etc\/systemd\/system\/([^/]+)$/.exec(file)?.[1] ?? []);
}

/** Units that bug reports name, and nobody has: that is their fault. */
const NOT_THERE: Readonly<Record<string, readonly string[]>> = {
  'mapper-name-wrong': ['systemd-cryptsetup@enc.service'],
  'mapper-name-unescaped': ['systemd-cryptsetup@crypt-fs.service'],
};

async function complaintsAbout(tree: Tree): Promise<string> {
  const said = await layOutStageOne(root, tree, tools);
  return said + (await verifyUnits(root, ['initrd.target', ...unitsOf(tree)], tools));
}

void t.test(
  'systemd takes every unit of stage 1, orders them without circles, and has all they name',
  async (t) => {
    t.ok(trees.size > 5, `${String(trees.size)} different stages 1`);
    const rollbacks = [...trees.values()].filter(({ tree }) => unitsOf(tree).includes(ROLLBACK));
    t.ok(rollbacks.length > 5, `${String(rollbacks.length)} of them with a rollback`);
    for (const { names, tree } of trees.values()) {
      t.equal(await complaintsAbout(tree), '', names.join(', '));
      const missing = await Promise.all(unitsOf(tree).map((unit) => findMissingReferences(root, unit)));
      const known = names.flatMap((name) => NOT_THERE[name] ?? []);
      t.strictSame(missing.flat(), known, `${names.join(', ')}: units that are not there`);
    }
  },
);

void t.test('what is wrong with a unit of stage 1 is found', async (t) => {
  const [good] = [...trees.values()].filter(({ tree }) => unitsOf(tree).includes(ROLLBACK));
  const file = `/etc/systemd/system/${ROLLBACK}`;
  const unit = good?.tree.get(file);
  if (good === undefined || unit?.kind !== 'file') throw new Error('no system has a rollback');
  const change = (from: RegExp, to: string): Tree => {
    const text = String(unit.content);
    if (!from.test(text)) throw new Error(`not in the unit: ${String(from)}`);
    return new Map([...good.tree, [file, { ...unit, content: text.replace(from, to) }]]);
  };
  const cases: [tree: Tree, complaint: RegExp][] = [
    [change(/Type=oneshot/, 'Type=onceshot'), /Failed to parse (service type|Type=onceshot)/],
    [change(/^\[Unit\]$/m, '[Unit]\nDefaultDependancies=no'), /Unknown key.*DefaultDependancies/],
    [change(/^\[Unit\]$/m, '[Unit]\nRequires=none.service'), /Unit none.service not found/],
    [change(/^After=/m, 'After=initrd-root-fs.target '), /Found ordering cycle on/],
    [change(/bin\/rollback-start/, 'bin/rollback-stop'), /rollback-stop is not executable/],
    [
      new Map([...good.tree, ['/etc/crypttab', { kind: 'file', content: 'cryptfs\n' }]]),
      /Failed to parse .*crypttab:1/,
    ],
  ];
  for (const [tree, complaint] of cases) t.match(await complaintsAbout(tree), complaint, String(complaint));
  await layOutStageOne(root, change(/^After=/m, 'After=systemd-cryptsetup@misspelt.service '), tools);
  t.strictSame(await findMissingReferences(root, ROLLBACK), ['systemd-cryptsetup@misspelt.service']);
});

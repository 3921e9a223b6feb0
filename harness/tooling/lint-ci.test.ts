// What the gate says about workflows and scripts of CI, and what it would refuse.
import { spawnSync } from 'node:child_process';
import { access, constants, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';
import { parse } from 'yaml';

const ROOT = process.cwd();
const WORKFLOWS = path.join(ROOT, '.github/workflows');

function lint(folder: string): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(ROOT, 'harness/tooling/lint-ci.mjs')],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  return { code: status, text: stdout + stderr };
}

const WORKFLOW = `on: push
jobs:
  one:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - run: .ci/x
`;
const SCRIPT = '#!/bin/bash\necho x\n';

function checkout(t: Test, workflow: string, script = SCRIPT): string {
  return t.testdir({
    '.github': { workflows: { 'w.yml': workflow } },
    '.ci': { x: script, 'README.md': '(' },
  });
}

t.test('our own workflows and scripts are in order', (t) => {
  t.strictSame(lint(ROOT), { code: 0, text: '' });
  t.end();
});

t.test('a broken workflow or script is refused', (t) => {
  t.strictSame(lint(checkout(t, WORKFLOW)), { code: 0, text: '' }, 'as it should be');
  const cases: readonly (readonly [what: string, workflow: string, says: RegExp])[] = [
    ['unknown key', WORKFLOW.replace('steps:', 'step:'), /w\.yml:\d+:\d+: .*"step"/],
    [
      'unknown runner',
      WORKFLOW.replace('ubuntu-24.04', 'ubuntu-2404'),
      /w\.yml:4:\d+: label "ubuntu-2404" is unknown/,
    ],
    ['job that is not there', WORKFLOW.replace('    steps', '    needs: two\n    steps'), /needs job "two"/],
    ['no such context', WORKFLOW.replace('.ci/x', '.ci/x ${{ matrix.x }}'), /property "x" is not defined/],
    [
      'text of others in a script',
      WORKFLOW.replace('.ci/x', 'echo ${{ github.head_ref }}'),
      /potentially untrusted/,
    ],
    [
      'permission that there is none of',
      `permissions: { content: read }\n${WORKFLOW}`,
      /unknown permission scope/,
    ],
    ['wrong date', WORKFLOW.replace('push', "{ schedule: [{ cron: '61 1 * * *' }] }"), /invalid CRON format/],
    ['no YAML', `${WORKFLOW}  x: [`, /w\.yml:\d+:\d+: .* \[yaml\]/],
  ];
  for (const [what, workflow, says] of cases) {
    const { code, text } = lint(checkout(t, workflow));
    t.equal(code, 1, what);
    t.match(text, says);
  }
  const { code, text } = lint(checkout(t, WORKFLOW, '#!/bin/bash\nif true; then\n'));
  t.equal(code, 1, 'a script that bash cannot read');
  t.match(text, /\.ci\/x: line \d+: syntax error/);
  t.equal(lint(t.testdir({})).code, 1, 'nothing to look at is no success');
  t.end();
});

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string>>;
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: unknown;
  readonly concurrency?: { readonly group?: string };
  readonly jobs: Readonly<Record<string, { 'timeout-minutes'?: number; steps: readonly Step[] }>>;
}

t.test(
  'workflows: least rights, a limit for everything, nothing but scripts that run anywhere',
  async (t) => {
    const names = (await readdir(WORKFLOWS)).sort();
    t.strictSame(names, ['nightly.yml', 'pull-request.yml']);
    const action = parse(await readFile(path.join(ROOT, '.github/actions/prepare/action.yml'), 'utf8')) as {
      runs: { using: string; steps: readonly (Step & { shell?: string })[] };
    };
    t.equal(action.runs.using, 'composite');
    for (const step of action.runs.steps)
      t.equal(step.shell === 'bash', step.run !== undefined, 'a shell for each command');
    const steps: Step[] = [...action.runs.steps];
    for (const name of names) {
      const workflow = parse(await readFile(path.join(WORKFLOWS, name), 'utf8')) as Workflow;
      t.strictSame(workflow.permissions, { contents: 'read' }, `${name}: permissions`);
      t.type(workflow.concurrency?.group, 'string', `${name}: concurrency`);
      // It would run with the rights of the repository, on what a stranger has sent.
      t.notHas(workflow.on, 'pull_request_target');
      for (const [job, { 'timeout-minutes': minutes, steps: own }] of Object.entries(workflow.jobs)) {
        t.type(minutes, 'number', `${name}: ${job} has a limit`);
        steps.push(...own);
      }
    }
    for (const { uses, run, with: options } of steps) {
      if (uses !== undefined) t.match(uses, /^(\.\/\.github\/actions\/prepare|actions\/[a-z/-]+@v\d+)$/);
      if (uses?.startsWith('actions/checkout@') === true)
        t.strictSame(options?.['persist-credentials'], false, 'no step finds credentials');
      if (run === undefined) continue;
      const [program = ''] = run.split(' ');
      t.match(run, /^(\.ci\/[a-z]+|node harness\/bin\/imperm\.mjs)( |$)/);
      await t.resolves(
        access(path.join(ROOT, program === 'node' ? 'harness/bin/imperm.mjs' : program), constants.X_OK),
      );
    }
  },
);

// The scripts of .ci and the job for Kubernetes: what they call is what the command line takes.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';

import t, { type Test } from 'tap';
import { parseAllDocuments } from 'yaml';

import { repositoryRoot } from '../core/index.js';
import { createRecorder, writeRecord } from '../record/index.js';
import { main } from './main.js';

/** Writes down how it was called, makes a run where it is told to merge, and ends as it is told to. */
const STAND_IN = `#!/bin/bash
printf '%s\\n' "\${IMPERM_TOOLS_SUITE:-}" "$@" '' >>"$CALLS"
if [ "$2" = merge ] && [ -n "\${MERGED:-}" ]; then ln -sfn "$MERGED" reports/latest; fi
if [ "$2" = merge ]; then echo 'what merge says' >&2; exit "\${STATUS:-0}"; fi
if [ "$2" = compare ]; then echo 'what compare says'; exit; fi
exit "\${STATUS:-0}"
`;

interface Call {
  readonly suite: string;
  readonly args: readonly string[];
}

/** A folder with the scripts and a stand-in for Node; the record of last night and of tonight where they are wanted. */
async function makeCheckout(t: Test, records: readonly string[] = []): Promise<string> {
  const folder = t.testdir({ bin: { node: STAND_IN } });
  chmodSync(path.join(folder, 'bin/node'), 0o755);
  cpSync(path.join(repositoryRoot, '.ci'), path.join(folder, '.ci'), { recursive: true });
  symlinkSync(path.join(repositoryRoot, 'scenarios'), path.join(folder, 'scenarios'));
  for (const name of records) {
    const recorder = createRecorder({ version: '0' });
    const wall = '2026-03-01T10:00:00.000Z';
    recorder.receive({ atMs: 0, wall, event: { type: 'run-start', run: name, command: 'x', folder: name } });
    recorder.receive({ atMs: 1, wall, event: { type: 'run-end', interrupted: false } });
    await writeRecord(recorder.record(), path.join(folder, name));
  }
  return folder;
}

function runScript(
  folder: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { calls: Call[]; code: number | null; stdout: string; stderr: string } {
  const file = path.join(folder, 'calls');
  rmSync(file, { force: true });
  const [script = '', ...args] = words;
  const { status, stdout, stderr } = spawnSync(script, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`, CALLS: file, ...env },
  });
  return {
    calls: existsSync(file) ? readCalls(readFileSync(file, 'utf8')) : [],
    code: status,
    stdout,
    stderr,
  };
}

function readCalls(text: string): Call[] {
  const lines = text.split('\n');
  const calls: Call[] = [];
  for (let start = 0; start < lines.length - 1;) {
    // The first line may be empty: that of a variable that is not set.
    const end = lines.indexOf('', start + 1);
    calls.push({ suite: lines[start] ?? '', args: lines.slice(start + 1, end) });
    start = end + 1;
  }
  return calls;
}

/** What the command line says to words that end in what only its own checks refuse. */
async function ask(folder: string, args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const [program = '', ...words] = args;
  t.equal(program, 'harness/bin/imperm.mjs');
  const write = process.stderr.write.bind(process.stderr);
  const here = process.cwd();
  let stderr = '';
  process.stderr.write = (text: string | Uint8Array) => (stderr += String(text)) !== '';
  process.chdir(folder);
  try {
    return { code: await main(words), stderr };
  } finally {
    process.chdir(here);
    process.stderr.write = write;
  }
}

/** Words of `imperm run` are taken when the only thing wrong with them is what is put behind them. */
async function takesRun(t: Test, folder: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await ask(folder, [...args, '--jobs', 'some']);
  t.equal(code, 2);
  t.match(stderr, '--jobs takes a whole number from 1, not "some"', args.join(' '));
}

t.test('what scripts call is taken by the command line', async (t) => {
  const folder = await makeCheckout(t, ['last-night']);
  const cases: readonly (readonly [words: readonly string[], wanted: string])[] = [
    [['.ci/layouts', '--accel', 'kvm'], 'run --all --once --yes --accel kvm'],
    [
      ['.ci/shard', '3/8', '--accel', 'kvm'],
      'run scenarios scenarios/bugs --full --shard 3/8 --durations last-night --retries 1 --yes --accel kvm',
    ],
    [['.ci/nixos', '25_11'], 'run --all --once --guest nixos --lane 25_11 --yes'],
    [
      ['.ci/tools', 'sid'],
      'run btrfs-luks-rollback btrfs-luks-hibernate tmpfs-two-nvme --tools private --yes',
    ],
    [['.ci/tools', 'host'], 'run btrfs-luks-rollback btrfs-luks-hibernate tmpfs-two-nvme --tools host --yes'],
    [['.ci/races', 'scripted'], 'run btrfs-luks-rollback --once --variant stage1=scripted --repeat 50 --yes'],
  ];
  for (const [words, wanted] of cases) {
    const { calls, code } = runScript(folder, words);
    t.equal(code, 0);
    const [call] = calls;
    t.equal(call?.args.join(' '), `harness/bin/imperm.mjs ${wanted}`);
    t.equal(call?.suite, words[1] === 'sid' ? 'sid' : '');
    await takesRun(t, folder, call?.args ?? []);
  }
  const wrong = await ask(folder, ['harness/bin/imperm.mjs', 'run', '--no-such-option', '--jobs', 'some']);
  t.match(wrong.stderr, "unknown option '--no-such-option'", 'what it does not take is told');

  rmSync(path.join(folder, 'last-night'), { recursive: true });
  t.notMatch(
    runScript(folder, ['.ci/shard', '1/2']).calls[0]?.args.join(' '),
    '--durations',
    'the first night',
  );
  for (const script of ['shard', 'nixos', 'tools', 'races']) {
    const { calls, code, stderr } = runScript(folder, [`.ci/${script}`]);
    t.strictSame(calls, [], `${script} does not guess`);
    t.not(code, 0);
    t.match(stderr, /which .*such as|which stage 1/);
  }
});

t.test('what the gate calls', async (t) => {
  const folder = await makeCheckout(t);
  t.strictSame(
    runScript(folder, ['.ci/gate']).calls.map(({ args }) => args.join(' ')),
    ['harness/tooling/check.mjs', 'harness/tooling/test.mjs --unit'],
  );
  t.equal(runScript(folder, ['.ci/gate'], { STATUS: '1' }).calls.length, 1, 'a failed check is the end');
});

t.test('the summary of a night', async (t) => {
  const folder = await makeCheckout(t, ['last-night', 'reports/tonight']);
  const page = path.join(folder, 'page.md');
  const summarize = (env: Record<string, string> = {}): ReturnType<typeof runScript> => {
    rmSync(path.join(folder, 'reports/latest'), { force: true });
    return runScript(folder, ['.ci/summary', 'parts/a', 'parts/b'], { MERGED: 'tonight', ...env });
  };
  const first = summarize({ GITHUB_STEP_SUMMARY: page });
  t.strictSame([first.code, first.stdout, first.stderr], [0, '', 'what merge says\n']);
  t.equal(readFileSync(page, 'utf8'), 'what compare says\n');
  t.strictSame(
    first.calls.map(({ args }) => args.slice(1).join(' ')),
    [
      'merge --history last-night/history.jsonl parts/a parts/b',
      'compare --markdown last-night reports/latest',
    ],
  );
  t.match(
    summarize({ STATUS: '1' }),
    { code: 1, stdout: 'what compare says\n' },
    'a failed layout turns the night red',
  );
  const kept = path.join(folder, 'last-night/record.json');
  t.match(readFileSync(kept, 'utf8'), '"run": "reports/tonight"', 'the next night is compared with this one');

  const [merge, compare] = first.calls;
  const merged = await ask(folder, merge?.args ?? []);
  t.equal(merged.code, 2);
  t.match(merged.stderr, 'parts/a', 'it is the parts that are refused, not the words');
  t.notMatch(merged.stderr, /^error: /m);
  const gone = await ask(folder, [...(compare?.args ?? []).slice(0, -1), 'nowhere']);
  t.match(gone, { code: 2, stderr: /Could not read the record nowhere/ });

  rmSync(kept);
  t.match(summarize(), { code: 0, stdout: 'There is no earlier night to compare with.\n' });
  t.ok(existsSync(kept));
  const refused = { stdout: '**The parts could not be put together:**\n    what merge says\n' };
  t.match(summarize({ STATUS: '2', MERGED: '' }), { code: 2, ...refused }, 'a part is missing');
  t.match(summarize({ MERGED: '' }), { code: 69, ...refused }, 'nothing is not a success');
  symlinkSync('tonight', path.join(folder, 'reports/latest'));
  t.match(
    runScript(folder, ['.ci/summary', 'parts/a'], { STATUS: '2' }),
    { code: 2, ...refused },
    'an older run is not taken for this one',
  );
});

interface Container {
  readonly image: string;
  readonly command: readonly string[];
  readonly args?: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly resources?: { readonly limits: Readonly<Record<string, string>> };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Job {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: {
    readonly completionMode: string;
    readonly completions: number;
    readonly parallelism: number;
    readonly template: {
      readonly spec: {
        readonly restartPolicy: string;
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string; readonly persistentVolumeClaim?: unknown }[];
      };
    };
  };
}

t.test('the job for Kubernetes', async (t) => {
  const file = path.join(repositoryRoot, '.ci/kubernetes.yaml');
  const documents = parseAllDocuments(readFileSync(file, 'utf8'), { version: '1.1' });
  t.strictSame(
    documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]),
    [],
  );
  const [claim, job] = documents.map((document) => document.toJS() as Job & { metadata: { name: string } });
  t.match(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' });
  t.match(job, { apiVersion: 'batch/v1', kind: 'Job', spec: { completionMode: 'Indexed' } });
  const { completions, template } = job!.spec;
  const pod = template.spec;
  t.equal(pod.restartPolicy, 'Never', 'an index that failed is not run again');
  const [container] = pod.containers;
  t.hasStrict(container?.resources?.limits, { 'devices.kubevirt.io/kvm': '1' });
  t.match(
    pod.volumes.find(({ name }) => name === 'reports'),
    { persistentVolumeClaim: { claimName: claim!.metadata.name } },
  );
  for (const { name } of container?.volumeMounts ?? [])
    t.ok(
      pod.volumes.some((volume) => volume.name === name),
      `${name} is a volume of the pod`,
    );

  // Its command line, as the pod of each index would start it, but for the packages of the host.
  const folder = await makeCheckout(t);
  const env = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
  t.equal(Number(env['PARTS']), completions, 'as many parts as pods');
  const [line = ''] = container?.args ?? [];
  t.match(line, /^\.ci\/host && /);
  const words = [...(container?.command ?? []), line.replace('.ci/host && ', '')];
  for (const index of [0, completions - 1]) {
    const { calls } = runScript(folder, words, { ...env, JOB_COMPLETION_INDEX: String(index) });
    t.equal(
      calls[0]?.args.slice(1).join(' '),
      `run scenarios scenarios/bugs --full --shard ${String(index + 1)}/${String(completions)} --retries 1 --yes --reports /reports/part-${String(index)}`,
    );
    await takesRun(t, folder, calls[0]?.args ?? []);
  }
});

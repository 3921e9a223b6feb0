// `imperm merge` and `imperm history`, as a person calls them: one run of all shards with all evidence, or nothing.
import { appendFile, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { readEnvironment } from '../core/index.js';
import { type RunRecord, readRecord, type VariantRecord, writeRecord } from '../record/index.js';
import { renderJUnit, renderTap } from '../report/index.js';
import { merge } from './merge.js';
import { markRunning } from './running.js';
import { Cli, type CliResult, withFolder } from './cli-process.js';

const WHEN = '2026-03-01T10:00:00.000Z';
const IDS = ['a[disk=nvme]', 'b[disk=nvme]', 'c[disk=nvme]'];

function variantOf(id: string): VariantRecord {
  const [name = id] = id.split('[');
  const isBroken = name === 'b';
  const attempt = {
    startedAt: WHEN,
    durationMs: 2000,
    machineCpuMs: 1000,
    phases: [],
    boots: [{ number: 1, how: 'power-on' as const }],
    checks: [
      {
        id: 'root-wiped',
        title: 'The root is new',
        boot: 1,
        status: 'pass' as const,
        found: 'made in this boot',
      },
    ],
  };
  const passed = { ...attempt, folder: `${name}-attempt-2`, attempt: 2, verdict: 'pass' as const };
  return {
    id,
    scenario: { name, title: 'A layout', file: 'scenario.yaml' },
    axes: { disk: 'nvme' },
    guest: 'debian',
    target: 'qemu',
    ...attempt,
    folder: `${name}-disk=nvme`,
    repeat: `npx imperm run ${name}`,
    verdict: 'pass',
    ...(isBroken
      ? {
          verdict: 'flaky' as const,
          reason: 'not as declared in attempt 1, as declared in attempt 2',
          attempt: 1,
          otherAttempts: [passed],
          checks: [
            {
              ...attempt.checks[0],
              id: 'root-wiped',
              title: 'The root is new',
              status: 'fail',
              found: 'old',
            },
          ],
        }
      : {}),
  };
}

function recordOf(run: string, ids: readonly string[], shard?: RunRecord['shard']): RunRecord {
  return {
    version: 1,
    imperm: '0.1.0',
    run,
    command: 'imperm run',
    startedAt: WHEN,
    durationMs: 5000,
    interrupted: false,
    ...(shard === undefined ? {} : { shard }),
    setup: [],
    variants: ids.map(variantOf),
  };
}

/** The folders of two shards with evidence. */
async function makeShards(folder: string): Promise<string[]> {
  const parts = [IDS.slice(0, 1), IDS.slice(1)];
  return Promise.all(
    parts.map(async (part, index) => {
      const run = path.join(folder, `machine-${String(index + 1)}`, 'run');
      const shard = { index: index + 1, count: 2, selection: IDS, part, digest: 'd' };
      const record = recordOf(`run-${String(index + 1)}`, part, shard);
      await writeRecord(record, run);
      for (const { folder: own, otherAttempts = [] } of record.variants) {
        for (const name of [own, ...otherAttempts.map((each) => each.folder)]) {
          await mkdir(path.join(run, name, 'deep'), { recursive: true });
          await writeFile(path.join(run, name, 'deep', 'console.log'), name);
        }
      }
      return run;
    }),
  );
}

function imperm(...args: string[]): Promise<CliResult> {
  return new Cli(args).result;
}

t.test('merged: every report and all evidence, as of one run', (t) =>
  withFolder(async (folder) => {
    const reports = path.join(folder, 'reports');
    const shards = await makeShards(folder);
    // Of a merge that was killed, and of one that is under way.
    for (const name of ['.merging-killed', '.merging-other'])
      await mkdir(path.join(reports, name), { recursive: true });
    await writeFile(path.join(reports, '.merging-killed', '.running'), '');
    const other = await markRunning(path.join(reports, '.merging-other'), new AbortController().signal);
    const { exitCode, stdout, stderr } = await imperm('merge', ...shards, '--reports', reports);
    t.equal(stderr, '');
    t.equal(exitCode, 1, 'one is flaky');
    t.match(stdout, '3 variants: 2 passed, 1 flaky.');
    t.match(stdout.replace(/\s+/g, ' '), 'Merged from 2 shards: shard 1 on nothing; shard 2 on nothing.');
    const run = path.join(reports, 'latest');
    t.strictSame(
      (await readdir(reports)).sort(),
      ['.merging-other', await readlink(run), 'history.jsonl', 'latest'].sort(),
      'what a killed merge left is gone',
    );
    await other.release();
    const merged = await readRecord(path.join(run, 'record.json'));
    t.strictSame(merged.variants, recordOf('x', IDS).variants);
    t.strictSame((await readdir(run)).sort(), [
      'a-disk=nvme',
      'b-attempt-2',
      'b-disk=nvme',
      'c-disk=nvme',
      'junit.xml',
      'record.json',
      'report.html',
      'report.tap',
      'summary.txt',
    ]);
    t.equal(await readFile(path.join(run, 'b-attempt-2', 'deep', 'console.log'), 'utf8'), 'b-attempt-2');
    const unsharded = recordOf('x', IDS);
    t.equal(await readFile(path.join(run, 'report.tap'), 'utf8'), renderTap(unsharded));
    t.equal(await readFile(path.join(run, 'junit.xml'), 'utf8'), renderJUnit(unsharded));

    // The copy is one: what happens to the shard afterwards is nothing to it.
    await writeFile(path.join(shards[0] ?? '', 'a-disk=nvme', 'deep', 'console.log'), 'changed');
    t.equal(await readFile(path.join(run, 'a-disk=nvme', 'deep', 'console.log'), 'utf8'), 'a-disk=nvme');

    const again = await imperm('merge', ...[...shards].reverse(), '--reports', reports);
    t.equal(again.exitCode, 1, 'may be done again, in any order');
    const lines = (await readFile(path.join(reports, 'history.jsonl'), 'utf8')).trim().split('\n');
    t.equal(lines.length, 3, 'and is noted once');

    const all = await imperm('history', '--reports', reports);
    t.equal(all.exitCode, 0);
    t.match(all.stdout, /^newest .*\nFLAKY +2026-03-01 10:00 +0 of 1 .* b\[disk=nvme\]/);
    const one = await imperm('history', 'c', '--reports', reports, '--json');
    t.match(JSON.parse(one.stdout), { variant: 'c[disk=nvme]', run: 'run-2', verdict: 'pass' });
    t.match(
      (await imperm('history', IDS[1] ?? '', '--reports', reports)).stdout,
      /as declared in 0 of 1 run/,
    );
    const none = await imperm('history', 'zzz', '--reports', reports);
    t.equal(none.exitCode, 2);
    t.match(none.stderr, /knows no run of zzz/);
    await appendFile(path.join(reports, 'history.jsonl'), '{"version":1,"wh');
    const torn = await imperm('history', '--reports', reports);
    t.match(torn.stderr, /the last line is cut off and is left out/);
    t.equal(torn.stdout, all.stdout);
    t.match((await imperm('history', '--history', path.join(folder, 'none'))).stdout, /knows no run yet/);
  }),
);

t.test('refused: the folder is named, and nothing is written', (t) =>
  withFolder(async (folder) => {
    const [first = '', second = ''] = await makeShards(folder);
    const reports = path.join(folder, 'reports');
    const environment = readEnvironment();
    const refuse = async (shards: readonly string[], message: RegExp): Promise<void> => {
      const merging = merge(shards, { reports, verbose: false }, { environment });
      await t.rejects(merging, { code: 'USAGE', message, hint: /./ }, String(message));
      await t.rejects(stat(reports), { code: 'ENOENT' }, 'nothing is written');
    };
    await refuse([first], /shard 2\/2 is missing; given are .*machine-1\/run \(1\/2\)/);
    await refuse([first, second, second], /shard 2\/2 is there twice: .*machine-2/);
    await refuse([first, path.join(folder, 'none')], /Could not read the record .*none\/record\.json/);
    const file = path.join(second, 'record.json');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, whole.slice(0, -40));
    await refuse([first, second], /machine-2\/run\/record\.json: it is not JSON/);
    await writeFile(file, whole.replace('"b-disk=nvme"', '"../../machine-1"'));
    await refuse([first, second], /machine-2\/run: it names "\.\.\/\.\.\/machine-1" as a folder of evidence/);
    await writeFile(file, whole);
    await rm(path.join(second, 'b-attempt-2'), { recursive: true });
    await refuse([first, second], /machine-2\/run: the evidence in b-attempt-2\/ is not there/);
  }),
);

t.test('imperm run refuses what cannot be meant, before anything is started', async (t) => {
  const cases = [
    [['--shard', '3/2'], /--shard takes i\/n/],
    [['--repeat', '2', '--retries', '1'], /cannot be together/],
  ] as const;
  for (const [args, message] of cases) {
    const { exitCode, stderr } = await imperm('run', ...args);
    t.equal(exitCode, 2, args.join(' '));
    t.match(stderr, message);
  }
});

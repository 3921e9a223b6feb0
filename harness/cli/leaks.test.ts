// `imperm leaks` on the folder of a finished run, as a person calls it.
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import {
  createRecorder,
  type LeaksFile,
  type RunEvent,
  summarizeLeaks,
  writeRecord,
} from '../record/index.js';

const BIN = path.join(repositoryRoot, 'harness/bin/imperm.mjs');

const LEAKS: LeaksFile = {
  version: 1,
  view: 'running',
  lost: [
    {
      path: '/etc/${x}',
      kind: 'file',
      changes: ['new'],
      mode: '0644',
      user: 'root',
      group: 'root',
      sizeBytes: 0,
      owner: 'unknown',
    },
  ],
  remade: [],
  orphans: [],
  stores: ['/persist'],
  missing: [],
  nix: 'environment.persistence."/persist" = { files = [ "/etc/\\${x}" ]; };\n',
};

function imperm(...args: readonly string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, 'leaks', ...args], {
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

async function writeRun(folder: string): Promise<void> {
  const variant = (name: string): RunEvent => ({
    type: 'variant-start',
    variant: name,
    scenario: { name, title: name, file: 'x.yaml' },
    axes: {},
    guest: 'debian',
    target: 'qemu',
    folder: name,
    repeat: '',
  });
  const events: RunEvent[] = [
    { type: 'run-start', run: 'r', command: 'imperm run', folder },
    variant('seen'),
    { type: 'leaks', variant: 'seen', leaks: summarizeLeaks(LEAKS) },
    { type: 'variant-end', variant: 'seen', verdict: 'fail', machineCpuMs: 0 },
    variant('skipped'),
    { type: 'variant-end', variant: 'skipped', verdict: 'skip', reason: 'x', machineCpuMs: 0 },
    { type: 'run-end', interrupted: false },
  ];
  const recorder = createRecorder({ version: '0' });
  events.forEach((event, atMs) => {
    recorder.receive({ atMs, wall: new Date(atMs).toISOString(), event });
  });
  await writeRecord(recorder.record(), folder);
  await writeFile(path.join(folder, 'seen/leaks.json'), JSON.stringify(LEAKS));
}

t.test('leaks of a run are shown, whatever its verdict', async (t) => {
  const reports = t.testdir({ latest: { seen: {} } });
  const run = path.join(reports, 'latest');
  await writeRun(run);
  const { code, stdout } = imperm(run);
  t.equal(code, 0, 'information, not a verdict');
  t.match(stdout, /The next boot loses: 1 thing\n {2}unknown\n {4}\/etc\/\$\{x\}\n/);
  t.ok(stdout.includes(LEAKS.nix), 'ready to paste');
  t.match(stdout, /the running system, because the root is in memory/);
  t.match(stdout, /skipped: leaks were not looked for/);
  t.equal(imperm('--reports', reports).stdout, stdout, 'the newest run');
  t.match(JSON.parse(imperm(run, '--json').stdout), [
    { variant: 'seen', leaks: LEAKS },
    { variant: 'skipped' },
  ]);
});

t.test('leaks that cannot be shown', (t) => {
  const none = imperm(path.join(t.testdir({}), 'none'));
  t.equal(none.code, 2);
  t.match(none.stderr, /Could not read the record/);
  t.match(imperm('x', '--scenario', 'y').stderr, /cannot be together/);
  t.match(imperm('--help').stdout, /Leaks are information: the exit code is 0/);
  t.end();
});

// What a run tells GitHub Actions, and `imperm compare` on folders of finished runs.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { readEnvironment } from '../core/index.js';
import { createRecorder, type RunEvent, type RunRecord, writeRecord } from '../record/index.js';
import { tellGithub } from './github.js';
import { main } from './main.js';

/** A run of one variant that ends as it is told to. */
function makeRecord(run: string, verdict: 'pass' | 'fail'): RunRecord {
  const events: RunEvent[] = [
    { type: 'run-start', run, command: 'imperm run', folder: run },
    {
      type: 'variant-start',
      variant: 'v[disk=nvme]',
      scenario: { name: 'v', title: 'V', file: 'v.yaml' },
      axes: { disk: 'nvme' },
      guest: 'debian',
      target: 'qemu',
      folder: 'v-disk-nvme',
      repeat: 'npx imperm run v.yaml',
    },
    {
      type: 'check',
      variant: 'v[disk=nvme]',
      check: {
        id: 'root-wiped',
        title: 'The root is new',
        boot: 2,
        status: verdict,
        place: { file: 'v.yaml', line: 3, col: 5 },
        found: 'it is the old one',
      },
    },
    { type: 'variant-end', variant: 'v[disk=nvme]', verdict, machineCpuMs: 0 },
    { type: 'run-end', interrupted: false },
  ];
  const recorder = createRecorder({ version: '0' });
  events.forEach((event, atMs) => {
    recorder.receive({ atMs, wall: new Date(atMs).toISOString(), event });
  });
  return recorder.record();
}

/** Standard output and standard error of the command line. */
async function imperm(
  ...words: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  const writers = {
    stdout: process.stdout.write.bind(process.stdout),
    stderr: process.stderr.write.bind(process.stderr),
  };
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = (part: string | Uint8Array) => (text[name] += String(part)) !== '';
  try {
    return { code: await main(words), ...text };
  } finally {
    process.stdout.write = writers.stdout;
    process.stderr.write = writers.stderr;
  }
}

t.test('annotations and a page in GitHub Actions, nothing elsewhere', async (t) => {
  const page = path.join(t.testdir({}), 'page.md');
  const record = makeRecord('r', 'fail');
  const tell = async (
    env: Record<string, string>,
    of = record,
  ): Promise<{ readonly text: string; readonly notes: string[] }> => {
    let text = '';
    const out = { write: (part: string) => (text += part) };
    return {
      notes: await tellGithub(of, { environment: readEnvironment(env), folder: 'reports/r', out }),
      text,
    };
  };
  t.strictSame(await tell({ GITHUB_STEP_SUMMARY: page }), { text: '', notes: [] });
  await t.rejects(readFile(page), { code: 'ENOENT' });

  await writeFile(page, 'of an earlier command\n');
  const { text, notes } = await tell({ GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: page });
  t.strictSame(notes, []);
  t.match(
    text,
    /^::error file=v\.yaml,line=3,col=5,title=The root is new::\[root-wiped\] broken after boot 2: it is the old one/,
  );
  t.match(
    await readFile(page, 'utf8'),
    /^of an earlier command\n### imperm run\n[^]*reports\/r\/v-disk-nvme/,
  );

  t.match(
    await tell({ GITHUB_ACTIONS: 'true' }),
    { text: /^::error/, notes: [] },
    'an older runner has no pages',
  );
  const blocked = path.join(path.dirname(page), 'folder');
  await mkdir(blocked);
  t.match(await tell({ GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: blocked }), {
    text: /^::error/,
    notes: [/^Could not write .*folder: EISDIR/],
  });
  t.strictSame(await tell({ GITHUB_ACTIONS: 'true' }, makeRecord('r', 'pass')), { text: '', notes: [] });
});

t.test('imperm compare', async (t) => {
  const folder = t.testdir({ broken: { 'record.json': '{' } });
  const [before, now] = [path.join(folder, 'before'), path.join(folder, 'now')];
  await writeRecord(makeRecord('before', 'pass'), before);
  await writeRecord(makeRecord('now', 'fail'), now);
  const text = await imperm('compare', before, path.join(now, 'record.json'));
  t.equal(text.code, 0, 'information, not a verdict');
  t.match(text.stdout, /New failures \(1\)\n {2}v\[disk=nvme\]: pass → FAIL\n {6}new: root-wiped\n/);
  t.match((await imperm('compare', now, before)).stdout, /Fixed \(1\)\n {2}v\[disk=nvme\]: FAIL → pass\n/);
  const page = await imperm('compare', '--markdown', '--factor', '2', before, now);
  t.match(page, { code: 0, stdout: /#### New failures \(1\)\n\n\| variant \| verdict \| what \|\n/ });

  t.match(await imperm('compare', before, path.join(folder, 'none')), {
    code: 2,
    stdout: '',
    stderr: /Could not read the record .*none: ENOENT[^]*Give the path of a record\.json/,
  });
  t.match(await imperm('compare', path.join(folder, 'broken'), now), { code: 2, stderr: /it is not JSON/ });
  t.match(await imperm('compare', before), { code: 2, stderr: /missing required argument 'newer'/ });
  for (const factor of ['1', '0.5', 'two', '-2', '1e3'])
    t.match(await imperm('compare', `--factor=${factor}`, before, now), {
      code: 2,
      stderr: /--factor takes a number above 1/,
    });
});

import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { EXIT } from '../core/index.js';
import {
  createEventBus,
  createRecorder,
  exitCodeOf,
  historyOf,
  linkLatest,
  readLeaks,
  readRecord,
  summarizeLeaks,
  writeRecord,
  type CheckRecord,
  type LeaksFile,
  type RunEvent,
  type RunRecord,
  type StampedEvent,
  type AttemptVerdict,
} from './index.js';
import { runRecordSchema } from './schema.js';

const check: CheckRecord = {
  id: 'kept:/home',
  title: '/home keeps its files',
  boot: 1,
  status: 'pass',
  place: { file: 'scenario.yaml', line: 3, col: 5 },
  expected: '3 files',
  found: '3 files',
  cause: 'none',
  evidence: ['a', 'b'],
  files: ['boot-1/evidence.json'],
};

const hostEvent: Extract<RunEvent, { type: 'host' }> = {
  type: 'host',
  host: {
    accelerator: 'tcg',
    acceleratorReason: 'there is no /dev/kvm',
    qemu: '10.0.13',
    firmware: 'OVMF 2025.02',
    cpus: 2,
    memoryMiB: 7950.5,
    node: 'v20.20.2',
  },
};

const runStart: RunEvent = { type: 'run-start', run: 'r1', command: 'imperm run', folder: 'reports/r1' };

function variantStart(variant: string): Extract<RunEvent, { type: 'variant-start' }> {
  return {
    type: 'variant-start',
    variant,
    scenario: { name: variant, title: 'A layout', file: 'scenario.yaml' },
    axes: { disk: 'virtio' },
    guest: 'debian',
    target: 'qemu',
    folder: variant,
    repeat: `imperm run ${variant}`,
  };
}

/** Folds events that are 100 ms apart. */
function fold(events: readonly RunEvent[]): RunRecord {
  const recorder = createRecorder({ version: '0.1.0' });
  events.forEach((event, index) => {
    recorder.receive({
      atMs: index * 100,
      wall: new Date(1_770_000_000_000 + index * 100).toISOString(),
      event,
    });
  });
  return recorder.record();
}

function end(variant: string, verdict: AttemptVerdict): RunEvent {
  return { type: 'variant-end', variant, verdict, machineCpuMs: 5 };
}

t.test('a run is folded, variants in the order of their start', async (t) => {
  const record = fold([
    runStart,
    { type: 'phase-start', name: 'build-installer' },
    { type: 'phase-end', phase: { name: 'build-installer', startMs: 100, durationMs: 100 } },
    hostEvent,
    variantStart('a'),
    variantStart('b'),
    { type: 'phase-start', variant: 'a', name: 'stage-1', boot: 1 },
    { type: 'console', variant: 'a', line: 'not kept' },
    { type: 'phase-end', variant: 'a', phase: { name: 'stage-1', boot: 1, startMs: 200, durationMs: 100 } },
    { type: 'boot', variant: 'a', boot: { number: 1, how: 'power-on' } },
    { type: 'boot', variant: 'a', boot: { number: 1, how: 'power-on', bootId: 'x' } },
    { type: 'check', variant: 'b', check },
    { type: 'check', variant: 'a', check },
    { type: 'variant-end', variant: 'b', verdict: 'skip', reason: 'no disk', machineCpuMs: 0 },
    end('a', 'pass'),
    { type: 'run-end', interrupted: false },
  ]);
  t.match(record, {
    version: 1,
    imperm: '0.1.0',
    run: 'r1',
    command: 'imperm run',
    startedAt: '2026-02-02T02:40:00.000Z',
    durationMs: 1500,
    interrupted: false,
    host: { accelerator: 'tcg' },
  });
  t.strictSame(record.setup, [{ name: 'build-installer', startMs: 100, durationMs: 100 }]);
  t.strictSame(
    record.variants.map(({ id, verdict, reason, durationMs }) => [id, verdict, reason, durationMs]),
    [
      ['a', 'pass', undefined, 1000],
      ['b', 'skip', 'no disk', 800],
    ],
  );
  const [a] = record.variants;
  t.strictSame(a?.phases, [{ name: 'stage-1', boot: 1, startMs: 200, durationMs: 100 }]);
  t.strictSame(a?.boots, [{ number: 1, how: 'power-on', bootId: 'x' }], 'a boot told twice is one boot');
  t.strictSame(a?.checks, [check]);
  t.notMatch(JSON.stringify(record), 'not kept');
});

t.test('machines on several hosts: which had what', (t) => {
  const [one, two] = ['qemu+ssh://one/system', 'qemu+ssh://two/system'];
  const at = (connect: string, accelerator: 'kvm' | 'tcg'): RunEvent => ({
    ...hostEvent,
    host: { ...hostEvent.host, connect, accelerator },
  });
  const record = fold([
    runStart,
    at(one, 'tcg'),
    at(two, 'kvm'),
    { ...variantStart('a'), connect: two },
    { type: 'check', variant: 'a', check },
    end('a', 'pass'),
    { ...variantStart('b'), connect: one },
    { type: 'check', variant: 'b', check },
    end('b', 'pass'),
    { type: 'run-end', interrupted: false },
  ]);
  t.equal(record.host, undefined, 'none of them is the host');
  t.strictSame(
    record.hosts?.map(({ connect }) => connect),
    [one, two],
  );
  t.strictSame(
    record.variants.map(({ connect }) => connect),
    [two, one],
  );
  t.strictSame(
    historyOf(record).map(({ accelerator }) => accelerator),
    ['kvm', 'tcg'],
    'times are compared with those of the same accelerator',
  );
  t.strictSame(runRecordSchema.parse(record), record, 'and it is in the file');
  t.end();
});

t.test('a variant without an end', async (t) => {
  const begun = [
    runStart,
    variantStart('a'),
    { type: 'phase-start', variant: 'a', name: 'stage-1', boot: 2 },
  ] as const;
  for (const events of [
    [...begun, { type: 'run-end', interrupted: true }],
    [...begun, hostEvent],
  ] as const) {
    const record = fold(events);
    const [a] = record.variants;
    t.equal(record.interrupted, true, 'without an end the run counts as interrupted');
    t.match(a, { verdict: 'error', durationMs: 200, error: { code: 'INTERRUPTED' } });
    t.match(a?.error?.message, 'during stage-1 of boot 2');
    t.match(a?.error?.hint, 'imperm run a');
    t.strictSame(
      a?.phases,
      [{ name: 'stage-1', boot: 2, startMs: 100, durationMs: 100 }],
      'the time is not lost',
    );
  }
  const [a] = fold([...begun, { type: 'run-end', interrupted: false }]).variants;
  t.match(a, { verdict: 'error', error: { code: 'INTERNAL' } }, 'an uninterrupted run owes a verdict');
});

t.test('a pass needs evidence', async (t) => {
  const judge = (...checks: readonly CheckRecord[]): unknown => {
    const events = checks.map((each): RunEvent => ({ type: 'check', variant: 'a', check: each }));
    const record = fold([
      runStart,
      variantStart('a'),
      ...events,
      end('a', 'pass'),
      { type: 'run-end', interrupted: false },
    ]);
    return [record.variants[0]?.verdict, record.variants[0]?.error?.code];
  };
  t.strictSame(judge(check), ['pass', undefined]);
  t.strictSame(judge(), ['error', 'INTERNAL']);
  t.strictSame(judge(check, { ...check, status: 'fail' }), ['error', 'INTERNAL']);
  t.strictSame(judge({ ...check, status: 'error' }), ['error', 'INTERNAL']);
});

t.test('events that contradict each other are told, and not while they are received', async (t) => {
  const stray: RunEvent = { type: 'check', variant: 'a', check };
  t.throws(() => fold([runStart, stray]), { code: 'INTERNAL', message: /"check" names the variant a/ });
  t.throws(() => fold([variantStart('a')]), { code: 'INTERNAL', message: /the run did not start/ });
  t.throws(() => fold([runStart, variantStart('a'), variantStart('a')]), { message: /started twice/ });
  t.throws(() => fold([runStart, variantStart('a'), end('a', 'fail'), stray]), { message: /after its end/ });
});

t.test('exit codes', async (t) => {
  const codeOf = (verdicts: readonly AttemptVerdict[], interrupted = false): number =>
    exitCodeOf(
      fold([
        runStart,
        ...verdicts.flatMap((verdict, index): RunEvent[] => {
          const id = String(index);
          return [variantStart(id), { type: 'check', variant: id, check }, end(id, verdict)];
        }),
        { type: 'run-end', interrupted },
      ]),
    );
  t.equal(codeOf(['pass', 'known-bug', 'skip']), EXIT.ok);
  t.equal(codeOf(['skip', 'skip']), EXIT.ok);
  t.equal(codeOf(['pass', 'fail', 'error']), EXIT.layoutFailed);
  t.equal(codeOf(['pass', 'error', 'skip']), EXIT.unavailable);
  t.equal(codeOf([]), EXIT.unavailable);
  t.equal(codeOf(['fail'], true), EXIT.interrupted);
});

t.test('the bus stamps events, keeps their order, and drops a reporter that throws', async (t) => {
  let nowMs = 5000;
  const warnings: string[] = [];
  const bus = createEventBus({
    clock: () => nowMs,
    wallClock: () => new Date(Date.UTC(2026, 0, 1)),
    warn: (message) => warnings.push(message),
  });
  const seen: StampedEvent[] = [];
  const closed: string[] = [];
  let calls = 0;
  bus.subscribe({
    name: 'broken display',
    receive: () => {
      calls += 1;
      throw new Error('no colour left');
    },
    close: () => closed.push('broken'),
  });
  // Emits while it receives: those behind it must still see the first event first.
  bus.subscribe({
    name: 'echo',
    receive: ({ event }) => {
      if (event.type === 'run-start') bus.emit({ type: 'note', level: 'info', text: 'echo' });
    },
    close: () => closed.push('echo'),
  });
  bus.subscribe({
    name: 'list',
    receive: (stamped) => seen.push(stamped),
    close: () => closed.push('list'),
  });
  const leave = bus.subscribe({ name: 'guest', receive: () => t.fail('has left') });
  leave();

  nowMs += 250;
  bus.emit(runStart);
  nowMs += 250;
  bus.emit({ type: 'run-end', interrupted: false });
  bus.close();
  bus.close();
  bus.emit({ type: 'run-end', interrupted: true });

  t.strictSame(
    seen.map(({ atMs, wall, event }) => [atMs, wall, event.type]),
    [
      [250, '2026-01-01T00:00:00.000Z', 'run-start'],
      [250, '2026-01-01T00:00:00.000Z', 'note'],
      [500, '2026-01-01T00:00:00.000Z', 'run-end'],
    ],
  );
  t.equal(calls, 1, 'the broken one is not asked again');
  t.equal(warnings.length, 1);
  t.match(warnings[0], /broken display.*no colour left/s);
  t.strictSame(closed, ['list', 'echo']);
});

const LEAKS: LeaksFile = {
  version: 1,
  view: 'disk',
  lost: [
    {
      path: '/var/lib/app',
      kind: 'directory',
      changes: ['new'],
      mode: '0755',
      user: 'root',
      group: 'root',
      content: { files: 1, directories: 0, links: 0, subvolumes: 0, others: 0, sizeBytes: 3, sample: ['x'] },
      owner: 'app.service',
      because: 'StateDirectory=',
    },
  ],
  remade: [],
  stores: ['/persist'],
  missing: ['What lies in /persist could not be read: locked'],
  nix: 'x\n',
};

t.test('leaks.json comes back as it was written, and anything else is refused', async (t) => {
  const file = path.join(t.testdir({ 'leaks.json': JSON.stringify(LEAKS) }), 'leaks.json');
  t.strictSame(await readLeaks(file), LEAKS);
  t.notOk('orphans' in summarizeLeaks(LEAKS), 'what was not looked at is not an empty list');
  for (const text of ['{', '[]', JSON.stringify({ ...LEAKS, version: 2 })]) {
    await writeFile(file, text);
    await t.rejects(readLeaks(file), { code: 'USAGE', message: /leaks\.json/ });
  }
});

t.test('record.json', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-record-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const record = fold([
    runStart,
    { type: 'phase-end', phase: { name: 'build-installer', startMs: 0.25, durationMs: 100 } },
    hostEvent,
    variantStart('a'),
    { type: 'phase-end', variant: 'a', phase: { name: 'stage-1', boot: 1, startMs: 200, durationMs: 100 } },
    { type: 'boot', variant: 'a', boot: { number: 1, how: 'power-cut', bootId: 'x' } },
    { type: 'check', variant: 'a', check },
    { type: 'leaks', variant: 'a', leaks: summarizeLeaks(LEAKS) },
    {
      type: 'variant-end',
      variant: 'a',
      verdict: 'error',
      reason: 'why',
      error: {
        code: 'TIMEOUT',
        message: 'm\u0000',
        hint: 'h',
        place: { file: 'f', line: 1, col: 1 },
        details: 'd',
      },
      machineCpuMs: 1,
    },
    variantStart('b'),
    { type: 'run-end', interrupted: true },
  ]);

  await t.test('comes back as it was written, in a folder that was not there', async (t) => {
    const file = await writeRecord(record, path.join(folder, 'deep', 'r1'));
    t.strictSame(await readRecord(file), record);
    t.strictSame(record.variants[0]?.leaks?.lost, ['/var/lib/app']);
    const { host, ...early } = record;
    t.ok(host);
    await writeRecord(early, path.dirname(file));
    t.strictSame(await readRecord(file), early, 'a run that ended before the host was known');
    t.strictSame(await readdir(path.dirname(file)), ['record.json'], 'no draft is left');
  });

  await t.test('is never half there', async (t) => {
    const run = path.join(folder, 'busy');
    const file = await writeRecord(record, run);
    const state = { isWriting: true };
    const writer = (async (): Promise<void> => {
      for (let i = 0; i < 30; i += 1) await Promise.all([writeRecord(record, run), writeRecord(record, run)]);
      state.isWriting = false;
    })();
    let reads = 0;
    while (state.isWriting) {
      await readRecord(file);
      reads += 1;
    }
    await writer;
    t.ok(reads > 10, `${String(reads)} reads while it was written`);
  });

  await t.test('is refused with a reason', async (t) => {
    const refuse = async (text: string, message: RegExp): Promise<void> => {
      const file = path.join(folder, 'bad.json');
      await writeFile(file, text);
      await t.rejects(readRecord(file), { code: 'USAGE', message, hint: /./ });
    };
    const json = JSON.stringify(record);
    await refuse(json.slice(0, -20), /bad\.json: it is not JSON/);
    await refuse(json.replace('"version":1', '"version":7'), /version 7.*reads version 1/);
    await refuse(json.replace('"status":"pass"', '"status":"passed"'), /variants\[0\]\.checks\[0\]\.status/);
    await refuse(json.replace('"line":3', '"line":"3"'), /variants\[0\]\.checks\[0\]\.place\.line/);
    await refuse(json.replace('"code":"TIMEOUT"', '"code":"TIME"'), /variants\[0\]\.error\.code/);
    await refuse('[]', /the file: /);
    await t.rejects(readRecord(path.join(folder, 'none.json')), { code: 'USAGE', message: /ENOENT/ });
  });

  await t.test('latest points at the run that was linked last', async (t) => {
    const reports = path.join(folder, 'reports');
    for (const run of ['r1', 'r2']) {
      await writeRecord({ ...record, run }, path.join(reports, run));
      await linkLatest(path.join(reports, run));
      t.equal(await readlink(path.join(reports, 'latest')), run);
      t.equal((await readRecord(path.join(reports, 'latest', 'record.json'))).run, run);
    }
    await Promise.all(['r1', 'r2'].map((run) => linkLatest(path.join(reports, run))));
    t.strictSame(await readdir(reports), ['latest', 'r1', 'r2'], 'no draft is left');

    await rm(path.join(reports, 'latest'));
    await mkdir(path.join(reports, 'latest'));
    await writeFile(path.join(reports, 'latest', 'mine'), 'keep');
    await t.rejects(linkLatest(path.join(reports, 'r1')), {
      code: 'USAGE',
      message: /a folder has that name/,
    });
    t.equal(await readFile(path.join(reports, 'latest', 'mine'), 'utf8'), 'keep');
  });
});

// What is noted of runs outlasts a power cut and other runs, and says what changed.
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Budget } from '../core/index.js';
import { appendHistory, historyOf, readHistory } from './history.js';
import { withHistory } from './history-summary.js';
import type { HistoryEntry, Verdict } from './record.js';
import { foldRetries, foldSample } from './sample-attempts.js';
import { runRecordSchema } from './schema.js';

function entry(run: string, verdict: Verdict, rest: Partial<HistoryEntry> = {}): HistoryEntry {
  return {
    version: 1,
    when: '2026-01-01T00:00:00.000Z',
    run,
    imperm: '0.1.0',
    variant: 'v',
    verdict,
    durationMs: 1000,
    guest: 'debian',
    target: 'qemu',
    ...rest,
  };
}

function budget(): Budget {
  return Budget.start('the lock', 60_000, new AbortController().signal);
}

t.test('comes back as it was written; a file that is not there is empty', async (t) => {
  const file = path.join(t.testdir({}), 'deep', 'history.jsonl');
  t.strictSame(await readHistory(file), { entries: [], notes: [] });
  const full = entry('r1', 'fail', {
    attempt: 2,
    broken: 'root-wiped',
    error: 'TIMEOUT',
    accelerator: 'kvm',
  });
  await appendHistory(file, [full, entry('r1', 'flaky')], budget());
  await appendHistory(file, [], budget());
  await appendHistory(file, [entry('r2', 'pass')], budget());
  t.strictSame(await readHistory(file), {
    entries: [full, entry('r1', 'flaky'), entry('r2', 'pass')],
    notes: [],
  });
  await t.rejects(readHistory(path.dirname(file)), { code: 'USAGE', message: /deep: EISDIR/ });
});

t.test('a line that was cut off costs nothing but itself', async (t) => {
  const file = path.join(t.testdir({}), 'history.jsonl');
  await appendHistory(file, [entry('r1', 'pass'), entry('r2', 'pass')], budget());
  const text = await readFile(file, 'utf8');
  const line = JSON.stringify(entry('r3', 'pass', { variant: 'ä' }));
  for (const cut of [1, 20, Buffer.byteLength(line) - 1]) {
    await writeFile(file, text);
    await appendFile(file, Buffer.from(line).subarray(0, cut));
    const torn = await readHistory(file);
    t.strictSame(
      torn.entries.map(({ run }) => run),
      ['r1', 'r2'],
      `after ${String(cut)} bytes`,
    );
    t.match(torn.notes, [/the last line is cut off and is left out/]);
    await appendHistory(file, [entry('r4', 'fail')], budget());
    const healed = await readHistory(file);
    t.strictSame(
      healed.entries.map(({ run }) => run),
      ['r1', 'r2', 'r4'],
      'what is written next is not lost with it',
    );
    t.match(healed.notes, [/lines 3\.$/]);
  }
  // A whole line whose end was cut off is a line.
  await writeFile(file, text.trimEnd());
  t.equal((await readHistory(file)).entries.length, 2);
  await appendHistory(file, [entry('r5', 'pass')], budget());
  t.equal((await readHistory(file)).entries.length, 3);
});

t.test('lines of another kind are left out, and counted', async (t) => {
  const bad = ['[]', '{"version":2}', '\u0000\u0000', 'x', '{}', '7', 'null'];
  const file = path.join(
    t.testdir({ h: [...bad, JSON.stringify(entry('r', 'pass')), '', ''].join('\n') }),
    'h',
  );
  const { entries, notes } = await readHistory(file);
  t.equal(entries.length, 1);
  t.match(notes, [/lines 1, 2, 3, 4, 5 and 2 more\.$/]);
});

t.test('runs that end at the same time do not mix their lines', async (t) => {
  const file = path.join(t.testdir({}), 'history.jsonl');
  const runs = Array.from({ length: 12 }, (_, index) => `r${String(index)}`);
  const long = 'x'.repeat(20_000);
  await Promise.all(
    runs.map((run) =>
      appendHistory(
        file,
        [1, 2, 3].map((attempt) => entry(run, 'pass', { attempt, broken: long })),
        budget(),
      ),
    ),
  );
  const { entries, notes } = await readHistory(file);
  t.strictSame(notes, []);
  t.equal(entries.length, 36);
  const order = entries.map(({ run }) => run);
  for (const run of runs)
    t.equal(order.lastIndexOf(run) - order.indexOf(run), 2, `the lines of ${run} stand together`);
});

t.test('what a run notes: nothing of what nobody looked at', (t) => {
  const record = foldSample([
    { id: 'a', verdict: 'pass' },
    { id: 'b', verdict: 'skip' },
    { id: 'c', verdict: 'error' },
    { id: 'd attempt 2', verdict: 'fail', attempt: { of: 'd', number: 2, why: 'repeat' } },
  ]);
  const flaky = foldRetries('fail', 'pass');
  const noted = historyOf({
    ...record,
    variants: [...record.variants, ...(flaky === undefined ? [] : [flaky])],
  });
  t.strictSame(
    noted.map(({ variant, attempt, verdict, broken, error }) => [variant, attempt, verdict, broken, error]),
    [
      ['a', undefined, 'pass', undefined, undefined],
      ['c', undefined, 'error', undefined, 'MACHINE_DIED'],
      ['d', 2, 'fail', 'root-wiped', undefined],
      ['v[disk=virtio]', undefined, 'flaky', 'root-wiped', undefined],
    ],
  );
  const stopped = record.variants.map((variant) => ({
    ...variant,
    error: { code: 'INTERRUPTED' as const, message: 'm' },
  }));
  t.strictSame(historyOf({ ...record, variants: stopped }), [], 'an interrupted one has no verdict');
  t.end();
});

t.test('what earlier runs say', (t) => {
  const now = (verdict: 'pass' | 'fail', entries: readonly HistoryEntry[]) => {
    const record = foldSample([{ id: 'v', verdict }], 'now');
    const remembered = withHistory(record, entries);
    t.strictSame(runRecordSchema.parse(JSON.parse(JSON.stringify(remembered))), remembered);
    return remembered.variants[0]?.history;
  };
  const days = (...verdicts: readonly Verdict[]): HistoryEntry[] =>
    verdicts.map((verdict, index) =>
      entry(`r${String(index + 1)}`, verdict, {
        when: `2025-01-${String(index + 1).padStart(2, '0')}T00:00:00.000Z`,
        durationMs: 100 * (index + 1),
      }),
    );
  t.equal(now('fail', []), undefined);
  t.equal(now('fail', [entry('now', 'pass')]), undefined, 'this run is no earlier one');
  t.equal(now('fail', [entry('r', 'pass', { guest: 'nixos' })]), undefined, 'nor is one of another guest');
  t.equal(now('fail', [entry('r', 'pass', { target: 'libvirt' })]), undefined, 'or target');
  t.match(now('fail', days('pass', 'pass')), {
    verdicts: ['pass', 'pass'],
    failingSince: { run: 'now' },
    failingRuns: 1,
    lastAsDeclared: { run: 'r2' },
    durationsMs: [100, 200],
  });
  t.match(now('fail', [...days('pass', 'fail', 'known-bug', 'error', 'flaky')].reverse()), {
    verdicts: ['pass', 'fail', 'known-bug', 'error', 'flaky'],
    failingSince: { run: 'r4' },
    failingRuns: 3,
    lastAsDeclared: { run: 'r3' },
    durationsMs: [100, 300],
  });
  const never = now('fail', days('fail', 'fail'));
  t.match(never, { failingSince: { run: 'r1' }, failingRuns: 3 });
  t.notOk(never !== undefined && 'lastAsDeclared' in never);
  const good = now('pass', days('fail', 'pass'));
  t.notOk(good !== undefined && ('failingSince' in good || 'failingRuns' in good));
  t.equal(now('pass', days(...Array.from({ length: 25 }, () => 'pass' as const)))?.verdicts.length, 20);
  const kvm = [entry('r', 'pass', { accelerator: 'kvm' })];
  t.strictSame(now('pass', kvm)?.durationsMs, [], 'the time of another accelerator says nothing');
  t.end();
});

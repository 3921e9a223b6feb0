// How often variants are run, without machines: what runs, in which order, and what makes it end.
import t from 'tap';

import type { Verdict } from '../record/index.js';
import type { Variant } from '../scenario/index.js';
import { type AttemptOptions, readAttempts, runAttempts } from './attempts.js';

/** Runs variants of which each attempt ends as is written: `pass fail` for two attempts. The last one stays. */
async function play(
  verdicts: Readonly<Record<string, string>>,
  options: AttemptOptions,
  { jobs = 1, stopAt = '' }: { jobs?: number; stopAt?: string } = {},
): Promise<{ ran: string[]; notes: string[]; most: number }> {
  const stop = new AbortController();
  const seen = { ran: [] as string[], notes: [] as string[], most: 0 };
  let now = 0;
  const variants = Object.keys(verdicts).map((id) => ({ id }) as Variant);
  await runAttempts(variants, readAttempts(options), {
    hosts: [{ limits: { jobs, memoryMiB: 100, processors: 100 } }],
    signal: stop.signal,
    memoryMiB: () => 1,
    processors: () => 1,
    suits: (_, { id }) => verdicts[id] !== 'skip',
    runOnce: async ({ id }, { id: own, attempt }) => {
      now += 1;
      seen.most = Math.max(seen.most, now);
      seen.ran.push(own);
      if (own === stopAt) stop.abort();
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
      const all = (verdicts[id] ?? '').split(' ');
      const verdict = all[(attempt?.number ?? 1) - 1] ?? all.at(-1);
      return verdict === 'unknown' ? undefined : (verdict as Verdict);
    },
    note: (text) => seen.notes.push(text),
  });
  return seen;
}

t.test('without options each runs once, and is not numbered', async (t) => {
  t.strictSame(await play({ a: 'fail', b: 'pass' }, {}), { ran: ['a', 'b'], notes: [], most: 1 });
});

t.test('--repeat: every one so often, round by round, whatever it ends with', async (t) => {
  const { ran } = await play({ a: 'fail', b: 'pass', c: 'skip' }, { repeat: '2' });
  t.strictSame(
    ran,
    ['a attempt 1', 'b attempt 1', 'c attempt 1', 'a attempt 2', 'b attempt 2'],
    'a skipped one once',
  );
  t.equal((await play({ a: 'pass' }, { repeat: '5' }, { jobs: 3 })).most, 3, 'side by side');
  t.strictSame((await play({ a: 'pass' }, { repeat: '1' })).ran, ['a attempt 1'], 'who repeats gets numbers');
});

t.test(
  'a host that goes away gets no more, and what only it could run is an error and not a skip',
  async (t) => {
    const hosts = ['one', 'two'].map((name) => ({
      name,
      limits: { jobs: 1, memoryMiB: 100, processors: 100 },
    }));
    const ran: string[] = [];
    const notes: string[] = [];
    // The second host is gone when its first variant is on it; only it suits the last one. The third waits for either meanwhile.
    const play = async (retries: string, verdictOfB: Verdict, isGone: boolean): Promise<string[]> => {
      ran.length = 0;
      notes.length = 0;
      let isBGone = false;
      let free: () => void = () => undefined;
      const isBOver = new Promise<void>((resolve) => (free = resolve));
      const variants = ['a', 'b', 'c', 'only-two'].map((id) => ({ id }) as Variant);
      await runAttempts(variants, readAttempts({ retries }), {
        hosts,
        signal: new AbortController().signal,
        memoryMiB: () => 1,
        processors: () => 1,
        suits: ({ name }, { id }) => id !== 'only-two' || name === 'two',
        runOnce: async ({ id }, { id: own }, { name }) => {
          ran.push(`${own} on ${name}`);
          // The first host is busy until the second has lost its variant.
          if (id === 'a') await isBOver;
          if (id === 'b') setImmediate(free);
          isBGone ||= id === 'b' && isGone;
          return id === 'b' ? verdictOfB : name === 'two' && isBGone ? 'error' : 'pass';
        },
        whyGone: ({ name }) => Promise.resolve(name === 'two' && isBGone ? 'two does not answer' : undefined),
        note: (text) => notes.push(text),
      });
      return ran;
    };
    t.strictSame(await play('3', 'error', true), ['a on one', 'b on two', 'c on one', 'only-two on two']);
    t.strictSame(notes, ['A host gets nothing more to run: two does not answer'], 'told once');
    t.strictSame(
      (await play('1', 'error', false)).slice(0, 4),
      ['a on one', 'b on two', 'b attempt 2 on two', 'c on two'],
      'an error of a host that is there costs it nothing',
    );
  },
);

t.test('--until-fail: nothing is begun after one that is not as declared', async (t) => {
  const { ran } = await play({ a: 'pass pass fail', b: 'known-bug', c: 'skip' }, { untilFail: '9' });
  t.strictSame(ran, [
    'a attempt 1',
    'b attempt 1',
    'c attempt 1',
    'a attempt 2',
    'b attempt 2',
    'a attempt 3',
  ]);
  t.equal((await play({ a: 'pass' }, { untilFail: '7' })).ran.length, 7, 'no more than that');
  t.equal(
    (await play({ a: 'pass' }, { untilFail: true })).ran.length,
    100,
    'without a number there is an end, too',
  );
  t.equal(
    (await play({ a: 'error' }, { untilFail: true })).ran.length,
    1,
    'an error is not as declared either',
  );
});

t.test('--retries: what is not as declared is run again at once, and until it is', async (t) => {
  const seen = await play(
    { a: 'fail error pass', b: 'pass', c: 'fail', d: 'known-bug', e: 'skip' },
    { retries: '2' },
  );
  t.strictSame(seen.ran, [
    'a',
    'a attempt 2',
    'a attempt 3',
    'b',
    'c',
    'c attempt 2',
    'c attempt 3',
    'd',
    'e',
  ]);
  t.strictSame(seen.notes.slice(0, 2), [
    'a was not as declared (fail) in attempt 1 of at most 3, and is run again.',
    'a was not as declared (error) in attempt 2 of at most 3, and is run again.',
  ]);
  t.equal(seen.notes.length, 4, 'nothing is announced that does not come');
  t.strictSame((await play({ a: 'unknown' }, { retries: '2' })).ran, ['a'], 'not of what nobody knows');
});

t.test('an interrupted run begins nothing more', async (t) => {
  t.strictSame((await play({ a: 'error', b: 'pass' }, { retries: '3' }, { stopAt: 'a' })).ran, ['a']);
  t.strictSame((await play({ a: 'pass' }, { repeat: '3' }, { stopAt: 'a attempt 2' })).ran, [
    'a attempt 1',
    'a attempt 2',
  ]);
});

t.test('a wrong command line is refused', (t) => {
  for (const text of ['0', '-1', 'x', '1.5', '', '10000'])
    for (const option of ['repeat', 'untilFail', 'retries'])
      t.throws(() => readAttempts({ [option]: text }), {
        code: 'USAGE',
        message: /--[a-z-]+ takes a whole number/,
      });
  t.throws(() => readAttempts({ repeat: '2', retries: '1' }), {
    code: 'USAGE',
    message: '--repeat and --retries cannot be together',
  });
  t.throws(() => readAttempts({ untilFail: true, repeat: '2' }), { message: /--repeat and --until-fail/ });
  t.end();
});

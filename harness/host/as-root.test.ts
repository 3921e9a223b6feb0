import t from 'tap';

import { Budget, HarnessError } from '../core/index.js';
import { wordsAsRoot } from './as-root.js';

const budget = Budget.start('a test', 10_000, new AbortController().signal);

t.test('who is root needs no words', async (t) => {
  t.strictSame(await wordsAsRoot(budget, { isRoot: true }), []);
});

t.test('others enter a user namespace that was tried', async (t) => {
  const run = (): Promise<{ stdout: string; stderr: string; exitCode: number }> =>
    Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
  t.match(await wordsAsRoot(budget, { isRoot: false, run }), ['unshare', '--user']);
});

t.test('where both are impossible, it is said with the cure', async (t) => {
  const run = (): Promise<never> => Promise.reject(new HarnessError('TOOL_FAILED', 'unshare failed'));
  await t.rejects(wordsAsRoot(budget, { isRoot: false, run }), {
    code: 'HOST_UNFIT',
    message: /only be made by root/,
  });
});

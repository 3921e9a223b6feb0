import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';

import { runTests } from './run-tests.js';

const HEAD = "import t from 'tap';\n";

/** Runs the driver on a checkout of its own: names of test files and what is in them, compiled. */
async function drive(
  t: Test,
  files: Record<string, string>,
  { args = [], setUpExitCode = 0 }: { args?: string[]; setUpExitCode?: number } = {},
): Promise<{ code: number; output: string; lastLine: string }> {
  const root = t.testdir({});
  for (const [name, body] of Object.entries(files)) {
    const compiled = path.join(root, '.build/harness', `${name}.js`);
    await mkdir(path.dirname(compiled), { recursive: true });
    await writeFile(compiled, body);
    if (name.startsWith('gone/')) continue;
    const source = path.join(root, 'harness', `${name}.ts`);
    await mkdir(path.dirname(source), { recursive: true });
    await writeFile(source, '');
  }
  await mkdir(path.join(root, 'harness/bin'), { recursive: true });
  // The command line as far as the driver knows it: `imperm setup --quiet`.
  await writeFile(
    path.join(root, 'harness/bin/imperm.mjs'),
    `process.exit(process.argv[2] === 'setup' ? ${String(setUpExitCode)} : 9)`,
  );
  const stream = new PassThrough();
  const printed = text(stream);
  const code = await runTests(args, { root, build: path.join(root, '.build'), stream });
  stream.end();
  const output = await printed;
  return { code, output, lastLine: output.trimEnd().split('\n').at(-1) ?? '' };
}

t.test('counts the tests of the top level, and runs machine tests after the others', async (t) => {
  const { code, output, lastLine } = await drive(t, {
    'a/one.test': `${HEAD}t.test('x', async (t) => { t.ok(1); t.ok(2); }); t.test('y', async (t) => { t.ok(1); });`,
    'a/two.machine.test': `${HEAD}t.comment('booting'); t.ok(true, 'it boots');`,
    'b/three.test': `${HEAD}t.ok(true); t.test('later', { skip: 'no reason' }, async () => {});`,
    'gone/four.test': `${HEAD}t.fail('this source is gone');`,
  });
  t.equal(code, 0, output);
  t.equal(lastLine, '4 passed, 0 failed');
  t.match(output, /three\.test\.ts \(1 passed, 1 not run, .*\)\n {2}- not run: later \(no reason\)\n/);
  t.match(output, /^3 test files in .*, 1 not run \(above, with the reason\)$/m);
  t.match(output, /ok {5}harness\/b\/three\.test\.ts[^]*# booting\n[^]*two\.machine\.test\.ts/);
});

t.test('every way to fail is a failure, and told', async (t) => {
  const cases: [string, string, RegExp][] = [
    [
      'an assertion',
      `${HEAD}t.test('outer', async (t) => { t.equal(1, 2, 'one is two'); });`,
      /✗ outer › one is two\n[^]*-2\n\s+\+1/,
    ],
    [
      'an unhandled rejection',
      `${HEAD}t.test('x', async (t) => { t.ok(1); Promise.reject(new Error('nobody looks')); });`,
      /nobody looks/,
    ],
    ['a rejection before the first test', 'throw new Error("at once");', /ended with exit code 1[^]*at once/],
    ['no test at all', 'console.log("hello");', /made no test point/],
    ['a broken plan', `${HEAD}t.test('x', async (t) => { t.plan(2); t.ok(1); });`, /✗ x › test unfinished/],
    [
      'an exit code',
      `${HEAD}t.ok(1); process.on('exit', () => { process.exitCode = 3; });`,
      /ended with exit code 3/,
    ],
    ['a signal', `${HEAD}t.ok(1); process.kill(process.pid, 'SIGKILL');`, /was ended by SIGKILL/],
    [
      'exit in the middle',
      `${HEAD}t.ok(1); t.test('never ends', () => new Promise(() => {})); process.nextTick(() => process.exit(0));`,
      /✗/,
    ],
    [
      'a promise that never settles',
      `${HEAD}t.test('never ends', () => new Promise(() => {}));`,
      /✗ never ends/,
    ],
    ['bailing out', `${HEAD}t.ok(1); t.bailout('enough');`, /bail out: enough/],
  ];
  for (const [title, body, told] of cases) {
    await t.test(title, async (t) => {
      const { code, output, lastLine } = await drive(t, {
        'a/bad.test': body,
        'a/good.test': `${HEAD}t.ok(true);`,
      });
      t.equal(code, 1);
      t.match(lastLine, /^\d+ passed, [1-9]\d* failed$/);
      t.match(output, told);
      if (title === 'an assertion') t.equal(output.split('✗').length - 1, 1, 'and told once');
      t.match(output, /ok {5}harness\/a\/good/);
    });
  }
});

t.test('a to-do is not a pass', async (t) => {
  const { code, output, lastLine } = await drive(t, {
    'a/x.test': `${HEAD}t.test('not yet', { todo: true });`,
  });
  t.equal(code, 1);
  t.equal(lastLine, '0 passed, 0 failed');
  t.match(output, /- not run: not yet \(no reason given\)/);
});

t.test('a process that was left behind holds up nothing', async (t) => {
  const { code, output } = await drive(t, {
    'a/x.test': `${HEAD}import { spawn } from 'node:child_process';
      spawn('sleep', ['60'], { stdio: 'inherit' }).unref(); t.ok(true); console.error('said on stderr');`,
  });
  t.equal(code, 0, output);
  t.match(output, /^1 test files in \d\.\d s$/m);
});

t.test('chooses by name and kind', async (t) => {
  const files = {
    'a/one.test': `${HEAD}t.ok(true);`,
    'b/two.test': `${HEAD}t.ok(true);`,
    'b/three.machine.test': `${HEAD}t.ok(true);`,
  };
  t.match(await drive(t, files, { args: ['b/'] }), { code: 0, lastLine: '2 passed, 0 failed' });
  t.match(await drive(t, files, { args: ['--unit'] }), { code: 0, lastLine: '2 passed, 0 failed' });
  t.match(await drive(t, files, { args: ['--machine', '--jobs', '1'] }), {
    code: 0,
    lastLine: '1 passed, 0 failed',
  });
  t.match(await drive(t, files, { args: ['nothing'] }), {
    code: 1,
    lastLine: '0 passed, 0 failed',
    output: /contains nothing/,
  });
  t.match(await drive(t, {}, { args: [] }), {
    code: 1,
    lastLine: '0 passed, 0 failed',
    output: /There are no tests/,
  });
  t.match(await drive(t, files, { args: ['--jobs', 'many'] }), { code: 2, output: /whole number/ });
  t.match(await drive(t, files, { args: ['--frobnicate'] }), { code: 2, output: /Usage/ });
});

t.test('a host that cannot be set up fails the machine tests, and only them', async (t) => {
  const files = { 'a/one.test': `${HEAD}t.ok(true);`, 'b/two.machine.test': `${HEAD}t.ok(true);` };
  t.match(await drive(t, files, { args: [], setUpExitCode: 69 }), {
    code: 1,
    lastLine: '0 passed, 1 failed',
    output: /could not be set up/,
  });
  t.match(await drive(t, files, { args: ['--unit'], setUpExitCode: 69 }), {
    code: 0,
    lastLine: '1 passed, 0 failed',
  });
});

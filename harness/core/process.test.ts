import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import {
  Budget,
  formatIdentity,
  type HarnessError,
  identityOf,
  isAlive,
  monotonicMs,
  ownIdentity,
  parseIdentity,
  type ProcessIdentity,
  runProgram,
  startProgram,
} from './index.js';

const core = new URL('./index.js', import.meta.url).href;
/** Far more than anything here takes, far less than the `sleep`s here would. */
const AT_ONCE_MS = 20_000;

const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => path.join(dir, String(++files));

function startBudget(limitMs = 60_000, signal = new AbortController().signal): Budget {
  return Budget.start('the program', limitMs, signal);
}

/** Those of the processes whose numbers a program writes into a file, one a line, that run. */
function readIdentities(file: string, count: number): Promise<ProcessIdentity[]> {
  return startBudget().poll(async () => {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').slice(0, -1);
    if (lines.length < count) return undefined;
    return lines.map((pid) => identityOf(Number(pid))).filter((identity) => identity !== undefined);
  }, 10);
}

function waitForDeath(identity: ProcessIdentity): Promise<true> {
  return startBudget().poll(() => (isAlive(identity) ? undefined : true), 10);
}

void t.test('runProgram gives output and exit code', async (t) => {
  for (const options of [{}, { budget: startBudget() }]) {
    const script = 'printf "out\\nput"; printf err >&2; exit "$1"';
    t.strictSame(await runProgram('sh', ['-c', script, 'sh', '0'], options), {
      stdout: 'out\nput',
      stderr: 'err',
      exitCode: 0,
    });
    t.match(await runProgram('sh', ['-c', script, 'sh', '7'], { ...options, okExitCodes: [0, 7] }), {
      exitCode: 7,
    });
    await t.rejects(runProgram('sh', ['-c', script, 'sh', '0'], { ...options, okExitCodes: [7] }), {
      code: 'TOOL_FAILED',
    });
    t.equal(
      (await runProgram('printf', ['%s', '$HOME; "\'*'], options)).stdout,
      '$HOME; "\'*',
      'there is no shell',
    );
    t.equal((await runProgram('printenv', ['WORD'], { ...options, env: { WORD: 'here' } })).stdout, 'here');
    t.equal((await runProgram('pwd', [], { ...options, cwd: '/usr' })).stdout, '/usr');
  }
});

void t.test(
  'the error of runProgram names the program, how it ended, and shows its last lines',
  async (t) => {
    const script = 'seq 1 40; echo bad news >&2; exit 3';
    for (const options of [{}, { budget: startBudget() }]) {
      await t.rejects(runProgram('sh', ['-c', script], { ...options, tailLines: 3 }), {
        name: 'HarnessError',
        code: 'TOOL_FAILED',
        message: `sh -c ${script} failed: exit code 3`,
        details: '39\n40\nbad news',
      });
      const { details } = (await runProgram('sh', ['-c', script], options).catch(
        (error: unknown) => error,
      )) as HarnessError;
      t.equal(details?.split('\n').length, 15);
      await t.rejects(runProgram('sh', ['-c', 'kill -SEGV $$'], options), {
        code: 'TOOL_FAILED',
        message: /failed: SIGSEGV$/,
      });
      await t.rejects(runProgram('/nowhere/program', ['--help'], options), {
        code: 'TOOL_FAILED',
        message: /^\/nowhere\/program --help failed: .*(ENOENT|No such file)/,
      });
      await t.rejects(runProgram('true', [], { ...options, cwd: '/nowhere' }), { code: 'TOOL_FAILED' });
      await t.rejects(runProgram('sh', ['-c', 'exit 127'], options), { message: /exit code 127/ });
    }
  },
);

void t.test('runProgram feeds standard input', async (t) => {
  const bytes = Buffer.alloc(2 ** 20, 'The quick brown fox. ');
  for (const options of [{}, { budget: startBudget() }]) {
    t.equal((await runProgram('cat', [], { ...options, input: 'häßlich' })).stdout, 'häßlich');
    t.equal((await runProgram('cat', [], { ...options, input: bytes })).stdout, bytes.toString());
    t.equal(
      (await runProgram('true', [], { ...options, input: bytes })).exitCode,
      0,
      'which the program need not read',
    );
    t.equal((await runProgram('cat', [], options)).stdout, '', 'which is empty when there is none');
  }
});

void t.test('the time of runProgram ends it and everything it started', async (t) => {
  const pids = newFile();
  const startMs = monotonicMs();
  // A shell alone would end and leave its children: one holds the pipes; the other holds none, will not go by itself,
  // and has half a gigabyte to give back before it is gone.
  const large = `(trap "" TERM; exec dd if=/dev/zero of=/dev/null bs=512M) >/dev/null 2>&1`;
  const note = (what: string): string => `echo ${what} >>${pids}`;
  const script = `trap "echo tidy >${pids}.tidy; exit" TERM; sleep 300 & ${note('$!')}; ${large} & ${note('$!')}; ${note('$$')}; wait`;
  const running = runProgram('sh', ['-c', script], { budget: startBudget(2000) });
  await t.rejects(running, { code: 'TIMEOUT', message: /waiting for the program/ });
  t.match(await readFile(pids, 'utf8'), /^(\d+\n){3}$/);
  t.strictSame(await readIdentities(pids, 3), [], 'none of the three is left');
  t.equal(await readFile(`${pids}.tidy`, 'utf8'), 'tidy\n', 'but it could tidy up');
  t.ok(monotonicMs() - startMs < AT_ONCE_MS);
});

void t.test('an abort ends even what ignores it, and does not wait for what has left', async (t) => {
  const pids = newFile();
  const controller = new AbortController();
  const script = `setsid sleep 300 & echo $! >>${pids}; trap "" TERM; echo $$ >>${pids}; while :; do sleep 300; done`;
  const failed = t.rejects(
    runProgram('sh', ['-c', script], { budget: startBudget(60_000, controller.signal) }),
    {
      code: 'INTERRUPTED',
    },
  );
  const [left, stubborn] = await readIdentities(pids, 2);
  t.teardown(() => {
    for (const identity of [left, stubborn]) if (isAlive(identity)) process.kill(identity!.pid, 'SIGKILL');
  });
  await startBudget().poll(async () => (await sessionOf(left?.pid)) === left?.pid || undefined, 10);
  const startMs = monotonicMs();
  controller.abort();
  await failed;
  t.ok(monotonicMs() - startMs < AT_ONCE_MS);
  t.notOk(isAlive(stubborn));
  t.ok(isAlive(left), 'what is in a session of its own is not ours, but does not keep us waiting either');
  await t.rejects(runProgram('true', [], { budget: startBudget(1000, controller.signal) }), {
    code: 'INTERRUPTED',
  });
});

void t.test('startProgram writes output to a file and tells the end', async (t) => {
  const logFile = newFile();
  await writeFile(logFile, 'before\n');
  const program = startProgram(['sh', '-c', 'echo out; echo err >&2; exec sleep 300'], {
    logFile,
    env: { WORD: 'x' },
  });
  await startBudget().poll(async () => (await readFile(logFile, 'utf8')).includes('err') || undefined, 10);
  t.ok(identityOf(program.pid));
  t.equal(await sessionOf(program.pid), program.pid, 'a Ctrl-C at the terminal does not reach it');
  program.kill('SIGKILL');
  t.strictSame(await program.ended, { exitCode: undefined, signal: 'SIGKILL' });
  t.equal(await readFile(logFile, 'utf8'), 'before\nout\nerr\n');
  program.kill('SIGKILL'); // when it has gone, nothing happens

  t.match(await startProgram(['sh', '-c', 'exit 5'], { logFile }).ended, { exitCode: 5 });
  t.match(await startProgram(['/nowhere/program'], { logFile }).ended, { exitCode: 127 });
  t.match(await readFile(logFile, 'utf8'), '/nowhere/program');
});

void t.test('a grandchild that keeps the output open does not keep startProgram waiting', async (t) => {
  const pids = newFile();
  const startMs = monotonicMs();
  const program = startProgram(['sh', '-c', `sleep 300 & echo $! >>${pids}`], { logFile: newFile() });
  t.match(await program.ended, { exitCode: 0 });
  t.ok(monotonicMs() - startMs < AT_ONCE_MS);
  const [grandchild] = await readIdentities(pids, 1);
  t.ok(isAlive(grandchild));
  process.kill(grandchild!.pid, 'SIGKILL');
});

void t.test('what was started does not outlive us, however we die', async (t) => {
  const pids = newFile();
  const sleep = (budgeted: string): string => `['-c', 'echo $$ >>${pids}; exec sleep 300']${budgeted}`;
  const source = `
    import { Budget, runProgram, startProgram } from ${JSON.stringify(core)};
    startProgram(['sh', ...${sleep('')}], { logFile: '/dev/null' });
    const budget = Budget.start('ever', 300_000, new AbortController().signal);
    await runProgram('sh', ${sleep(', { budget }')});`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: 'ignore' });
  const identities = await readIdentities(pids, 2);
  t.strictSame(identities.map(isAlive), [true, true]);
  parent.kill('SIGKILL');
  await Promise.all(identities.map(waitForDeath));
});

void t.test('a process is known by its number and its start', async (t) => {
  const own = parseIdentity(ownIdentity());
  t.equal(own?.pid, process.pid);
  t.ok(isAlive(own));
  t.strictSame(parseIdentity(`${formatIdentity({ pid: 12, startTicks: '345' })}\n`), {
    pid: 12,
    startTicks: '345',
  });
  for (const text of ['', '12', '12 ', 'x 345', '12 345 6', '-1 5'])
    t.equal(parseIdentity(text), undefined, JSON.stringify(text));
  t.notOk(isAlive({ pid: process.pid, startTicks: '1' }), 'another one had this number');
  t.notOk(isAlive(undefined));

  // A name may hold everything that separates the fields of /proc/<pid>/stat.
  const strange = path.join(dir, 'a) Z 1 (');
  await copyFile('/bin/sleep', strange);
  const sleeper = spawn(strange, ['300'], { stdio: 'ignore' });
  await once(sleeper, 'spawn');
  const identity = identityOf(sleeper.pid ?? 0);
  t.ok(isAlive(identity));
  t.match(identity?.startTicks, /^[1-9]\d*$/);
  await end(sleeper);
  t.notOk(isAlive(identity));
});

void t.test('a zombie is not alive', async (t) => {
  const pids = newFile();
  // `sleep` in the shell's place never asks for the end of the shell's child.
  const parent = spawn('sh', ['-c', `sleep 300 & echo $! >>${pids}; exec sleep 300`], { stdio: 'ignore' });
  const [child] = await readIdentities(pids, 1);
  t.ok(isAlive(child));
  process.kill(child!.pid, 'SIGKILL');
  const stat = `/proc/${String(child?.pid)}/stat`;
  await startBudget().poll(async () => (await readFile(stat, 'utf8')).includes(') Z ') || undefined, 10);
  t.notOk(isAlive(child));
  t.equal(identityOf(child?.pid ?? 0), undefined);
  t.ok(process.kill(child!.pid, 0), 'although it can still be sent signals');
  await end(parent);
});

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function sessionOf(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[3]);
}

import { execFile } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import t from 'tap';

import { Budget, Cleanup, describeFailure, HarnessError, monotonicMs, Redactor } from './index.js';

const never = new Promise<never>(() => undefined);
const core = new URL('./index.js', import.meta.url).href;

function startBudget(limitMs: number, signal = new AbortController().signal): Budget {
  return Budget.start('the moon', limitMs, signal);
}

/** Runs a module in a process of its own: what keeps a process alive, or ends it, shows only at its end. */
async function runModule(body: string): Promise<{ stdout: string; stderr: string; elapsedMs: number }> {
  const startMs = monotonicMs();
  const source = `import { Budget } from ${JSON.stringify(core)}; const signal = new AbortController().signal; ${body}`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    source,
  ]);
  return { stdout, stderr, elapsedMs: monotonicMs() - startMs };
}

void t.test('a part of a budget ends with the budget', async (t) => {
  const budget = startBudget(5000);
  t.ok(budget.part('a step', 60_000).remainingMs <= 5000);
  const step = budget.part('a step', 20);
  t.ok(step.remainingMs <= 20);
  await t.rejects(step.race(never), { code: 'TIMEOUT', message: /a step/ });
  t.equal(step.remainingMs, 0);
  t.throws(
    () => {
      step.check();
    },
    { code: 'TIMEOUT' },
  );
  t.doesNotThrow(() => {
    budget.check();
  });
  t.ok(budget.elapsedMs >= 19, 'the clock of the whole runs on');
});

void t.test('while it is stopped no time passes, for the whole and all its parts', async (t) => {
  const whole = startBudget(400);
  const part = whole.part('a step', 300);
  const waiting = part.race(never);
  waiting.catch(() => undefined);
  const startMs = monotonicMs();
  t.equal(whole.isStopped, false);
  await part.stopWhile(async () => {
    t.equal(whole.isStopped, true, 'the whole, too');
    const { remainingMs, elapsedMs } = part;
    // A stop within a stop ends nothing.
    await whole.stopWhile(() => delay(600));
    t.equal(part.remainingMs, remainingMs);
    t.equal(part.elapsedMs, elapsedMs);
    t.ok(whole.part('begun meanwhile', 5000).remainingMs > 300);
  });
  t.ok(whole.remainingMs > 200, 'it goes on where it was');
  t.doesNotThrow(() => {
    whole.check();
  });
  await t.rejects(waiting, { code: 'TIMEOUT', message: 'Gave up after 0.3 s waiting for a step' });
  t.ok(monotonicMs() - startMs >= 890, 'the time of the stop was added');

  const failing = startBudget(50);
  await t.rejects(
    failing.stopWhile(() => Promise.reject(new Error('no'))),
    /no/,
  );
  t.equal(failing.isStopped, false, 'goes on also after a failure');
});

void t.test('a timeout says what was waited for, how long, and what was seen last', async (t) => {
  let seen = 'at the start';
  const budget = Budget.start('the moon', 300, new AbortController().signal, {
    lastSeen: () => seen,
    hint: 'Look up.',
  });
  seen = 'a cloud';
  await t.rejects(budget.race(never), {
    name: 'HarnessError',
    code: 'TIMEOUT',
    message: 'Gave up after 0.3 s waiting for the moon',
    details: 'a cloud',
    hint: 'Look up.',
    exitCode: 69,
  });
  t.equal(startBudget(90_000).timeoutError().message, 'Gave up after 90 s waiting for the moon');
  await t.rejects(budget.part('a star', 1, { lastSeen: () => '' }).race(never), {
    message: /a star/,
    details: undefined,
  });
});

void t.test('a race gives the result or the error of the promise, and leaves no listener', async (t) => {
  const controller = new AbortController();
  const budget = startBudget(60_000, controller.signal);
  t.equal(await budget.race(delay(5, 'there')), 'there');
  await t.rejects(budget.race(Promise.reject(new Error('of its own'))), { message: 'of its own' });
  t.equal(getEventListeners(controller.signal, 'abort').length, 0);
});

void t.test('an abort ends every wait at once, with the reason it was given', async (t) => {
  const controller = new AbortController();
  const budget = startBudget(60_000, controller.signal);
  const waits = [
    budget.race(never),
    budget.part('a step', 30_000).race(never),
    budget.poll(() => undefined, 30_000),
    budget.poll(() => never, 10),
  ].map((wait) => wait.then(String, (error: unknown) => error));
  const startMs = monotonicMs();
  controller.abort();
  for (const error of await Promise.all(waits)) t.match(error, { code: 'INTERRUPTED', exitCode: 130 });
  t.ok(monotonicMs() - startMs < 5000);
  await t.rejects(budget.race(Promise.resolve('late')), { code: 'INTERRUPTED' });
  t.equal(getEventListeners(controller.signal, 'abort').length, 0);

  const reason = new HarnessError('MACHINE_DIED', 'The machine has gone');
  const other = new AbortController();
  other.abort(reason);
  await t.rejects(startBudget(60_000, other.signal).race(never), reason);
});

void t.test('any number of waits may hang on one signal', async (t) => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on('warning', note);
  const controller = new AbortController();
  const budget = startBudget(60_000, controller.signal);
  const waits = Array.from({ length: 30 }, () => budget.race(never).catch(() => undefined));
  await turn();
  await turn();
  controller.abort();
  await Promise.all(waits);
  process.off('warning', note);
  t.strictSame(warnings, []);
});

void t.test('a limit longer than the longest timer neither fires at once nor spins', async (t) => {
  const warned = once(process, 'warning').then(([warning]) => warning as Error);
  const controller = new AbortController();
  for (const limitMs of [2 ** 31 + 1000, 2 ** 40, Infinity]) {
    t.equal(await startBudget(limitMs, controller.signal).race(delay(30, 'there')), 'there');
  }
  t.equal(await Promise.race([warned, delay(5, 'no warning')]), 'no warning', 'no TimeoutOverflowWarning');
});

void t.test('polling looks until there is something, and no longer than its time', async (t) => {
  let looks = 0;
  const look = (): string | undefined => (++looks === 3 ? 'found' : undefined);
  t.equal(await startBudget(60_000).poll(look, 1), 'found');
  t.equal(looks, 3);
  t.equal(
    await startBudget(60_000).poll(() => (looks++ < 5 ? undefined : 0), 1),
    0,
    'nothing but undefined means nothing',
  );
  await t.rejects(
    startBudget(30).poll(() => undefined, 5),
    { code: 'TIMEOUT' },
  );
  await t.rejects(
    startBudget(30).poll(() => undefined, 60_000),
    { code: 'TIMEOUT' },
  );
  await t.rejects(
    startBudget(30).poll(() => never, 5),
    { code: 'TIMEOUT' },
    'a look that hangs',
  );
  await t.rejects(
    startBudget(60_000).poll(() => Promise.reject(new Error('blind')), 5),
    { message: 'blind' },
  );
});

void t.test('a process that waited ends as soon as it has what it waited for', async (t) => {
  const { stdout, elapsedMs } = await runModule(`
    const budget = Budget.start('the moon', 120_000, signal);
    await budget.race(Promise.resolve());
    await budget.race(Promise.reject(new Error())).catch(() => undefined);
    await budget.poll(() => true, 120_000);
    console.log('done');`);
  t.equal(stdout, 'done\n');
  t.ok(elapsedMs < 60_000, `ended after ${elapsedMs.toFixed(0)} ms`);
});

void t.test('a process that only waits stays alive until the time is over', async (t) => {
  const { stdout } = await runModule(`
    await Budget.start('the moon', 50, signal).race(new Promise(() => {})).catch((error) => console.log(error.code));`);
  t.equal(stdout, 'TIMEOUT\n');
});

void t.test('what lost the race may fail later without ending the process', async (t) => {
  const { stdout } = await runModule(`
    import { setTimeout as delay } from 'node:timers/promises';
    const fail = (ms) => delay(ms).then(() => { throw new Error('too late'); });
    const codes = [];
    const note = (error) => codes.push(error.code);
    await Budget.start('the moon', 1, signal).race(fail(20)).catch(note);
    const over = Budget.start('the moon', 0, signal);
    await over.race(fail(1)).catch(note);
    await delay(60);
    console.log(codes.join());`);
  t.equal(stdout, 'TIMEOUT,TIMEOUT\n');
});

void t.test('Cleanup releases in reverse order, whatever fails', async (t) => {
  const order: string[] = [];
  const failures: string[] = [];
  const cleanup = new Cleanup((what, error) => failures.push(`${what}: ${describeFailure(error)}`));
  cleanup.push('first', () => {
    order.push('first');
  });
  cleanup.push('second', () => {
    throw new HarnessError('TOOL_FAILED', 'broken');
  });
  cleanup.push('third', async () => {
    await turn();
    order.push('third');
    throw new Error('also broken');
  });
  cleanup.push('fourth', () => {
    order.push('fourth');
    cleanup.push('pushed meanwhile', () => {
      order.push('pushed meanwhile');
    });
  });
  // Two at once, as when Ctrl-C is pressed while a run ends.
  const releases = [cleanup.release(), cleanup.release()];
  await releases[1];
  t.strictSame(
    order,
    ['fourth', 'pushed meanwhile', 'third', 'first'],
    'the second call ends when all is released',
  );
  await releases[0];
  t.strictSame(failures, ['third: also broken', 'second: TOOL_FAILED: broken']);

  cleanup.push('later', () => {
    order.push('later');
  });
  await cleanup[Symbol.asyncDispose]();
  t.strictSame(order.slice(4), ['later'], 'it can be used again, and releases nothing twice');
});

void t.test('Redactor leaves nothing of a secret', async (t) => {
  const redactor = new Redactor();
  redactor.add('hunter2');
  redactor.add('hunter2-and-more');
  redactor.add('$&.*(');
  redactor.add('a.b.c.d');
  redactor.add('short');
  t.equal(
    redactor.clean('hunter2 hunter2-and-more <hunter2> short axbxcxd a.b.c.d'),
    '******** ******** <********> short axbxcxd ********',
  );
  t.equal(new Redactor().clean('nothing to hide'), 'nothing to hide');
});

// What ends a command from outside, on a terminal as a person has it.
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { Budget, quote } from '../core/index.js';

const LIMIT_MS = 30_000;
const WORK = `
import { withSignals, endByHangUp } from ${JSON.stringify(new URL('./signals.js', import.meta.url).href)};
import { writeFileSync } from 'node:fs';
const [, , ready, put] = process.argv;
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
await withSignals((signal) => new Promise((resolve) => {
  const waiting = setInterval(() => undefined, 1000);
  signal.addEventListener('abort', () => { writeFileSync(put, ''); clearInterval(waiting); resolve(); });
  writeFileSync(ready, '');
}));
endByHangUp();
process.exitCode = 130;
`;

const exists = (file: string): Promise<true | undefined> =>
  readFile(file).then(
    () => true as const,
    () => undefined,
  );

for (const [what, expected] of [
  ['hangup', 128 + 1],
  ['interrupt', 130],
] as const) {
  t.test(`at a ${what} everything is put away, and the process ends as it should`, async (t) => {
    const folder = t.testdir({ 'work.mjs': WORK });
    const [ready, put, code] = ['ready', 'put', 'code'].map((name) => path.join(folder, name)) as [
      string,
      string,
      string,
    ];
    // Told by the shell: whoever has the terminal ends with it. A signal that is ignored is one for Node all the same.
    const command = `trap '' HUP INT; ${quote(process.execPath)} ${quote(path.join(folder, 'work.mjs'))} ${quote(ready)} ${quote(put)}; echo $? >${quote(code)}`;
    const file = path.join(folder, 'command.sh');
    await writeFile(file, command);
    // The last command keeps a shell between, to which the terminal belongs and which dies with it, as a person's does.
    const terminal = spawn('script', ['-q', '-c', `sh ${quote(file)}; true`, '/dev/null'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const ended = once(terminal, 'exit');
    const budget = Budget.start('the process to end', LIMIT_MS, new AbortController().signal);
    await budget.poll(() => exists(ready), 50);
    if (what === 'hangup') terminal.kill('SIGKILL');
    else terminal.stdin.write('\x03');
    const told = await budget.poll(
      async () => ((await exists(code)) ? (await readFile(code, 'utf8')).trim() || undefined : undefined),
      50,
    );
    t.equal(Number(told), expected);
    t.ok(await exists(put), 'the work was told');
    terminal.stdin.end();
    await ended;
  });
}

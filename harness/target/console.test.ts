import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, monotonicMs, Redactor } from '../core/index.js';
import { type ConsoleLine, MachineConsole } from './console.js';
import { JournalRecorder } from './journal.js';
import { ListeningSocket } from './socket.js';
import { TerminalLines } from './terminal-lines.js';

const SECRET = 'correct horse battery';

const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => path.join(dir, String(++files));

function startBudget(limitMs = 60_000, signal = new AbortController().signal): Budget {
  return Budget.start('the console', limitMs, signal);
}

function makeRedactor(): Redactor {
  const redactor = new Redactor();
  redactor.add(SECRET);
  return redactor;
}

/** Our end of a serial line and the machine's. */
async function connectLine(): Promise<{ ours: Socket; machine: Socket }> {
  const listening = await ListeningSocket.listen(newFile());
  const machine = connect(listening.path);
  return { ours: await listening.accept(startBudget()), machine };
}

async function openConsole(): Promise<{
  console: MachineConsole;
  machine: Socket;
  logFile: string;
  heard: ConsoleLine[];
}> {
  const { ours, machine } = await connectLine();
  const logFile = newFile();
  const heard: ConsoleLine[] = [];
  const console = new MachineConsole(ours, {
    logFile,
    redactor: makeRedactor(),
    onLine: (line) => heard.push(line),
  });
  t.teardown(() => {
    machine.destroy();
    ours.destroy();
  });
  return { console, machine, logFile, heard };
}

/** Writes chunks one after the other; each has been received as one before the next is written. */
async function write(
  console: MachineConsole,
  machine: Socket,
  chunks: readonly (string | Buffer)[],
): Promise<void> {
  for (const chunk of chunks) {
    const atMs = monotonicMs();
    machine.write(chunk);
    await startBudget().poll(() => console.silentMs <= monotonicMs() - atMs || undefined, 1);
  }
}

function readLines(chunks: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const terminal = new TerminalLines((line) => lines.push(line));
  for (const chunk of chunks) terminal.write(chunk);
  terminal.end();
  return lines;
}

void t.test('control sequences are left out, wherever the bytes are cut', async (t) => {
  const samples: [sent: string, shown: string[]][] = [
    ['\u001b[0;32m  OK  \u001b[0m Started \u001b[1;39mä€🔐\u001b[0m.\n', ['  OK   Started ä€🔐.']],
    ['\u001b[2J\u001b[01;01H\u001b[=3h\u001b[?25lBdsDxe: loading\r\n', ['BdsDxe: loading']],
    [
      '\u001b]0;a title\u0007one \u001b]3008;start=1\u001b\\two\u001b(B\u001b)0 \u001bP1$r\u001b\\three\u001b7\u001bM\n',
      ['one two three'],
    ],
    ['a\tb\u0000\u0007\bc\u007f\u009b\n\nd', ['a\tbc', '', 'd']],
    ['one\r\ntwo\r\r\nthree\u001b[K\r\u001b[0m\n', ['one', 'two', 'three']],
    // systemd and others write over a line; each version was to be seen.
    [
      '\r[*     ] 1s\r\u001b[K[**    ] 2s\r[ OK ] done\r\n\rlogin: ',
      ['[*     ] 1s', '[**    ] 2s', '[ OK ] done', 'login: '],
    ],
    // A broken sequence costs at most its line.
    ['\u001b]never ended\nnext\n\u001b[12;3\nnext\n\u001b\nnext', ['', 'next', '', 'next', '', 'next']],
    ['\u001bä \u001b[3ü \u001b[31\u001b[0mx\u001b\u001b[1my', ['ä ü xy']],
  ];
  for (const [sent, shown] of samples) {
    const bytes = Buffer.from(sent);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      t.strictSame(readLines([bytes.subarray(0, cut), bytes.subarray(cut)]), shown, `cut at ${String(cut)}`);
    }
    t.strictSame(readLines([...bytes].map((byte) => Buffer.from([byte]))), shown, 'byte by byte');
  }
});

void t.test('every line goes into the file with its time, the last one too', async (t) => {
  const { console, machine, logFile, heard } = await openConsole();
  await write(console, machine, ['first\r\n\r\n  second  \r\nhal', 'f a line\r\n']);
  t.strictSame(
    console.lines.map((line) => line.text),
    ['first', '  second', 'half a line'],
  );
  t.equal(console.lastLine, 'half a line');
  machine.end('the end, without a newline');
  await console.close();
  t.strictSame(heard, console.lines);
  const written = (await readFile(logFile, 'utf8')).split('\n');
  t.equal(written.pop(), '');
  t.strictSame(
    written.map((line) => line.replace(/^\[ {0,4}\d{1,5}\.\d{3}\] /, '')),
    ['first', '  second', 'half a line', 'the end, without a newline'],
  );
  const times = heard.map((line) => line.atMs);
  t.strictSame(
    times,
    [...times].sort((a, b) => a - b),
  );
  t.ok((times[0] ?? -1) >= 0 && (times.at(-1) ?? Infinity) <= console.elapsedMs);
});

void t.test('closing waits for everything that the machine has said', async (t) => {
  const { console, machine, logFile } = await openConsole();
  const text = Array.from({ length: 50_000 }, (_, number) => `line ${String(number)}\n`).join('');
  machine.end(text); // half a megabyte: most of it is still on its way when the console is closed
  await console.close();
  const written = (await readFile(logFile, 'utf8')).trimEnd().split('\n');
  t.equal(written.length, 50_000);
  t.match(written.at(-1), /line 49999$/);
  await console.close();

  const { ours, machine: other } = await connectLine();
  other.destroy();
  ours.resume();
  await once(ours, 'close');
  const dead = new MachineConsole(ours, { logFile: newFile(), redactor: makeRedactor() });
  await t.resolves(dead.close(), 'also when the machine has gone before');
  dead.type('nobody hears this');
});

void t.test('a file that cannot be written is told at the end', async (t) => {
  const { ours, machine } = await connectLine();
  const console = new MachineConsole(ours, { logFile: '/nowhere/console.log', redactor: makeRedactor() });
  machine.end('text\n');
  await t.rejects(console.close(), { code: 'HOST_UNFIT', message: /\/nowhere\/console\.log/ });
  t.equal(console.lastLine, 'text');
});

void t.test('a prompt is found although its line has not ended', async (t) => {
  const { console, machine } = await openConsole();
  const prompt = console.waitFor(/enter passphrase for disk (\w+): /, startBudget());
  await write(console, machine, ['Welcome\r\nPlease enter pass', '\u001b[0mphrase for disk enc', ': ']);
  const { match, end } = await prompt;
  t.equal(match[1], 'enc');
  t.equal(end, console.position);
  t.match(console.tail(), /\] Welcome\n\[ +… \] Please enter passphrase for disk enc:$/);

  const heard = once(machine, 'data');
  console.type('typed\r');
  t.equal(String((await heard)[0]), 'typed\r');
});

void t.test('a wait looks at what is there already, or only at what comes later', async (t) => {
  const { console, machine } = await openConsole();
  await write(console, machine, ['login: ']);
  const first = await console.waitFor(/login:/, startBudget());
  t.equal(first.end, 'login:'.length);
  const again = console.waitFor(/login:/, startBudget(), console.position);
  const inVain = t.rejects(console.waitFor(/nothing like it/, startBudget(300)), {
    code: 'TIMEOUT',
    message: /the console/,
  });
  const second = console.waitFor(/second (.*)\n/, startBudget());
  const stop = new AbortController();
  const stopped = console.waitFor(/nothing like it/, startBudget(60_000, stop.signal));
  await write(console, machine, ['\r\nsecond login: \r\n']);
  t.equal((await again).end, 'login: \nsecond login:'.length);
  t.equal((await second).match[1], 'login: ');
  await inVain;
  stop.abort();
  await t.rejects(stopped, { code: 'INTERRUPTED' });
  t.match(
    await console.waitFor(/login:/gi, startBudget()),
    { end: 6 },
    'flags that make a pattern remember do no harm',
  );
  t.match(await console.waitFor(/login:/gi, startBudget()), { end: 6 });
});

void t.test('a line begins where it begins, however much has been said before', async (t) => {
  const { console, machine } = await openConsole();
  const found = console.waitFor(/^x+ end$/m, startBudget());
  await write(console, machine, ['the very first line\n', 'x'.repeat(9000), ' end or not\n']);
  const far = Array.from({ length: 3000 }, (_, number) => `line ${String(number)} of many\n`);
  machine.write(far.join(''));
  await console.waitFor(/line 2999 of many\n/, startBudget());
  await write(console, machine, ['xx end\n']);
  t.equal((await found).match[0], 'xx end');
  t.equal(
    (await console.waitFor(/first (line)/, startBudget())).end,
    'the very first line'.length,
    'the oldest text is still there',
  );
  t.equal((await console.waitFor(/line 1234 of/, startBudget(), 9000)).match.length, 1);
  const { position } = console;
  await write(console, machine, ['more']);
  t.equal(console.position, position + 4);
});

void t.test('a machine that never stops talking does not slow us down', async (t) => {
  const { console, machine } = await openConsole();
  const waiting = t.rejects(console.waitFor(/no such text/, startBudget(3_600_000)), {
    code: 'MACHINE_DIED',
    details: /the end$/,
  });
  const last = console.waitFor(/^the end$/m, startBudget());
  // As a serial line does, a little at a time.
  const block = `${'[ 12.345678] Call Trace: something is wrong'.padEnd(63)}\n`.repeat(8);
  const quartersMs: number[] = [];
  for (let quarter = 0; quarter < 4; quarter += 1) {
    const before = process.cpuUsage();
    for (let sent = 0; sent < 2048; sent += 1) {
      machine.write(block);
      await new Promise(setImmediate);
    }
    const { user, system } = process.cpuUsage(before);
    quartersMs.push((user + system) / 1000);
  }
  machine.end('the end\n');
  await last;
  await console.close();
  await waiting; // who still waits is told: a budget of an hour must not keep a process alive
  t.equal(console.lines.length, 4 * 2048 * 8 + 1);
  const [first = 0, , , fourth = Infinity] = quartersMs;
  t.ok(
    fourth < 4 * first,
    `processor time by quarters of 4 MiB: ${quartersMs.map(Math.round).join(', ')} ms`,
  );
});

void t.test('a secret is neither stored nor shown, also when it arrives in parts', async (t) => {
  const { console, machine, logFile, heard } = await openConsole();
  await write(console, machine, [
    `typed ${SECRET.slice(0, 9)}`,
    `${SECRET.slice(9)} and\u001b[0m more\r\n`,
    `x ${SECRET}`,
  ]);
  t.match(console.tail(), /typed \*{8} and more\n.*x \*{8}$/);
  t.equal((await console.waitFor(/x (.*)/, startBudget())).match[1], SECRET, 'though it can be waited for');
  machine.end();
  await console.close();
  const all = [
    await readFile(logFile, 'utf8'),
    JSON.stringify(console.lines),
    JSON.stringify(heard),
    console.tail(),
  ];
  for (const text of all) {
    t.notMatch(text, /horse/);
    t.match(text, /typed \*{8} and more/);
    t.match(text, /x \*{8}/);
  }
});

void t.test('the tail shows the last lines; the running light of systemd is no line', async (t) => {
  const { console, machine } = await openConsole();
  await write(console, machine, [
    '1\n2\n',
    '[***   ] A start job is running (1s / 1min)\r[ ***  ] A start job',
    ' is running (2s)\r\n3\n',
  ]);
  t.strictSame(
    console.lines.map((line) => line.text),
    ['1', '2', '3'],
  );
  t.match(console.tail(2), /^\[ +\d+\.\d{3}\] 2\n\[ +\d+\.\d{3}\] 3$/);
  t.ok(await console.waitFor(/A start job is running \(2s\)/, startBudget()), 'but it can be waited for');
});

void t.test('the journal is written line by line, clean and to its end', async (t) => {
  const { ours, machine } = await connectLine();
  const logFile = newFile();
  const journal = new JournalRecorder(ours, { logFile, redactor: makeRedactor() });
  const bytes = Buffer.from(`\u001b[0;1mä systemd[1]: ${SECRET}\r\n\r\nlast € word`);
  for (const byte of bytes) {
    machine.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  machine.end();
  await journal.close();
  t.equal(await readFile(logFile, 'utf8'), 'ä systemd[1]: ********\n\nlast € word\n');
});

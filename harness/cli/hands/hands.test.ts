// What a person does with machines and runs, as far as no machine is needed.
import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import t from 'tap';

import { HarnessError } from '../../core/index.js';
import { folderOfVariant, writeRecord, type RunRecord } from '../../record/index.js';
import type { SessionEnd } from '../../target/index.js';
import { Cli, withFolder } from '../cli-process.js';
import { markRunning } from '../running.js';
import { checkPause, chooseHands, completeKeep } from './choose-hands.js';
import { showConsole } from './console.js';
import { findRun, findVariant } from './find-run.js';
import { SecretScan } from './secret-scan.js';
import { type FarEnd, joinTerminal, type Terminal } from './terminal.js';

const AT_TERMINAL = { isInteractive: true };
const NO_TERMINAL = { isInteractive: false };
const PLAIN = { tap: false };

t.test('what is asked of machines is refused before anything is started, each for its reason', (t) => {
  t.equal(chooseHands(PLAIN, NO_TERMINAL), undefined, 'nothing asked');
  t.strictSame(chooseHands({ ...PLAIN, keep: 'fail' }, NO_TERMINAL), {
    shellOnFail: false,
    vnc: false,
    keep: 'fail',
  });
  t.strictSame(
    chooseHands({ ...PLAIN, shellOnFail: true, pauseAt: 'boot 2', vnc: true, jobs: '1' }, AT_TERMINAL),
    {
      shellOnFail: true,
      vnc: true,
      pauseAt: 'boot 2',
    },
  );
  const refused = (
    options: Omit<Parameters<typeof chooseHands>[0], 'tap'> & { tap?: boolean },
    message: RegExp,
    where = AT_TERMINAL,
  ): void => {
    t.throws(() => chooseHands({ ...PLAIN, ...options }, where), { code: 'USAGE', message });
  };
  refused({ shellOnFail: true, jobs: '1' }, /--shell-on-fail.*there is none/, NO_TERMINAL);
  refused({ pauseAt: 'boot 1', jobs: '1' }, /--pause-at.*there is none/, NO_TERMINAL);
  refused({ shellOnFail: true }, /add -j 1/);
  refused({ shellOnFail: true, jobs: '2' }, /add -j 1/);
  refused({ shellOnFail: true, jobs: '1', tap: true }, /--tap/);
  refused({ vnc: true, keep: 'fail' }, /--vnc.*held/);
  for (const target of ['libvirt', 'hardware'] as const) {
    refused({ keep: 'always', target }, new RegExp(`--keep.*--target ${target}`));
    refused({ shellOnFail: true, jobs: '1', target }, new RegExp(`--shell-on-fail.*--target ${target}`));
  }
  t.throws(
    () => {
      checkPause('boot 9', []);
    },
    { code: 'USAGE', message: /no variant has the step "boot 9"/ },
  );
  t.strictSame(completeKeep(['run', '--keep', 'a']), ['run', '--keep=fail', 'a']);
  t.strictSame(completeKeep(['run', '--keep', 'always', '--keep=fail']), [
    'run',
    '--keep',
    'always',
    '--keep=fail',
  ]);
  t.strictSame(completeKeep(['run', 'a', '--keep']), ['run', 'a', '--keep=fail']);
  const other = ['new', 'x.yaml', '--keep', '/var/lib/bluetooth'];
  t.strictSame(completeKeep(other), other, 'what `imperm new` keeps is a path');
  t.end();
});

t.test('the command line says so, with exit code 2, before a folder is made', (t) =>
  withFolder(async (folder) => {
    const run = (...args: string[]): Cli['result'] =>
      new Cli(['run', 'tmpfs-luks-ext4', '--once', '--reports', folder, ...args]).result;
    const held = await run('--shell-on-fail', '-j', '1');
    t.match(held, { exitCode: 2, stderr: /whoever sits at the terminal/ });
    const libvirt = await run('--keep', '--target', 'libvirt');
    t.match(libvirt, { exitCode: 2, stderr: /--keep takes imperm's own QEMU/ });
    const shell = await new Cli(['shell', '--reports', folder]).result;
    t.match(shell, { exitCode: 2, stderr: /There is no run in/ });
    t.strictSame(await readdir(folder), []);
  }),
);

t.test('runs and variants are found by what people call them', (t) =>
  withFolder(async (folder) => {
    const runs = ['2026-01-01-000000-aaaa', '2026-01-02-000000-0000', '2025-12-31-235959-ffff'];
    for (const run of [...runs, 'zzz']) await mkdir(path.join(folder, run));
    const newest = path.join(folder, runs[1] ?? '');
    t.equal(await findRun(undefined, folder), newest);
    t.equal(await findRun(runs[0], folder), path.join(folder, runs[0] ?? ''));
    t.equal(await findRun(newest, '/nowhere'), newest);
    await t.rejects(findRun('2024', folder), { code: 'USAGE', message: /no run "2024"/ });
    await t.rejects(findRun(undefined, path.join(folder, 'none')), { code: 'USAGE' });

    const what = { what: 'a thing', hint: 'Make one.' };
    await t.rejects(findVariant(newest, undefined, what), { code: 'USAGE', hint: 'Make one.' });
    const ids = ['a[disk=nvme]', 'a[disk=nvme,luks=none]', 'bugs/b'];
    for (const id of ids) await mkdir(path.join(newest, folderOfVariant(id)));
    for (const id of ids)
      t.equal(await findVariant(newest, id, what), path.join(newest, folderOfVariant(id)));
    t.equal(await findVariant(newest, 'none', what), path.join(newest, 'a-disk=nvme-luks=none'));
    await t.rejects(findVariant(newest, 'disk', what), {
      code: 'USAGE',
      message: /2 variants that "disk" may mean/,
    });
    await t.rejects(findVariant(newest, undefined, what), { code: 'USAGE', message: /3 variants/ });
    await t.rejects(findVariant(newest, 'virtio', what), { code: 'USAGE', message: /no variant "virtio"/ });
    const has = (each: string): Promise<boolean> => Promise.resolve(each.endsWith('b'));
    t.equal(await findVariant(newest, undefined, { ...what, has }), path.join(newest, 'bugs-b'));
  }),
);

/** A terminal of which everything is written down. */
class TestTerminal extends EventEmitter implements Terminal {
  readonly input = Object.assign(new PassThrough(), {
    setRawMode: (isRaw: boolean): void => {
      this.raw.push(isRaw);
    },
  });
  readonly raw: boolean[] = [];
  shown = '';
  columns = 100;
  rows = 30;
  readonly output = Object.assign(this as EventEmitter, {
    write: (chunk: Buffer | string): void => {
      this.shown += chunk.toString();
    },
    get columns(): number {
      return 100;
    },
    get rows(): number {
      return 30;
    },
  });
}

function makeFar(): FarEnd & {
  got: string;
  sizes: unknown[];
  show: (text: string) => void;
  end: (end: SessionEnd) => void;
} {
  let listener: ((chunk: Buffer) => void) | undefined;
  let end: (end: SessionEnd) => void = () => undefined;
  const ended = new Promise<SessionEnd>((resolve) => (end = resolve));
  const far = {
    got: '',
    sizes: [] as unknown[],
    write: (chunk: Buffer): void => {
      far.got += chunk.toString();
    },
    listen: (onBytes: (chunk: Buffer) => void) => {
      listener = onBytes;
      return () => (listener = undefined);
    },
    resize: (size: unknown): void => {
      far.sizes.push(size);
    },
    ended,
    show: (text: string): void => listener?.(Buffer.from(text)),
    end,
  };
  return far;
}

t.test('a terminal is joined key by key, and is as before however it ends', async (t) => {
  const { signal } = new AbortController();
  const over = new TestTerminal();
  const far = makeFar();
  const joined = joinTerminal(far, over, signal);
  over.input.write('ls\r\u0003');
  far.show('bin etc');
  over.emit('resize');
  await delay(10);
  t.equal(far.got, 'ls\r\u0003', 'Ctrl-C goes to the machine');
  t.equal(over.shown, 'bin etc');
  t.strictSame(far.sizes, [{ columns: 100, rows: 30 }]);
  t.strictSame(over.raw, [true]);
  far.end({ exitCode: 3 });
  t.strictSame(await joined, { exitCode: 3 });
  t.strictSame(over.raw, [true, false]);
  far.show('late');
  t.notMatch(over.shown, /late/);
  t.equal(over.input.listenerCount('data') + over.listenerCount('resize'), 0);

  const again = makeFar();
  const second = joinTerminal(again, over, signal);
  over.input.write('more');
  await delay(10);
  t.equal(again.got, 'more', 'the same terminal is joined again');
  again.end({ exitCode: 0 });
  t.strictSame(await second, { exitCode: 0 });

  const leaving = new TestTerminal();
  const left = makeFar();
  const leave = joinTerminal(left, leaving, signal);
  leaving.input.write('ab\u001dcd');
  t.equal(await leave, undefined, 'Ctrl-] leaves');
  t.equal(left.got, 'ab', 'what comes after it is for nobody');
  t.match(leaving.shown, /\[\?25h/, 'the cursor is there again');

  const stop = new AbortController();
  const interrupted = new TestTerminal();
  const waiting = joinTerminal(makeFar(), interrupted, stop.signal);
  stop.abort(new HarnessError('INTERRUPTED', 'Interrupted by SIGTERM'));
  await t.rejects(waiting, { code: 'INTERRUPTED' });
  t.strictSame(interrupted.raw, [true, false]);

  const closed = new TestTerminal();
  const gone = joinTerminal(makeFar(), closed, signal);
  closed.input.end();
  t.equal(await gone, undefined, 'a window that is closed leaves, too');
});

t.test('a console is shown with its times, followed until the run ends', (t) =>
  withFolder(async (folder) => {
    const run = path.join(folder, '2026-01-01-000000-aaaa');
    const variant = path.join(run, 'a-disk=nvme');
    const log = path.join(variant, 'console.log');
    const show = { log: 'console', reports: folder } as const;
    let shown = '';
    const write = (text: string): void => {
      shown += text;
    };
    await mkdir(run);
    await t.rejects(showConsole(undefined, undefined, { ...show, follow: false }, write), { code: 'USAGE' });
    const following = showConsole(undefined, 'nvme', { ...show, follow: true }, write);
    await delay(300);
    await mkdir(variant);
    await writeFile(log, '[    0.100] BdsDxe\n[   12.000] up\n[    0.0');
    const sees = async (text: string): Promise<void> => {
      for (let tries = 0; tries < 200 && !shown.includes(text); tries += 1) await delay(20);
      t.ok(shown.includes(text), `${text} in ${shown}`);
    };
    await sees('up\n');
    t.notMatch(shown, /0\.0$/, 'half a line is not shown');
    await appendFile(log, '90] again \u0007\n');
    await sees('== powered on again ==\n[    0.090] again \\x07\n');
    await appendFile(log, '[    1.000] the end\n');
    await writeFile(path.join(run, 'record.json'), '{}');
    t.equal(await following, 0);
    t.match(shown, /the end\n$/);
    const all = shown;
    shown = '';
    t.equal(await showConsole(undefined, undefined, { ...show, follow: false }, write), 0);
    t.equal(shown, all, 'the same afterwards');
    await t.rejects(showConsole(undefined, undefined, { ...show, log: 'journal', follow: false }, write), {
      message: /no variant with a journal/,
    });
  }),
);

t.test('who follows a run that was killed is told', (t) =>
  withFolder(async (folder) => {
    const run = path.join(folder, '2026-01-01-000000-aaaa');
    await mkdir(path.join(run, 'a'), { recursive: true });
    await writeFile(path.join(run, 'a', 'console.log'), '[    0.100] BdsDxe\n');
    const options = { log: 'console', reports: folder, follow: true } as const;
    const lock = await markRunning(run, new AbortController().signal);
    let isOver = false;
    const following = showConsole(undefined, undefined, options, () => undefined).finally(() => {
      isOver = true;
    });
    following.catch(() => undefined);
    await delay(3000);
    t.equal(isOver, false, 'as long as it lasts it is followed');
    await lock.release();
    // What a killed run leaves: the file, which nobody holds.
    await writeFile(path.join(run, '.running'), '');
    await t.rejects(following, { code: 'MACHINE_DIED', message: /was killed/ });
  }),
);

t.test('a secret is taken out, and found again in every form', (t) => {
  const secret = 'c0ffee0123456789abcdef';
  const scan = new SecretScan([secret]);
  const key =
    '-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\\n-----END OPENSSH PRIVATE KEY-----';
  const text = `a ${secret} b ${key} imperm.host-key:QUJDREVGR0g= c`;
  const clean = scan.clean(text);
  t.equal(scan.find(Buffer.from(clean)), undefined, clean);
  t.match(clean, /^a \*+ b .*-----END OPENSSH PRIVATE KEY----- imperm\.host-key:\*+ c$/);
  const forms = [
    secret,
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('hex').toUpperCase(),
    ...['', 'x', 'xy', 'xyz'].map((before) => Buffer.from(`${before}${secret}!`).toString('base64')),
    key,
    key.replaceAll('\\n', '\n'),
  ];
  for (const form of forms) t.ok(scan.find(Buffer.from(`before ${form} after`)), form);
  t.ok(scan.find(Buffer.from(secret, 'utf16le')));
  t.ok(new SecretScan(['a&b=c/d e+f%g']).find(Buffer.from(encodeURIComponent('a&b=c/d e+f%g'))));
  t.equal(scan.find(Buffer.from('nothing of it: c0ffee0123456789abcde')), undefined);
  t.end();
});

const SECRET = 'f00dbabe00112233445566778899aa';

async function makeRun(folder: string): Promise<{ run: string; variant: string }> {
  const run = path.join(folder, '2026-01-01-000000-aaaa');
  const variant = path.join(run, 'a');
  await mkdir(path.join(variant, 'kept'), { recursive: true });
  const file = 'scenarios/tmpfs-luks-ext4/scenario.yaml';
  const record: RunRecord = {
    version: 1,
    imperm: '0',
    run: 'r',
    command: 'imperm run',
    startedAt: '2026-01-01T00:00:00Z',
    durationMs: 1,
    interrupted: false,
    setup: [],
    variants: [
      {
        id: 'a',
        scenario: { name: 'tmpfs-luks-ext4', title: 'A', file },
        axes: {},
        guest: 'debian',
        target: 'qemu',
        verdict: 'error',
        startedAt: '2026-01-01T00:00:00Z',
        durationMs: 1,
        machineCpuMs: 0,
        phases: [],
        boots: [],
        checks: [],
        folder: 'a',
        repeat: '',
      },
    ],
  };
  await writeRecord(record, run);
  await writeFile(path.join(variant, 'console.log'), `typed ${SECRET} here\n`);
  await writeFile(path.join(variant, 'screen.png'), Buffer.from([0x89, 0x50, 0xff, 0x00]));
  await writeFile(path.join(variant, 'core'), 'what is this');
  const secrets = { passphrase: SECRET, luksKey: 'bHVrc0tleQ/of+many=', password: 'password-of-all' };
  await writeFile(path.join(variant, 'kept', 'secrets.json'), JSON.stringify(secrets));
  await writeFile(path.join(variant, 'kept', 'main.qcow2'), SECRET);
  return { run, variant };
}

t.test('evidence: everything for a report, no disk, no secret', (t) =>
  withFolder(async (folder) => {
    const { run, variant } = await makeRun(folder);
    const workDir = path.join(folder, 'w');
    const env = { IMPERM_WORK: workDir };
    const output = path.join(folder, 'x.tar.gz');
    const packed = await new Cli(['evidence', run, '-o', output], env).result;
    t.equal(packed.exitCode, 0, packed.stderr);
    t.match(packed.stdout, /a\/console\.log/);
    t.match(packed.stdout, /Left out:\n {2}a\/core: not what a run writes\n {2}a\/kept: disks/);
    const list = execFileSync('tar', ['--list', '--file', output], { encoding: 'utf8' }).split('\n');
    const inside = 'imperm-evidence-2026-01-01-000000-aaaa';
    for (const name of [
      'CONTENTS.txt',
      'record.json',
      'a/console.log',
      'a/screen.png',
      'scenario-files/scenarios/tmpfs-luks-ext4/scenario.yaml',
      'scenario-files/scenarios/tmpfs-luks-ext4/install.sh',
    ])
      t.ok(list.includes(`${inside}/${name}`), `${name} in ${list.join(' ')}`);
    t.notOk(list.some((name) => /kept|core|secrets|qcow2/.test(name)));
    const read = (name: string): Buffer =>
      execFileSync('tar', ['--extract', '--to-stdout', '--file', output, `${inside}/${name}`]);
    t.equal(read('a/console.log').toString(), 'typed ******** here\n');
    t.strictSame(read('a/screen.png'), Buffer.from([0x89, 0x50, 0xff, 0x00]), 'pictures as they are');
    t.strictSame(await readdir(workDir), [], 'no copy is left');
    t.equal(await readFile(path.join(variant, 'console.log'), 'utf8'), `typed ${SECRET} here\n`);
  }),
);

t.test('evidence: a secret that is left is an error, and no file is written', (t) =>
  withFolder(async (folder) => {
    const { run, variant } = await makeRun(folder);
    const output = path.join(folder, 'x.tar.gz');
    const pack = (): Cli['result'] =>
      new Cli(['evidence', run, '-o', output], { IMPERM_WORK: path.join(folder, 'w') }).result;
    const hidden = { 'boot-1.json': Buffer.from(SECRET).toString('base64'), 'more.png': `\u0000${SECRET}` };
    for (const [name, content] of Object.entries(hidden)) {
      const file = path.join(variant, name);
      await writeFile(file, content);
      const { exitCode, stderr } = await pack();
      t.equal(exitCode, 69);
      t.match(stderr, new RegExp(`a/${name} holds a known secret`));
      t.notOk((await readdir(folder)).some((each) => each.startsWith('x.tar')));
      await writeFile(file, '');
    }
    await writeFile(path.join(variant, 'kept', 'secrets.json'), '{');
    t.match(await pack(), { exitCode: 2, stderr: /kept machine cannot be read/ });
  }),
);

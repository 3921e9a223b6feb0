import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import t from 'tap';

import {
  Budget,
  cachedFolder,
  type CachedOptions,
  digestOf,
  formatIdentity,
  identityOf,
  isAlive,
  ownIdentity,
  type ProcessIdentity,
  reapLeases,
  takeLease,
} from './index.js';
import { takeLock, tryTakeLock } from './lock.js';

const core = new URL('./index.js', import.meta.url).href;
const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
let folders = 0;
const newFolder = (): string => path.join(dir, String(++folders));

function startBudget(limitMs = 60_000, signal = new AbortController().signal): Budget {
  return Budget.start('the other builder', limitMs, signal);
}

/** A process that runs a module and says words, one a line. */
class Speaker {
  readonly child: ChildProcess;
  readonly words: string[] = [];
  readonly exited: Promise<unknown>;

  constructor(body: string) {
    const source = `import { Budget, cachedFolder, takeLease } from ${JSON.stringify(core)};
      import { appendFile, writeFile } from 'node:fs/promises';
      const budget = Budget.start('the other builder', 60_000, new AbortController().signal);
      const say = (word) => process.stdout.write(word + '\\n');
      const forever = () => new Promise(() => setInterval(() => {}, 60_000));
      ${body}`;
    this.child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.exited = once(this.child, 'close');
    if (this.child.stdout !== null)
      createInterface(this.child.stdout).on('line', (word) => this.words.push(word));
  }

  async hear(word: string): Promise<void> {
    await startBudget().poll(() => this.words.includes(word) || undefined, 10);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

function options(cacheDir: string, build: CachedOptions['build']): CachedOptions {
  return { cacheDir, name: 'thing', key: 'k1', budget: startBudget(), build };
}

void t.test('a digest depends on every part and on where it ends', async (t) => {
  const digests = [
    digestOf('ab', 'c'),
    digestOf('a', 'bc'),
    digestOf('abc'),
    digestOf('ab', 'c', ''),
    digestOf('ab', 'd'),
  ];
  t.equal(new Set(digests).size, digests.length);
  t.equal(digestOf('ab', Buffer.from('c')), digests[0]);
  for (const digest of digests) t.match(digest, /^[0-9a-f]{20}$/);
});

void t.test('a cached folder is built once and found from then on', async (t) => {
  const cacheDir = path.join(newFolder(), 'not', 'there', 'yet');
  let builds = 0;
  const wanted = options(cacheDir, async (part) => {
    builds += 1;
    t.strictSame(await readdir(part), [], 'building begins with an empty folder');
    await writeFile(path.join(part, 'file'), 'content');
  });
  const first = await cachedFolder(wanted);
  t.equal(first.built, true);
  t.strictSame(await cachedFolder(wanted), { dir: first.dir, built: false });
  t.equal((await cachedFolder({ ...wanted, key: 'k2' })).built, true, 'another key is another folder');
  t.equal(builds, 2);
  t.strictSame((await readdir(cacheDir)).sort(), ['thing-k1', 'thing-k2'], 'nothing else is left');
  t.equal(await readFile(path.join(first.dir, 'file'), 'utf8'), 'content');
});

void t.test('what nobody has asked for in two weeks goes when something is built', async (t) => {
  const cacheDir = newFolder();
  const make = (name: string) =>
    cachedFolder({ ...options(cacheDir, () => Promise.resolve()), name, key: digestOf(name) });
  const [asked, forgotten, part] = await Promise.all([make('asked'), make('forgotten'), make('part')]);
  const half = `${part.dir}.part-0123abcd`;
  await rename(part.dir, half);
  await writeFile(path.join(cacheDir, 'kvm-0.json'), 'not a folder of this kind');
  const longAgo = new Date(Date.now() - 15 * 24 * 60 * 60 * 1000);
  for (const file of [asked.dir, forgotten.dir, half, path.join(cacheDir, 'kvm-0.json')])
    await utimes(file, longAgo, longAgo);

  t.strictSame(await make('asked'), { dir: asked.dir, built: false });
  t.strictSame((await readdir(cacheDir)).length, 4, 'nothing is built, nothing goes');
  const { dir: fresh } = await make('fresh');
  t.strictSame(
    (await readdir(cacheDir)).sort(),
    [path.basename(asked.dir), path.basename(fresh), 'kvm-0.json'].sort(),
  );
});

void t.test('what was built just now stays, whatever time its folder was given', async (t) => {
  const cacheDir = newFolder();
  const old = { ...options(cacheDir, (part) => utimes(part, 1, 1)), key: digestOf('old') };
  const { dir } = await cachedFolder(old);
  await cachedFolder({ ...options(cacheDir, () => Promise.resolve()), key: digestOf('next') });
  t.strictSame(await cachedFolder(old), { dir, built: false });
});

void t.test('a failing build leaves nothing, and the next caller builds', async (t) => {
  const cacheDir = newFolder();
  await t.rejects(
    cachedFolder(
      options(cacheDir, async (part) => {
        await writeFile(path.join(part, 'half'), '');
        throw new Error('no network');
      }),
    ),
    { message: 'no network' },
  );
  t.strictSame(await readdir(cacheDir), []);
  const { dir: made, built } = await cachedFolder(options(cacheDir, async () => undefined));
  t.ok(built);
  t.strictSame(await readdir(made), []);
});

void t.test('a lock has one holder at a time, also while its file comes and goes', async (t) => {
  const file = path.join(dir, 'lock');
  let holders = 0;
  const most: number[] = [];
  const contend = async (): Promise<void> => {
    for (let round = 0; round < 5; round += 1) {
      const lock = await takeLock(file, { budget: startBudget() });
      holders += 1;
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      most.push(holders);
      holders -= 1;
      await lock.release();
    }
  };
  await Promise.all(Array.from({ length: 6 }, contend));
  t.strictSame(most, Array<number>(30).fill(1));
  await t.rejects(stat(file), { code: 'ENOENT' });
});

void t.test('who does not want to wait for a lock is told', async (t) => {
  const file = path.join(dir, 'lock-now');
  const lock = await tryTakeLock(file, startBudget());
  t.equal(await tryTakeLock(file, startBudget()), undefined);
  await lock?.release();
  const next = await tryTakeLock(file, startBudget());
  t.ok(next);
  await next?.release();
  await t.rejects(stat(file), { code: 'ENOENT' });
});

void t.test('of twenty callers in five processes one builds and all wait for it', async (t) => {
  const cacheDir = newFolder();
  const log = `${cacheDir}.log`;
  const speakers = Array.from(
    { length: 5 },
    () =>
      new Speaker(`
        const results = await Promise.all([1, 2, 3, 4].map(() => cachedFolder({
          cacheDir: ${JSON.stringify(cacheDir)}, name: 'thing', key: 'k1', budget, onWait: () => say('waiting'),
          build: async (part) => {
            await appendFile(${JSON.stringify(log)}, 'begin ');
            for (let i = 0; i < 100; i++) await writeFile(part + '/' + i, '');
            await appendFile(${JSON.stringify(log)}, 'end ');
          },
        }).then(({ built }) => say(built ? 'built' : 'found'))));`),
  );
  await Promise.all(speakers.map((speaker) => speaker.exited));
  const words = speakers.flatMap((speaker) => speaker.words);
  t.equal(words.filter((word) => word === 'built').length, 1);
  t.equal(words.filter((word) => word === 'found').length, 19);
  t.equal(await readFile(log, 'utf8'), 'begin end ');
  t.strictSame(await readdir(cacheDir), ['thing-k1']);
  t.equal((await readdir(path.join(cacheDir, 'thing-k1'))).length, 100);
});

void t.test('a killed builder leaves no result, and of those who wait one takes over', async (t) => {
  const cacheDir = newFolder();
  const builder = new Speaker(`
    await cachedFolder({ cacheDir: ${JSON.stringify(cacheDir)}, name: 'thing', key: 'k1', budget, build: async (part) => {
      await writeFile(part + '/of the killed', '');
      say('building');
      await forever();
    } });`);
  await builder.hear('building');
  let builds = 0;
  let waiting = 0;
  const callers = Array.from({ length: 8 }, () =>
    cachedFolder({
      ...options(cacheDir, async (part) => {
        builds += 1;
        await writeFile(path.join(part, 'of the heir'), '');
      }),
      onWait: () => {
        waiting += 1;
      },
    }),
  );
  await startBudget().poll(() => (waiting === 8 ? true : undefined), 10);
  t.notOk((await readdir(cacheDir)).includes('thing-k1'));
  await builder.kill();
  t.equal((await Promise.all(callers)).filter(({ built }) => built).length, 1);
  t.equal(builds, 1);
  t.equal(waiting, 8, 'each caller is told once that it waits, however often the lock changes hands');
  t.strictSame(await readdir(cacheDir), ['thing-k1'], 'nothing of the killed builder is left');
  t.strictSame(await readdir(path.join(cacheDir, 'thing-k1')), ['of the heir']);
});

void t.test('who waits for another builder can give up', async (t) => {
  const cacheDir = newFolder();
  const wanted = options(cacheDir, async () => undefined);
  let finish: (() => void) | undefined;
  const begun = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let release: (() => void) | undefined;
  const builder = cachedFolder({
    ...wanted,
    build: () => {
      finish?.();
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    },
  });
  await begun;
  const controller = new AbortController();
  const onWait = (): void => {
    controller.abort();
  };
  await t.rejects(cachedFolder({ ...wanted, budget: startBudget(60_000, controller.signal), onWait }), {
    code: 'INTERRUPTED',
  });
  await t.rejects(cachedFolder({ ...wanted, budget: startBudget(200) }), {
    code: 'TIMEOUT',
    message: /the other builder/,
  });
  release?.();
  t.equal((await builder).built, true, 'which does not disturb the builder');
  t.equal((await cachedFolder(wanted)).built, false);
});

void t.test('a lease is a private folder that names its owner', async (t) => {
  const workDir = newFolder();
  const lease = await takeLease(workDir);
  t.equal(path.dirname(lease.dir), workDir);
  t.equal(await readFile(path.join(lease.dir, 'owner'), 'utf8'), ownIdentity());
  t.not((await takeLease(workDir)).dir, lease.dir);
  await lease.release();
  t.equal((await readdir(workDir)).length, 1);

  const open = newFolder();
  await mkdir(open);
  await chmod(open, 0o755);
  await t.rejects(takeLease(open), { code: 'HOST_UNFIT', message: /not private/, hint: /IMPERM_WORK/ });
});

/** A process that does nothing, and is ended with the tests. */
async function startSleeper(): Promise<ProcessIdentity> {
  const child = spawn('sleep', ['300'], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const identity = identityOf(child.pid ?? 0);
  if (identity === undefined) throw new Error('sleep has ended');
  return identity;
}

function waitForDeath(identity: ProcessIdentity): Promise<true> {
  return startBudget().poll(() => (isAlive(identity) ? undefined : true), 10);
}

const NOTHING = { folders: 0, processes: 0, machines: 0, inUse: 0, unreachable: 0 };
const noHypervisor = (): Promise<number> => Promise.reject(new Error('nobody is to be asked'));

void t.test('reaping ends what a dead owner left, and nothing else', async (t) => {
  const workDir = newFolder();
  const mine = await takeLease(workDir);
  const [ofMine, ofDead, later] = await Promise.all([startSleeper(), startSleeper(), startSleeper()]);
  await mine.noteProcess(ofMine.pid);

  const owner = new Speaker(`
    const lease = await takeLease(${JSON.stringify(workDir)});
    await lease.noteProcess(${String(ofDead.pid)});
    await lease.noteProcess(process.pid + 1_000_000_000);
    await writeFile(lease.dir + '/disk', '');
    say(lease.dir);
    await forever();`);
  await startBudget().poll(() => owner.words[0], 10);
  t.strictSame(await reapLeases(workDir, noHypervisor), { ...NOTHING, inUse: 2 }, 'both owners are alive');
  await owner.kill();

  // Another process has been given the number since the note was made.
  const noted = path.join(owner.words[0] ?? '', 'processes', String(later.pid));
  await writeFile(noted, formatIdentity({ ...later, startTicks: String(Number(later.startTicks) - 1) }));
  await appendFile(path.join(owner.words[0] ?? '', 'processes', '1'), 'nonsense');

  t.strictSame(await reapLeases(workDir, noHypervisor), { ...NOTHING, folders: 1, processes: 1, inUse: 1 });
  await waitForDeath(ofDead);
  t.ok(isAlive(ofMine));
  t.ok(isAlive(later));
  t.strictSame(await readdir(workDir), [path.basename(mine.dir)]);
  t.strictSame(await reapLeases(workDir, noHypervisor), { ...NOTHING, inUse: 1 });
  t.strictSame(await reapLeases(newFolder(), noHypervisor), NOTHING, 'no work folder, no work');
});

void t.test('what somebody else runs for a dead owner is ended before its files are gone', async (t) => {
  const workDir = newFolder();
  const mine = await takeLease(workDir);
  const make = async (name: string, uri: string): Promise<void> => {
    await mkdir(path.join(workDir, name), { recursive: true });
    await writeFile(path.join(workDir, name, 'owner'), '4194999 1');
    await writeFile(path.join(workDir, name, 'hypervisor'), uri);
  };
  await make('00000001', 'here');
  await make('00000002', 'here');
  await make('00000003', 'away');
  await mine.noteHypervisor('mine');
  const asked: string[] = [];
  const result = await reapLeases(workDir, async (uri) => {
    asked.push(`${uri} ${(await readdir(workDir)).filter((name) => name.startsWith('0')).join(' ')}`);
    if (uri === 'away') throw new Error('nobody answers');
    return 2;
  });
  t.strictSame(asked, ['here 00000001 00000002 00000003', 'away 00000003'], 'each once, and first');
  t.strictSame(result, { folders: 2, processes: 0, machines: 2, inUse: 1, unreachable: 1 });
  t.strictSame(
    (await readdir(workDir)).sort(),
    ['00000003', path.basename(mine.dir)].sort(),
    'the files of a machine that may still run stay',
  );
});

void t.test('reaping removes only leases', async (t) => {
  const workDir = newFolder();
  const longAgo = new Date('2020-01-01');
  const make = async (name: string, content: Record<string, string>, old: boolean): Promise<void> => {
    await mkdir(path.join(workDir, name), { recursive: true });
    for (const [file, text] of Object.entries(content)) await writeFile(path.join(workDir, name, file), text);
    if (old) await utimes(path.join(workDir, name), longAgo, longAgo);
  };
  await make('photos', { 'holiday.jpg': '' }, true);
  await make('cafe0123', { diary: '' }, true);
  await make('project', { owner: '4194999 1', thesis: '' }, true);
  await writeFile(path.join(workDir, 'deadbeef'), 'a file');
  await make('00000001', {}, false);
  await make('00000002', { owner: '' }, false);
  await make('00000003', {}, true);
  await make('00000004', { owner: '' }, true);
  await make('00000005', { owner: '4194999 1', disk: '' }, false);
  await reapLeases(workDir, noHypervisor);
  t.strictSame(
    (await readdir(workDir)).sort(),
    ['00000001', '00000002', 'cafe0123', 'deadbeef', 'photos', 'project'],
    'what is just being made stays, and what is not ours',
  );
  t.strictSame(await readdir(path.join(workDir, 'cafe0123')), ['diary']);
});

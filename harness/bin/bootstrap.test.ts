import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import path from 'node:path';

import t, { type Test } from 'tap';

const HERE = path.resolve('harness/bin');
const COMPILER = path.resolve('node_modules/typescript/lib/tsc.js');
const MAIN = `
export async function main(argv: string[]): Promise<number> {
  console.log(JSON.stringify({ argv, cwd: process.cwd() }));
  if (argv[0] === 'throw') throw new Error('from the source');
  return Number(argv[0] ?? '0');
}
`;

/** A small checkout with our bootstrap, whose only package is the compiler, installed by npm without a network. */
function createCheckout(t: Test): { root: string; write: (name: string, body: string) => void } {
  const root = t.testdir({});
  const write = (name: string, body: string): void => {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, body);
  };
  for (const name of ['imperm.mjs', 'check-node.mjs', 'prepare.mjs', 'set-up.mjs']) {
    mkdirSync(path.join(root, 'harness/bin'), { recursive: true });
    copyFileSync(path.join(HERE, name), path.join(root, 'harness/bin', name));
  }
  write('compiler/package.json', JSON.stringify({ name: 'typescript', version: '6.0.0' }));
  write('compiler/bin/tsc', `require(${JSON.stringify(COMPILER)});`);
  const dependencies = { typescript: 'file:compiler' };
  const about = { name: 'imperm', version: '0.0.0', type: 'module', engines: { node: '>=20' } };
  write(
    'package.json',
    JSON.stringify({ ...about, bin: 'harness/bin/imperm.mjs', devDependencies: dependencies }),
  );
  write(
    'package-lock.json',
    JSON.stringify({
      ...about,
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': { ...about, bin: { imperm: 'harness/bin/imperm.mjs' }, devDependencies: dependencies },
        compiler: { name: 'typescript', version: '6.0.0', dev: true },
        'node_modules/typescript': { resolved: 'compiler', link: true },
      },
    }),
  );
  write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'ES2022',
        module: 'NodeNext',
        rootDir: '.',
        outDir: '.build',
        incremental: true,
        tsBuildInfoFile: '.build/tsbuildinfo',
        sourceMap: true,
        types: [],
        strict: true,
        lib: ['ES2022'],
      },
      include: ['harness/**/*.ts'],
    }),
  );
  write(
    'harness/cli/main.ts',
    `declare const console: { log(text: string): void }; declare const process: { cwd(): string };${MAIN}`,
  );
  write('harness/cli/other.ts', 'export const other = 1;\n');
  return { root, write };
}

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(root: string, args: string[] = [], env: Record<string, string> = {}): Ran {
  const file = path.join(root, 'harness/bin/imperm.mjs');
  return spawnSync(process.execPath, [file, ...args], {
    cwd: '/',
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

t.test('sets up what is missing, once, and hands over', async (t) => {
  const { root, write } = createCheckout(t);

  await t.test('from nothing, in a production environment', async (t) => {
    const first = start(root, ['3', '--yes'], { NODE_ENV: 'production', npm_config_omit: 'dev' });
    t.equal(first.status, 3, first.stderr);
    t.same(JSON.parse(first.stdout), { argv: ['3', '--yes'], cwd: '/' });
    t.match(first.stderr, /^imperm: installing npm packages: \d+\.\d s$/m);
    t.match(first.stderr, /^imperm: compiling: \d+\.\d s$/m);
  });

  await t.test('not again', async (t) => {
    t.match(start(root), { status: 0, stderr: /^$/ });
  });

  await t.test('again when a source is newer, without the packages', async (t) => {
    write('harness/cli/other.ts', 'export const other = 2;\n');
    t.match(start(root), { status: 0, stderr: /^imperm: compiling …\nimperm: compiling: \d+\.\d s\n$/ });
  });

  await t.test('again when a source is gone: what was made of it goes too', async (t) => {
    t.ok(existsSync(path.join(root, '.build/harness/cli/other.js')));
    rmSync(path.join(root, 'harness/cli/other.ts'));
    t.match(start(root), { status: 0, stderr: /compiling/ });
    t.notOk(existsSync(path.join(root, '.build/harness/cli/other.js')));
    t.notOk(existsSync(path.join(root, '.build/harness/cli/other.js.map')));
    t.ok(existsSync(path.join(root, '.build/harness/cli/main.js')));
  });

  await t.test('again when the compiled files were removed by hand', async (t) => {
    rmSync(path.join(root, '.build/harness'), { recursive: true });
    t.match(start(root), { status: 0, stdout: /argv/, stderr: /compiling/ });
  });

  await t.test('again when an installation was interrupted', async (t) => {
    rmSync(path.join(root, 'node_modules/.package-lock.json'));
    t.match(start(root), { status: 0, stderr: /installing npm packages: / });
    t.match(start(root), { status: 0, stderr: /^$/ });
  });

  await t.test('an error of the program is no verdict, and names the source', async (t) => {
    t.match(start(root, ['throw']), { status: 69, stderr: /from the source[^]*harness\/cli\/main\.ts:\d+/ });
  });

  await t.test('a source that does not compile is told, every time', async (t) => {
    const good = readFileSync(path.join(root, 'harness/cli/main.ts'), 'utf8');
    write('harness/cli/main.ts', `${good}\nexport const wrong: number = 'text';\n`);
    const wrong = {
      status: 69,
      stdout: /^$/,
      stderr: /main\.ts\(\d+,\d+\): error TS2322[^]*compiling failed: exit code/,
    };
    t.match(start(root), wrong);
    t.match(start(root), wrong);
    write('harness/cli/main.ts', good);
    t.match(start(root), { status: 0 });
  });

  await t.test('a lock file that npm cannot follow is told', async (t) => {
    const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
    write('package-lock.json', lock.replaceAll('node_modules/typescript', 'node_modules/typoscript'));
    t.match(start(root), { status: 69, stdout: /^$/, stderr: /npm error[^]*installing npm packages failed/ });
    write('package-lock.json', lock);
    t.match(start(root), { status: 0 });
  });

  await t.test('several at the same time: one does it, the others wait', async (t) => {
    rmSync(path.join(root, 'node_modules'), { recursive: true });
    rmSync(path.join(root, '.build'), { recursive: true });
    const file = path.join(root, 'harness/bin/imperm.mjs');
    const all = await Promise.all(
      [0, 1, 2].map(async () => {
        const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
        const ended = once(child, 'exit');
        const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
        await ended;
        return { stdout, stderr, status: child.exitCode };
      }),
    );
    for (const one of all) t.match(one, { status: 0, stdout: /argv/ }, one.stderr);
    const count = (pattern: RegExp): number => all.filter(({ stderr }) => pattern.test(stderr)).length;
    t.equal(count(/installing npm packages: /), 1);
    t.equal(count(/compiling: /), 1);
    t.ok(count(/waiting for another process/) >= 1);
  });

  await t.test('by npx, inside the checkout', async (t) => {
    const result = spawnSync('npx', ['--offline', 'imperm', '4', 'x'], {
      cwd: path.join(root, 'harness'),
      encoding: 'utf8',
    });
    t.match(result, { status: 4, stdout: /"argv":\["4","x"\]/ }, result.stderr);
  });
});

t.test('an old Node is told what to do', async (t) => {
  const { root } = createCheckout(t);
  const manifest = path.join(root, 'package.json');
  for (const [floor, isRefused] of [
    ['999.1', true],
    ['20.999', process.versions.node.startsWith('20.')],
    ['4.99', false],
  ] as const) {
    writeFileSync(
      manifest,
      readFileSync(manifest, 'utf8').replace(/"node":">=[^"]*"/, `"node":">=${floor}"`),
    );
    const result = spawnSync(process.execPath, [path.join(root, 'harness/bin/check-node.mjs')], {
      encoding: 'utf8',
    });
    t.equal(result.status, isRefused ? 69 : 0, floor);
    if (isRefused)
      t.match(result.stderr, `imperm needs Node ${floor} or newer; this is Node ${process.versions.node}`);
  }
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"node":">=[^"]*"/, '"node":">=999.1"'));
  t.match(start(root), { status: 69, stdout: /^$/, stderr: /needs Node 999\.1/ });
  t.notOk(existsSync(path.join(root, '.build')), 'nothing was begun');
});

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import t, { type Test } from 'tap';

const ROOT = process.cwd();

/** A checkout with the given files, in which our rules are looked at. */
function createCheckout(t: Test, files: Record<string, string>): string {
  const root = t.testdir({});
  const manifest = { name: 'x', type: 'module', dependencies: { yaml: '2' }, devDependencies: { tap: '21' } };
  const all = {
    'package.json': JSON.stringify(manifest),
    'tsconfig.json': JSON.stringify({
      compilerOptions: { module: 'NodeNext', target: 'ES2022', strict: true, types: ['node'] },
      include: ['harness/**/*.ts'],
    }),
    ...files,
  };
  for (const [name, body] of Object.entries(all)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, body);
  }
  return root;
}

function runTool(root: string, program: string, args: string[]): unknown {
  const file = path.join(ROOT, 'node_modules/.bin', program);
  const { stdout, stderr } = spawnSync(file, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`${program} printed no JSON: ${stdout.slice(0, 2000)}${stderr}`);
  }
}

t.test('the layers', async (t) => {
  const empty = 'export {};\n';
  const index = {
    core: '',
    scenario: '',
    host: '',
    plan: '',
    record: '',
    report: '',
    run: '',
    cli: '',
    target: '',
  };
  const files: Record<string, string> = Object.fromEntries(
    Object.keys(index).map((name) => [`harness/${name}/index.ts`, empty]),
  );
  const imports = (from: string, to: string): void => {
    files[`harness/${from}.ts`] = `${files[`harness/${from}.ts`] ?? ''}import '${to}';\n`;
  };
  // Each: who imports what, and the rule that forbids it; none: it is allowed.
  const cases: [string, string, string?][] = [
    ['core/a', '../scenario/index.js', 'layer-core'],
    ['scenario/a', '../host/index.js', 'layer-scenario'],
    ['host/a', '../core/index.js'],
    ['plan/a', '../host/index.js'],
    ['plan/b', '../target/index.js', 'layer-plan'],
    ['record/a', '../run/index.js', 'layer-record'],
    ['run/a', '../target/index.js'],
    ['run/b', '../report/index.js', 'layer-run'],
    ['report/a', '../record/index.js'],
    ['report/b', '../scenario/index.js', 'layer-report'],
    ['cli/a', '../report/index.js'],
    ['run/c.test', '../cli/index.js', 'layer-run'],
    ['run/d', '../core/inner.js', 'front-door'],
    ['run/e.test', '../core/inner.js', 'front-door'],
    ['target/a', './qemu/index.js'],
    ['target/b', './qemu/inner.js', 'front-door-below'],
    ['target/qemu/inner', '../c.js'],
    ['target/ssh/a', '../qemu/inner.js', 'front-door-beside'],
    ['plan/c', './c.test.js', 'no-test-import'],
    ['plan/d', 'tap', 'runtime-packages'],
    ['plan/d.test', 'tap'],
    ['plan/e', 'yaml'],
    ['plan/f', './nowhere.js', 'resolvable'],
    ['utils/a', '../core/index.js', 'known-folder'],
    ['plan/g', './h.js', 'no-cycle'],
    // A cycle is told once.
    ['plan/h', './g.js'],
  ];
  for (const name of ['core/inner', 'target/qemu/index', 'target/c', 'plan/c.test'])
    files[`harness/${name}.ts`] = empty;
  for (const [from, to] of cases) imports(from, to);
  // Types are no way round.
  files['harness/core/b.ts'] = "import type { x } from '../plan/index.js';\nexport type Y = typeof x;\n";
  files['harness/plan/index.ts'] = 'export const x = 1;\n';
  const root = createCheckout(t, files);
  const config = path.join(ROOT, 'harness/tooling/dependency-cruiser.cjs');
  const report = runTool(root, 'depcruise', ['--config', config, '--output-type', 'json', 'harness']) as {
    summary: { violations: { from: string; rule: { name: string } }[] };
  };
  const found = new Set(report.summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`));
  const expected = cases.flatMap(([from, , rule]) =>
    rule === undefined ? [] : [`harness/${from}.ts: ${rule}`],
  );
  t.same([...found].sort(), [...expected, 'harness/core/b.ts: layer-core'].sort());
});

t.test('the linter', async (t) => {
  // Each line of a file: the rule that it breaks stands in a comment behind it.
  const files = {
    'harness/core/process.ts': `
      import { execa } from 'execa';
      import { spawn } from 'node:child_process'; // no-restricted-imports
      export const programs = [execa, spawn];
    `,
    'harness/core/env.ts': `
      export const home = process.env['HOME'];
      export const delay = 3; // no-restricted-syntax
    `,
    'harness/target/shell.ts': `
      import { Client } from 'ssh2';
      import { execa } from 'execa'; // no-restricted-imports
      export const tools = [Client, execa];
    `,
    'harness/plan/imports.ts': `
      import { execa } from 'execa'; // no-restricted-imports
      import { Client } from 'ssh2'; // no-restricted-imports
      import { fork } from 'child_process'; // no-restricted-imports
      import { env } from 'node:process'; // no-restricted-syntax
      export const all = [execa, Client, fork, env];
    `,
    'harness/plan/environment.ts': `
      export const a = process.env; // no-restricted-syntax
      export const b = process['env']; // no-restricted-syntax
      export const { env: c } = process; // no-restricted-syntax
      export const d = globalThis.process.env; // no-restricted-syntax
    `,
    'harness/plan/names.ts': `
      export interface Good { readonly timeoutMs: number; readonly timeout: string; readonly pages: number }
      export interface Bad { readonly bootTimeout: number } // no-restricted-syntax
      export class Timer { delay: number = 0 } // no-restricted-syntax
      export const memory = 2048; // no-restricted-syntax
      export const maxAge = 60 * 60; // no-restricted-syntax
      export function wait(interval: number): number { // no-restricted-syntax
        return interval;
      }
      export function Wrong(): void { // @typescript-eslint/naming-convention
        return;
      }
      export type wrong = string; // @typescript-eslint/naming-convention
      export function five(a: number, b: number, c: number, d: number, e: number): number { // max-params
        return a + b + c + d + e;
      }
    `,
    'harness/plan/exports.ts': `
      const a = 1;
      export default a; // no-restricted-syntax
    `,
    'harness/plan/exports-renamed.ts': `
      const a = 1;
      export { a as default }; // no-restricted-syntax
    `,
    'harness/plan/strict.ts': `
      import { Stats } from 'node:fs'; // @typescript-eslint/consistent-type-imports
      export function wait(): void {
        void AbortSignal.timeout(5); // no-restricted-syntax
        console.log('x'); // no-console
      }
      export async function forget(stats: Stats): Promise<void> {
        forget(stats); // @typescript-eslint/no-floating-promises
        await stats; // @typescript-eslint/await-thenable
        if (stats.size == 1) return; // eqeqeq
        const loose: any = stats; // @typescript-eslint/no-explicit-any
        loose(); // @typescript-eslint/no-unsafe-call
      }
      export function choose(kind: 'a' | 'b'): string | undefined {
        switch (kind) { // @typescript-eslint/switch-exhaustiveness-check
          case 'a':
            return 'A';
        }
        return undefined;
      }
      export function guess(x: string) { // @typescript-eslint/explicit-module-boundary-types
        const unused = 1; // @typescript-eslint/no-unused-vars
        let never = x; // prefer-const
        return never;
      }
      // eslint-disable-next-line no-console -- unused
    `,
    'harness/plan/long.ts': `export const lines = [ // max-lines
      ${"'line',\n".repeat(301)}];`,
    'harness/plan/strict.test.ts': `
      import { spawn } from 'node:child_process';
      import t from 'tap';
      export async function work(): Promise<void> {
        await Promise.resolve(spawn);
      }
      t.test('x', async (t) => {
        t.ok(process.env);
        work(); // @typescript-eslint/no-floating-promises
        t.rejects(work()); // @typescript-eslint/no-floating-promises
      });
    `,
    'harness/tooling/free.ts': `
      import { spawn } from 'node:child_process';
      export const tools = [spawn, process.env['CI']];
      export default tools; // no-restricted-syntax
    `,
    'harness/bin/plain.mjs': `
      export const delay = 5; // no-restricted-syntax
      export const home = process.env.HOME;
      export const wrong = nowhere; // no-undef
    `,
  };
  const root = createCheckout(t, files);
  const config = path.join(ROOT, 'harness/tooling/eslint.config.mjs');
  const report = runTool(root, 'eslint', ['--config', config, '--format', 'json', 'harness']) as {
    filePath: string;
    messages: { ruleId: string | null; line: number }[];
  }[];
  for (const [name, body] of Object.entries(files)) {
    const messages = report.find(({ filePath }) => filePath === path.join(root, name))?.messages ?? [];
    const found = new Set(
      messages.map(({ ruleId, line }) => `${String(line)} ${ruleId ?? 'unused directive'}`),
    );
    const expected = body.split('\n').flatMap((line, i) => {
      const rule = /\/\/ (eslint-disable-next-line|(?:@typescript-eslint\/)?[a-z-]+$)/.exec(line)?.[1];
      return rule === undefined
        ? []
        : [`${String(i + 1)} ${rule.startsWith('eslint-') ? 'unused directive' : rule}`];
    });
    if (name.endsWith('long.ts')) t.match([...found], [/^\d+ max-lines$/], name);
    else t.same([...found].sort(), expected.sort(), name);
  }
});

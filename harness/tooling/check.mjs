// npm run check: everything but the tests. Two lanes at the same time, because the linter takes as long as the
// rest together; what a part prints is shown when it fails.
import '../bin/check-node.mjs';
import { spawn } from 'child_process';
import path from 'path';

import { PrepareError, ROOT, prepare } from '../bin/prepare.mjs';

const CODE = 'harness/**/*.{ts,tsx,mjs,cjs,js,css,json}';
const LANES = [
  [['lint', 'eslint', '--config', 'harness/tooling/eslint.config.mjs', '--max-warnings', '0', 'harness']],
  [
    ['format', 'prettier', '--check', '--log-level', 'warn', CODE, 'package.json', 'tsconfig.json'],
    ['layers', 'depcruise', '--config', 'harness/tooling/dependency-cruiser.cjs', 'harness'],
    ['CI', process.execPath, 'harness/tooling/lint-ci.mjs'],
    ['unused', 'knip', '--config', 'harness/tooling/knip.json', '--no-progress'],
  ],
];

function runPart([title, program, ...args]) {
  const startMs = Date.now();
  // The tools write to a pipe, whatever is at the end of it.
  const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1', FORCE_COLOR: '0' };
  // A path stays one.
  const child = spawn(path.resolve(ROOT, 'node_modules', '.bin', program), args, {
    cwd: ROOT,
    env: { ...process.env, ...color },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => {
    const finish = (isGood) => {
      console.log(
        `${isGood ? 'ok    ' : 'FAILED'} ${title} (${((Date.now() - startMs) / 1000).toFixed(1)} s)`,
      );
      if (!isGood) console.log(output.trimEnd());
      resolve(isGood);
    };
    child.on('error', (error) => {
      output += error.message;
      finish(false);
    });
    child.on('close', (code) => finish(code === 0));
  });
}

try {
  const startMs = Date.now();
  prepare();
  console.log(`ok     compile (${((Date.now() - startMs) / 1000).toFixed(1)} s)`);
  const results = await Promise.all(
    LANES.map(async (parts) => {
      const isGood = [];
      for (const part of parts) isGood.push(await runPart(part));
      return isGood;
    }),
  );
  process.exitCode = results.flat().every(Boolean) ? 0 : 1;
} catch (error) {
  console.error(error instanceof PrepareError ? `imperm: ${error.message}` : error);
  process.exitCode = 1;
}

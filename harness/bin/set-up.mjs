// The slow part of prepare.mjs, run by it under a lock: what another process has done meanwhile is not done again.
import { spawnSync } from 'child_process';
import { existsSync, rmSync, writeFileSync } from 'fs';
import path from 'path';

import {
  BUILD,
  PACKAGES_STAMP,
  ROOT,
  STAMP,
  arePackagesFresh,
  isBuildFresh,
  listFiles,
  packagesFingerprint,
  sourceFingerprint,
} from './prepare.mjs';

/** Runs one step; what it prints is shown only when it fails. */
function runStep(title, file, args) {
  console.error(`imperm: ${title} …`);
  const startMs = Date.now();
  const result = spawnSync(file, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (result.status !== 0) {
    console.error(`${result.stdout || ''}${result.stderr || ''}`.trimEnd());
    const why = result.error ? result.error.message : result.signal || `exit code ${String(result.status)}`;
    console.error(`imperm: ${title} failed: ${why}`);
    if (result.error && result.error.code === 'ENOENT')
      console.error(`${file} is missing on this machine: install it, then start again.`);
    process.exit(1);
  }
  console.error(`imperm: ${title}: ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
}

if (!arePackagesFresh()) {
  // The compiler is a development package; no package needs its install script (ssh2's is an optional speed-up
  // that wants a C++ compiler).
  runStep('installing npm packages', 'npm', [
    'ci',
    '--include=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  writeFileSync(PACKAGES_STAMP, packagesFingerprint());
}

const fingerprint = sourceFingerprint();
if (!isBuildFresh(fingerprint)) {
  rmSync(STAMP, { force: true });
  for (const file of listFiles(path.join(BUILD), '.js')) {
    // Compiled files of removed sources would still be found by imports and by the test driver.
    const source = path.join(ROOT, path.relative(BUILD, file)).replace(/js$/, 'ts');
    if (existsSync(source) || existsSync(`${source}x`)) continue;
    rmSync(file);
    rmSync(`${file}.map`, { force: true });
  }
  // The compiler's memory is of no use where its output is gone.
  if (!existsSync(path.join(BUILD, 'harness'))) rmSync(path.join(BUILD, 'tsbuildinfo'), { force: true });
  runStep('compiling', process.execPath, [
    path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    ROOT,
  ]);
  writeFileSync(STAMP, fingerprint);
}

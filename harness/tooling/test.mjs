// npm test
import '../bin/check-node.mjs';
import path from 'path';
import { pathToFileURL } from 'url';

import { BUILD, PrepareError, ROOT, prepare } from '../bin/prepare.mjs';

try {
  prepare();
  process.setSourceMapsEnabled(true);
  const { runTests } = await import(
    pathToFileURL(path.join(BUILD, 'harness', 'tooling', 'run-tests.js')).href
  );
  process.exitCode = await runTests(process.argv.slice(2), { root: ROOT, build: BUILD });
} catch (error) {
  console.error(error instanceof PrepareError ? `imperm: ${error.message}` : error);
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
}

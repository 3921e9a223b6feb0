// Making a Debian tree from a mirror that is not as it should be: mmdebstrap itself, and a mirror made of files.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

import t from 'tap';

import { Budget } from '../core/index.js';
import { runMmdebstrap } from './mmdebstrap.js';

const LIMIT_MS = 60_000;
const isThere = spawnSync('mmdebstrap', ['--version']).status === 0;
const skip = isThere ? false : 'mmdebstrap is not installed: a run with machines installs it';

t.test('why a mirror cannot be used is told', { skip }, async (t) => {
  // A release that nobody has signed, and that is over: what apt says of it is the only explanation there is.
  const mirror = t.testdir({
    dists: { gone: { Release: 'Origin: Debian\nValid-Until: Sat, 01 Jan 2000 00:00:00 UTC\n' } },
  });
  const target = path.join(t.testdirName, 'tree');
  const budget = Budget.start('a tree', LIMIT_MS, new AbortController().signal);
  await t.rejects(
    runMmdebstrap({
      args: ['--variant=extract', '--format=directory', 'gone', target],
      mirror: `deb [trusted=yes] copy://${mirror} gone main`,
      budget,
    }),
    { code: 'TOOL_FAILED', details: /Release file .* is expired/ },
  );
});

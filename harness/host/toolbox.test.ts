import t from 'tap';

import { Budget } from '../core/index.js';
import { openToolbox } from './index.js';

t.test('what cannot be a release of Debian is refused before anything is unpacked', async (t) => {
  const cacheDir = t.testdir({});
  for (const suite of ['--include=x', 'a b', 'Sid', '../x', '']) {
    await t.rejects(
      openToolbox({
        kind: 'private',
        suite,
        cacheDir,
        mirror: undefined,
        budget: Budget.start('tools', 10_000, new AbortController().signal),
      }),
      {
        code: 'USAGE',
        message: `There is no release of Debian named "${suite}"`,
        hint: /IMPERM_TOOLS_SUITE/,
      },
    );
  }
});

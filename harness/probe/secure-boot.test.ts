// Whether the firmware checks signatures, judged from its variables.
import { execFileSync } from 'node:child_process';
import t from 'tap';

import type { SecureBootPromise } from '../scenario/index.js';
import type { BootContext, Finding } from './finding.js';
import { checkSecureBoot, parseSecureBoot, SECURE_BOOT_COMMAND } from './secure-boot.js';

const promise: SecureBootPromise = {
  kind: 'secure-boot',
  id: 'secure-boot',
  title: '',
  place: { file: 'x.yaml', line: 1, col: 1 },
};

function judge(output: string): Omit<Finding, 'promise' | 'boot'> {
  const evidence = { secureBoot: parseSecureBoot(output) };
  return checkSecureBoot(promise, { evidence } as unknown as BootContext);
}

void t.test('only a firmware that has keys and checks is a proof', (t) => {
  t.match(judge('SecureBoot 1\nSetupMode 0\nlockdown none [integrity] confidentiality'), {
    status: 'pass',
    found: "SecureBoot=1, SetupMode=0, the kernel's lockdown: none [integrity] confidentiality",
  });
  t.match(judge('SecureBoot 1\nSetupMode 0\nlockdown'), {
    status: 'pass',
    found: 'SecureBoot=1, SetupMode=0',
  });
  t.match(judge('SecureBoot 0\nSetupMode 1\nlockdown'), { status: 'fail', cause: /setup mode/ });
  t.match(judge('SecureBoot 1\nSetupMode 1\nlockdown'), { status: 'fail' });
  t.match(judge('SecureBoot 0\nSetupMode 0\nlockdown'), { status: 'fail', cause: /switched off/ });
  t.match(judge('SecureBoot 1\nSetupMode\nlockdown'), { status: 'fail', found: /no variable SetupMode/ });
  t.match(judge('SecureBoot\nSetupMode\nlockdown'), { status: 'fail', cause: /efivarfs is not mounted/ });
  t.match(judge(''), { status: 'fail' }, 'no evidence is no pass');
  t.end();
});

void t.test('what cannot be read is left out by the command, which ends well all the same', (t) => {
  const nowhere = SECURE_BOOT_COMMAND.replaceAll('/sys/', '/none/');
  const output = execFileSync('bash', ['-c', nowhere], { encoding: 'utf8' });
  t.strictSame(parseSecureBoot(output), { lockdown: '' });
  t.end();
});

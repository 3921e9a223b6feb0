// What is written down of the processors of a machine that hangs.
import t from 'tap';

import { describeProcessors } from './processor-state.js';

t.test('of the registers only those that can hold no key are shown', async (t) => {
  const answers: Record<string, string> = {
    'info status': 'VM status: running\r\n',
    'info registers -a':
      '\r\nCPU#0\r\nRAX=00000000deadbeef RBX=0000000000000000\r\nRIP=0000000000000010 RFL=00000246 HLT=1\r\nXMM00=5ec4e75ec4e75ec4e75ec4e75ec4e75e\r\n\r\nCPU#1\r\nRIP=0000000000000020 RFL=00000246 HLT=0\r\n',
    'info lapic 0': 'IRR\t (none)\r\n',
    'info lapic 1': 'IRR\t 236\r\n',
  };
  const monitor = (command: string): Promise<string> => Promise.resolve(answers[command] ?? '');
  t.strictSame((await describeProcessors(monitor)).split('\n'), [
    'VM status: running',
    '',
    'CPU#0',
    'RIP=0000000000000010 RFL=00000246 HLT=1',
    'CPU#1',
    'RIP=0000000000000020 RFL=00000246 HLT=0',
    'IRR\t (none)',
    '',
    'IRR\t 236',
    '',
  ]);
});

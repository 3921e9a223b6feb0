import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { duplexPair } from 'node:stream';

import t from 'tap';

import { Budget, Redactor } from '../core/index.js';
import { MachineConsole } from '../target/index.js';
import { becomeRoot } from './bring-agent.js';

const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

/** What a medium says, piece by piece; and between the pieces, what has to be typed before it goes on. */
type Dialogue = readonly ({ readonly says: string } | { readonly hears: string })[];

const USER = '\n[nixos@nixos:~]$ ';
const AS_ROOT: Dialogue = [
  { hears: 'sudo -i\n' },
  { says: 'sudo -i\r\n' },
  { says: '\n[root@nixos:~]# ' },
  { hears: 'stty -echo\n' },
  { says: 'stty -echo\r\n\n[root@nixos:~]# ' },
];

const MEDIA: Record<string, Dialogue> = {
  'logs its user in': [
    { says: `nixos login: nixos (automatic login)\r\n\r\nLinux nixos\r\n${USER}` },
    ...AS_ROOT,
  ],
  // What agetty writes in two pieces comes in two when the host is busy.
  'logs its user in, and first seems to ask': [
    { says: 'nixos login: ' },
    { hears: 'nixos\n' },
    { says: `nixos (automatic login)\r\nnixos\r\n${USER}` },
    { says: `nixos\r\nnixos: command not found\r\n${USER}` },
    ...AS_ROOT,
  ],
  'asks for the password': [
    { says: 'nixos login: ' },
    { hears: 'nixos\n' },
    { says: 'nixos\r\nPassword: ' },
    { hears: 'imperm\n' },
    { says: `\r\n${USER}` },
    ...AS_ROOT,
  ],
};

for (const [name, dialogue] of Object.entries(MEDIA)) {
  void t.test(`a medium that ${name} is used as root`, async (t) => {
    const budget = Budget.start('the medium', 10_000, new AbortController().signal);
    const [line, medium] = duplexPair();
    const console = new MachineConsole(line, {
      logFile: path.join(dir, `${name}.log`),
      redactor: new Redactor(),
    });
    let typed = '';
    medium.on('data', (chunk: Buffer) => (typed += chunk.toString()));
    const play = async (): Promise<void> => {
      for (const turn of dialogue) {
        if ('says' in turn) {
          const { position } = console;
          medium.write(turn.says);
          await budget.poll(() => console.position > position || undefined, 1);
        } else {
          await budget.poll(() => typed.includes(turn.hears) || undefined, 1);
          typed = typed.slice(typed.indexOf(turn.hears) + turn.hears.length);
        }
      }
    };
    const machine = { console, until: <T>(promise: Promise<T>) => promise };
    const [waitFor] = await Promise.all([becomeRoot(machine, { password: 'imperm', budget }), play()]);
    t.equal(typed, '', 'nothing is typed that nobody asked for');
    medium.write('ready\r\n');
    t.equal((await waitFor(/ready/)).index >= 0, true);
  });
}

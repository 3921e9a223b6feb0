import { Budget, HarnessError } from '../../core/index.js';
import { type Hands, type HeldMachine, PASSPHRASE_FILE } from '../../run/index.js';
import type { Machine, MachineShell, SessionEnd } from '../../target/index.js';
import { farConsole, farSession, joinTerminal, sizeOf, type Terminal } from './terminal.js';

/** What a person does leaves no trace of its own: a history file would be what the layout forgets or keeps. */
const INTERACTIVE = 'export HISTFILE=/dev/null; cd; exec "${SHELL:-/bin/sh}" -l';

export interface PersonOptions {
  readonly terminal: Terminal;
  /** As in `TERM`. */
  readonly terminalType: string;
  /** Receives lines for the person. */
  readonly say: (line: string) => void;
}

/**
 * Root's shell in a machine, on a person's terminal.
 *
 * @returns How it ended; undefined when the person has left it.
 * @throws {HarnessError} MACHINE_UNREACHABLE when the connection ended; INTERRUPTED.
 */
export async function giveShell(
  shell: MachineShell,
  { terminal, terminalType }: PersonOptions,
  signal: AbortSignal,
): Promise<SessionEnd | undefined> {
  const budget = Budget.start('a shell in the machine', Infinity, signal);
  const kind = { type: terminalType, ...sizeOf(terminal) };
  const session = await shell.session(INTERACTIVE, budget, kind);
  try {
    return await joinTerminal(farSession(session), terminal, signal);
  } finally {
    session.close();
  }
}

/**
 * A machine's serial console on a person's terminal, until they leave it or the machine ends.
 *
 * @throws {HarnessError} INTERRUPTED.
 */
export async function giveConsole(
  machine: Machine,
  { terminal, say }: PersonOptions,
  options: {
    readonly secrets: Pick<HeldMachine['secrets'], 'passphrase' | 'password'>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { secrets, signal } = options;
  say('This is its serial console. Ctrl-] leaves it.');
  // There is nobody else who could type them; only this terminal sees them.
  say(`LUKS passphrase: ${secrets.passphrase}   password of accounts: ${secrets.password}`);
  for (const line of machine.console.tail().split('\n')) say(`| ${line}`);
  const gone = new Promise<SessionEnd>((resolve) => {
    machine.console.over.catch(() => {
      resolve({ exitCode: 0 });
    });
  });
  await joinTerminal(farConsole(machine.console, gone), terminal, signal);
}

/** Says where the screen can be seen, when somebody has asked for it. */
export function tellScreen({ vncSocket }: Machine, say: PersonOptions['say']): void {
  if (vncSocket !== undefined)
    say(`Its screen, while it runs: vncviewer ${vncSocket} (a Unix socket that only you can open)`);
}

/**
 * How a run gives its machines to the person at the terminal.
 *
 * @param options.quiet Leaves the terminal to the person until the result is called.
 */
export function holdForPerson(options: PersonOptions & { readonly quiet: () => () => void }): Hands['hold'] {
  const { say } = options;
  return async (held, signal) => {
    const resume = options.quiet();
    try {
      say('');
      say(`== ${held.variant} is held ==`);
      say(held.why);
      tellScreen(held.machine, say);
      await enter(held, options, signal);
      say(`== ${held.variant} goes on ==`);
    } finally {
      resume();
    }
  };
}

async function enter(held: HeldMachine, options: PersonOptions, signal: AbortSignal): Promise<void> {
  const { machine, shell, what, secrets } = held;
  const { say } = options;
  const runsOn =
    'The run waits, and no time limit passes; `exit` or Ctrl-] lets it go on, Ctrl-C then ends it.';
  if (shell !== undefined) {
    say(
      what === 'system'
        ? `This is root's shell in the very machine. ${runsOn}`
        : `The system is off: this is a copy of the installer with its disks (lsblk), LUKS passphrase in ${PASSPHRASE_FILE}. ${runsOn}`,
    );
    try {
      await giveShell(shell, options, signal);
      return;
    } catch (error) {
      if (!(error instanceof HarnessError) || error.code !== 'MACHINE_UNREACHABLE') throw error;
      say(`${error.message}.`);
    }
  } else say('Nobody answers in it. The run waits, and no time limit passes.');
  await giveConsole(machine, options, { secrets, signal });
}

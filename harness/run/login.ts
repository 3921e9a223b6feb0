import path from 'node:path';

import { type Budget, HarnessError, quote, type Redactor } from '../core/index.js';
import type { LoginEvidence } from '../probe/index.js';
import { type Machine, MachineConsole, type MachineShell, makeNonce } from '../target/index.js';

const PASSWORD = /Password: $/;
const REFUSED = /Login incorrect/;
/** A login shell's prompt; whoever is refused never sees one. */
const SHELL = /[#$] $/;
const SHOWN_LINES = 12;
/** Nothing is to be coloured: prompts are the end of what is shown. */
const TERMINAL = { type: 'dumb', columns: 80, rows: 24 };
/**
 * login hangs its terminal up before it asks, which ends the connection of a terminal of sshd, sometimes: systemd's terminals
 * live through that. As a service it is also no part of the session that the harness has.
 */
const LOGIN = 'exec systemd-run --quiet --collect --pty login --';

export interface LoginOptions {
  readonly machine: Machine;
  readonly shell: MachineShell;
  readonly budget: Budget;
  readonly redactor: Redactor;
  /** Receives what each terminal shows: `<user>.log`, and `<user>.wrong.log` after a wrong password. */
  readonly folder: string;
  /** What the install script was given for the accounts. */
  readonly password: string;
  /** Tries a wrong password, too. */
  readonly alsoWrong: boolean;
}

/**
 * Logs users in as a person does: each at a terminal of its own, all at the same time, because every refusal costs
 * seconds, by intention. The terminals come over SSH; behind each is the program that is behind that of the console, with
 * the same PAM stack.
 *
 * @throws {HarnessError} TIMEOUT when a terminal shows neither a question nor a shell.
 */
export async function tryLogins(
  users: readonly string[],
  options: LoginOptions,
): Promise<ReadonlyMap<string, LoginEvidence>> {
  const logins = users.map(async (user): Promise<readonly [string, LoginEvidence]> => {
    const [right, wrong] = await Promise.all([
      tryPassword(user, options.password, { ...options, file: `${user}.log` }),
      options.alsoWrong
        ? tryPassword(user, makeNonce(), { ...options, file: `${user}.wrong.log` })
        : undefined,
    ]);
    const transcript = [...(wrong?.shown ?? []), ...right.shown];
    return [user, { acceptsRight: right.isIn, acceptsWrong: wrong?.isIn ?? false, transcript }];
  });
  return new Map(await Promise.all(logins));
}

/** @returns Whether a shell came. */
async function tryPassword(
  user: string,
  password: string,
  options: LoginOptions & { readonly file: string },
): Promise<{ readonly isIn: boolean; readonly shown: readonly string[] }> {
  const { machine, shell, budget, redactor, folder, file } = options;
  const session = await machine.until(shell.session(`${LOGIN} ${quote(user)}`, budget, TERMINAL), budget);
  const terminal = new MachineConsole(session.line, { logFile: path.join(folder, file), redactor });
  let position = 0;
  /** What the terminal shows next; `ended` when it shows nothing any more. */
  const next = async (pattern: RegExp): Promise<string> => {
    const said = terminal.waitFor(pattern, budget, position).catch(async (error: unknown) => {
      if (!(error instanceof HarnessError) || error.code !== 'MACHINE_DIED') throw error;
      // The program has ended, or the connection with the whole machine: only the program is an answer.
      await session.ended;
      return undefined;
    });
    const found = await machine.until(said, budget);
    position = found?.end ?? position;
    return found?.match[0] ?? 'ended';
  };
  const either = new RegExp(`${REFUSED.source}|${SHELL.source}`);
  try {
    let said = await next(new RegExp(`${PASSWORD.source}|${either.source}`));
    if (PASSWORD.test(said)) {
      terminal.type(`${password}\n`);
      said = await next(either);
    }
    const isIn = SHELL.test(said);
    if (isIn) {
      // A history would be a leak that the harness has made.
      terminal.type('unset HISTFILE; exit\n');
      await machine.until(session.ended, budget);
    }
    return { isIn, shown: terminal.tail(SHOWN_LINES).split('\n') };
  } finally {
    session.close();
    await terminal.close();
  }
}

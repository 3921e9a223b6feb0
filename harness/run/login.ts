import type { Budget } from '../core/index.js';
import type { LoginEvidence } from '../probe/index.js';
import { makeNonce, type QemuMachine } from '../target/index.js';

const LOGIN = /login: $/;
const PASSWORD = /Password: $/;
const REFUSED = /Login incorrect/;
/** A login shell's prompt; whoever is refused never sees one. */
const SHELL = /[#$] $/;

/**
 * Logs a user in at the serial console as a person does: first with a wrong password, then with the right one.
 *
 * @param options.password What the install script was given for the account.
 * @throws {HarnessError} TIMEOUT when the console shows no login prompt, or nothing after a password.
 */
export async function logIn(
  machine: QemuMachine,
  options: { readonly user: string; readonly password: string; readonly budget: Budget },
): Promise<LoginEvidence> {
  const { user, password, budget } = options;
  const { console } = machine;
  let position = console.position;
  const seen: string[] = [];
  const next = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const { match, end } = await machine.until(console.waitFor(pattern, budget, position), budget);
    position = end;
    seen.push(match[0]);
    return match;
  };
  const attempt = async (word: string): Promise<boolean> => {
    // An empty line: the prompt may have been shown long ago, and lines of the kernel after it.
    console.type('\n');
    await next(LOGIN);
    console.type(`${user}\n`);
    await next(PASSWORD);
    console.type(`${word}\n`);
    const match = await next(new RegExp(`${REFUSED.source}|${SHELL.source}`));
    return !REFUSED.test(match[0]);
  };
  const refusesWrong = !(await attempt(makeNonce()));
  if (!refusesWrong) await leave();
  const acceptsRight = await attempt(password);
  if (acceptsRight) await leave();
  return { acceptsRight, refusesWrong, transcript: console.tail(12).split('\n') };

  async function leave(): Promise<void> {
    console.type('exit\n');
    await next(LOGIN);
  }
}

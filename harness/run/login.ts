import type { Budget } from '../core/index.js';
import type { LoginEvidence } from '../probe/index.js';
import { makeNonce, type Machine, type MachineConsole } from '../target/index.js';

const LOGIN = /login: $/;
const PASSWORD = /Password: $/;
const REFUSED = /Login incorrect/;
/** A login shell's prompt; whoever is refused never sees one. */
const SHELL = /[#$] $/;
const SHOWN_LINES = 12;

/** Logs in at a terminal of a machine, as a person does. */
export class TerminalLogin {
  readonly #machine: Machine;
  readonly #terminal: MachineConsole;
  readonly #budget: Budget;
  #position: number;
  #isAtPrompt = false;

  /** @param options.terminal Shows a login prompt at an empty line: the machine's serial console, say. */
  constructor(
    machine: Machine,
    { terminal, budget }: { readonly terminal: MachineConsole; readonly budget: Budget },
  ) {
    this.#machine = machine;
    this.#terminal = terminal;
    this.#budget = budget;
    this.#position = terminal.position;
  }

  /**
   * Logs a user in.
   *
   * @param options.password What the install script was given for the account.
   * @param options.alsoWrong Tries a wrong password first. Every refusal costs seconds, by intention.
   * @throws {HarnessError} TIMEOUT when the terminal shows no login prompt, or nothing after a password.
   */
  async tryUser(options: {
    readonly user: string;
    readonly password: string;
    readonly alsoWrong: boolean;
  }): Promise<LoginEvidence> {
    const { user, password } = options;
    const acceptsWrong = options.alsoWrong && (await this.#attempt(user, makeNonce()));
    const acceptsRight = await this.#attempt(user, password);
    return { acceptsRight, acceptsWrong, transcript: this.#terminal.tail(SHOWN_LINES).split('\n') };
  }

  /** @returns Whether a shell came. The terminal is at a login prompt afterwards. */
  async #attempt(user: string, password: string): Promise<boolean> {
    const terminal = this.#terminal;
    if (!this.#isAtPrompt) {
      // The prompt may have been shown long ago, and lines of the kernel after it: an empty line brings it again.
      terminal.type('\n');
      await this.#next(LOGIN);
      this.#isAtPrompt = true;
    }
    terminal.type(`${user}\n`);
    await this.#next(PASSWORD);
    terminal.type(`${password}\n`);
    const said = await this.#next(new RegExp(`${REFUSED.source}|${SHELL.source}`));
    const isIn = !REFUSED.test(said);
    // A history would be a leak that the harness has made.
    if (isIn) terminal.type('unset HISTFILE; exit\n');
    await this.#next(LOGIN);
    return isIn;
  }

  async #next(pattern: RegExp): Promise<string> {
    const found = this.#terminal.waitFor(pattern, this.#budget, this.#position);
    const { match, end } = await this.#machine.until(found, this.#budget);
    this.#position = end;
    return match[0];
  }
}

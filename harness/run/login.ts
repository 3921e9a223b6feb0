import type { Budget } from '../core/index.js';
import type { LoginEvidence } from '../probe/index.js';
import { makeNonce, type Machine } from '../target/index.js';

const LOGIN = /login: $/;
const PASSWORD = /Password: $/;
const REFUSED = /Login incorrect/;
/** A login shell's prompt; whoever is refused never sees one. */
const SHELL = /[#$] $/;
const SHOWN_LINES = 12;

/** Logs in at a machine's serial console, as a person does. */
export class ConsoleLogin {
  readonly #machine: Machine;
  readonly #budget: Budget;
  #position: number;
  #isAtPrompt = false;

  constructor(machine: Machine, budget: Budget) {
    this.#machine = machine;
    this.#budget = budget;
    this.#position = machine.console.position;
  }

  /**
   * Logs a user in.
   *
   * @param options.password What the install script was given for the account.
   * @param options.alsoWrong Tries a wrong password first. Every refusal costs seconds, by intention.
   * @throws {HarnessError} TIMEOUT when the console shows no login prompt, or nothing after a password.
   */
  async tryUser(options: {
    readonly user: string;
    readonly password: string;
    readonly alsoWrong: boolean;
  }): Promise<LoginEvidence> {
    const { user, password } = options;
    const acceptsWrong = options.alsoWrong && (await this.#attempt(user, makeNonce()));
    const acceptsRight = await this.#attempt(user, password);
    return { acceptsRight, acceptsWrong, transcript: this.#machine.console.tail(SHOWN_LINES).split('\n') };
  }

  /** @returns Whether a shell came. The console is at a login prompt afterwards. */
  async #attempt(user: string, password: string): Promise<boolean> {
    const { console } = this.#machine;
    if (!this.#isAtPrompt) {
      // The prompt may have been shown long ago, and lines of the kernel after it: an empty line brings it again.
      console.type('\n');
      await this.#next(LOGIN);
      this.#isAtPrompt = true;
    }
    console.type(`${user}\n`);
    await this.#next(PASSWORD);
    console.type(`${password}\n`);
    const said = await this.#next(new RegExp(`${REFUSED.source}|${SHELL.source}`));
    const isIn = !REFUSED.test(said);
    // A history would be a leak that the harness has made.
    if (isIn) console.type('unset HISTFILE; exit\n');
    await this.#next(LOGIN);
    return isIn;
  }

  async #next(pattern: RegExp): Promise<string> {
    const { console } = this.#machine;
    const found = console.waitFor(pattern, this.#budget, this.#position);
    const { match, end } = await this.#machine.until(found, this.#budget);
    this.#position = end;
    return match[0];
  }
}

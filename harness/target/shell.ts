import type { Duplex } from 'node:stream';

import ssh2 from 'ssh2';

import { type Budget, HarnessError, lastLines } from '../core/index.js';
import { collectResult, type CommandResult, type ExecuteOptions, firstLine } from './command-result.js';
import { RemoteSession, type TerminalKind } from './remote-session.js';

/** A machine that loses its power says no good-bye. */
const KEEP_ALIVE_MS = 5000;
const KEEP_ALIVE_TRIES = 5;

/** Keys of one power-on: who may come in, and by what the machine proves that it is the one that was started. */
export interface MachineKeys {
  readonly clientPrivate: string;
  readonly clientPublic: string;
  readonly hostPrivate: string;
  readonly hostPublic: string;
}

export function makeMachineKeys(): MachineKeys {
  const client = makeKeyPair();
  const host = makeKeyPair();
  return {
    clientPrivate: client.private,
    clientPublic: client.public,
    hostPrivate: host.private,
    hostPublic: host.public,
  };
}

/** One of 256 pairs that ssh2 makes lacks a byte and nobody can read it: https://github.com/mscdex/ssh2/issues/1390 */
function makeKeyPair(): ReturnType<typeof ssh2.utils.generateKeyPairSync> {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    if (![pair.private, pair.public].some((key) => ssh2.utils.parseKey(key) instanceof Error)) return pair;
  }
}

/** Root's shell in a machine: one kept SSH connection, any number of commands. Dead for good when the machine reboots. */
export class MachineShell {
  readonly #client: ssh2.Client;
  #ended: HarnessError | undefined;
  readonly #end: Promise<never>;

  private constructor(client: ssh2.Client) {
    this.#client = client;
    this.#end = new Promise((_resolve, reject) => {
      const end = (cause?: Error): void => {
        this.#ended ??= new HarnessError('MACHINE_UNREACHABLE', 'The connection to the machine ended', {
          cause,
        });
        reject(this.#ended);
      };
      client.on('error', end);
      client.on('close', () => {
        end();
      });
    });
    this.#end.catch(() => undefined);
  }

  /**
   * Opens the connection over a byte stream whose other end is about to run sshd.
   *
   * @param options.keepAlive Asks again and again whether the machine is there, and ends when it is not. Default false.
   * @throws {HarnessError} WRONG_MACHINE when the answering machine does not hold the host key of this power-on;
   * MACHINE_UNREACHABLE; TIMEOUT.
   */
  static async connect(
    stream: Duplex,
    keys: Pick<MachineKeys, 'clientPrivate' | 'hostPublic'>,
    budget: Budget,
    options: { readonly keepAlive?: boolean } = {},
  ): Promise<MachineShell> {
    budget.check();
    const client = new ssh2.Client();
    // Made now, so that an end right behind the opening is not missed.
    const shell = new MachineShell(client);
    const expected = Buffer.from(keys.hostPublic.split(' ')[1] ?? '', 'base64');
    let wrongMachine = false;
    const ready = new Promise<void>((resolve, reject) => {
      client.once('ready', resolve);
      client.once('error', (cause: Error) => {
        reject(
          wrongMachine
            ? new HarnessError(
                'WRONG_MACHINE',
                'The machine that answers is not the one that was started: it holds another host key',
                { cause },
              )
            : new HarnessError('MACHINE_UNREACHABLE', `SSH to the machine failed: ${cause.message}`, {
                cause,
              }),
        );
      });
      client.once('close', () => {
        reject(
          new HarnessError('MACHINE_UNREACHABLE', 'The machine closed the connection before it was open'),
        );
      });
    });
    ready.catch(() => undefined);
    client.connect({
      sock: stream,
      username: 'root',
      privateKey: keys.clientPrivate,
      hostVerifier: (key: Buffer) => {
        wrongMachine = !key.equals(expected);
        return !wrongMachine;
      },
      readyTimeout: 0, // the budget decides
      keepaliveInterval: options.keepAlive === true ? KEEP_ALIVE_MS : 0,
      keepaliveCountMax: KEEP_ALIVE_TRIES,
      algorithms: {
        kex: ['curve25519-sha256'],
        serverHostKey: ['ssh-ed25519'],
        cipher: ['aes128-gcm@openssh.com'],
      },
    });
    try {
      await budget.race(ready);
    } catch (error) {
      client.destroy();
      throw error;
    }
    return shell;
  }

  /** Rejects when the connection has ended. */
  get broken(): Promise<never> {
    return this.#end;
  }

  /**
   * Runs a command of root's shell to its end, whatever its exit code.
   *
   * @throws {HarnessError} MACHINE_UNREACHABLE when the connection ends first; TIMEOUT; INTERRUPTED.
   */
  async execute(command: string, budget: Budget, options: ExecuteOptions = {}): Promise<CommandResult> {
    if (this.#ended !== undefined) throw this.#ended;
    budget.check();
    let channel: ssh2.ClientChannel | undefined;
    let isWanted = true;
    const result = this.#start(command, (opened) => {
      channel = opened;
      if (!isWanted) opened.close();
      return collectResult(opened, command, options);
    });
    try {
      return await budget.race(Promise.race([result, this.#end]));
    } catch (error) {
      isWanted = false;
      channel?.close(); // or it would count as one of the few that sshd allows
      throw error;
    }
  }

  /**
   * Runs a command that has to succeed.
   *
   * @returns Its standard output.
   * @throws {HarnessError} GUEST_COMMAND_FAILED with its output when the exit code is not 0; as `execute`.
   */
  async run(command: string, budget: Budget, options: ExecuteOptions = {}): Promise<string> {
    const result = await this.execute(command, budget, options);
    if (result.exitCode !== 0) {
      throw new HarnessError(
        'GUEST_COMMAND_FAILED',
        `A command in the machine failed with exit code ${String(result.exitCode)}: ${firstLine(command)}`,
        {
          details: lastLines(`${result.stdout.toString('utf8')}\n${result.stderr}`, 30),
        },
      );
    }
    return result.stdout.toString('utf8');
  }

  /**
   * Starts a command that goes on until its standard input ends.
   *
   * @returns Its standard input and output; what it says on standard error is lost.
   */
  async stream(command: string, budget: Budget): Promise<Duplex> {
    if (this.#ended !== undefined) throw this.#ended;
    return budget.race(Promise.race([this.#start(command, (opened) => Promise.resolve(opened)), this.#end]));
  }

  /**
   * Starts a command that somebody talks to while it runs.
   *
   * @param terminal It runs on one. Default: on none.
   * @throws {HarnessError} MACHINE_UNREACHABLE when the connection has ended; TIMEOUT; INTERRUPTED.
   */
  async session(command: string, budget: Budget, terminal?: TerminalKind): Promise<RemoteSession> {
    if (this.#ended !== undefined) throw this.#ended;
    const started = this.#start(
      command,
      (opened) => Promise.resolve(new RemoteSession(opened, this.#end)),
      terminal === undefined
        ? {}
        : { pty: { term: terminal.type, cols: terminal.columns, rows: terminal.rows } },
    );
    return budget.race(Promise.race([started, this.#end]));
  }

  /** Says good-bye: the machine's end of the connection ends too. */
  async end(): Promise<void> {
    this.#client.end();
    await this.#end.catch(() => undefined);
  }

  /** Ends our side only; for a machine that is gone. */
  close(): void {
    this.#client.destroy();
  }

  /** @param use Called in the very moment of the opening: a quick command may have ended a moment later. */
  #start<T>(
    command: string,
    use: (channel: ssh2.ClientChannel) => Promise<T>,
    options: ssh2.ExecOptions = {},
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const refuse = (cause: unknown): void => {
        reject(
          new HarnessError(
            'MACHINE_UNREACHABLE',
            `The machine did not take the command: ${firstLine(command)}`,
            { cause },
          ),
        );
      };
      try {
        this.#client.exec(command, options, (error, opened) => {
          if (error === undefined) resolve(use(opened));
          else refuse(error);
        });
      } catch (error) {
        refuse(error); // the connection has just ended
      }
    });
  }
}

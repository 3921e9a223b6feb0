import { type Budget, HarnessError, type ProgramResult, quote, runProgram } from '../../core/index.js';

const SSH_URI =
  /^qemu\+ssh:\/\/(?:([^@/]+)@)?(\[[^\]]+\]|[^:/?]+)(?::(\d+))?\/(?:system|session)(?:\?(.*))?$/;
/** How libvirt's own connection asks nobody anything. */
const NO_QUESTIONS = 'no_tty=1';

/** Asks nobody anything. A host that is gone is not waited for as long as TCP waits, which is minutes: it is asked now and then. */
const CONNECTION = ['BatchMode=yes', 'ConnectTimeout=20', 'ServerAliveInterval=15', 'ServerAliveCountMax=4'];

/** The other host of an address of libvirt: reached with the OpenSSH client, its configuration and its keys. */
export interface SshAddress {
  readonly host: string;
  readonly user?: string;
  readonly port?: string;
  /** The parameter `keyfile` of libvirt's address. */
  readonly keyFile?: string;
}

/** @returns Undefined for an address that is no `qemu+ssh://`. */
export function parseSshAddress(uri: string): SshAddress | undefined {
  const [, user, host, port, query] = SSH_URI.exec(uri) ?? [];
  if (host === undefined) return undefined;
  const keyFile = new URLSearchParams(query).get('keyfile');
  return {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    ...(user === undefined ? {} : { user: decodeURIComponent(user) }),
    ...(port === undefined ? {} : { port }),
    ...(keyFile === null ? {} : { keyFile }),
  };
}

/** The address as virsh is given it: a connection that would have to ask fails instead of waiting for an answer. */
export function withoutQuestions(uri: string): string {
  if (parseSshAddress(uri) === undefined || uri.includes(NO_QUESTIONS)) return uri;
  return `${uri}${uri.includes('?') ? '&' : '?'}${NO_QUESTIONS}`;
}

/** The host on which a libvirt runs QEMU: ours, or another one. */
export class LibvirtHost {
  readonly address: SshAddress | undefined;
  readonly #controlSocket: string | undefined;

  /** @param controlSocket Of a connection that is there; whatever is run then goes through it. */
  constructor(uri: string, controlSocket?: string) {
    this.address = parseSshAddress(uri);
    this.#controlSocket = controlSocket;
  }

  get isRemote(): boolean {
    return this.address !== undefined;
  }

  /**
   * The command that runs a script of sh there.
   *
   * @param options More words for ssh.
   */
  words(script: string, options: readonly string[] = []): string[] {
    if (this.address === undefined) return ['sh', '-c', script];
    const { host, user, port, keyFile } = this.address;
    const control = this.#controlSocket;
    return [
      'ssh',
      ...['-T', '-e', 'none'],
      ...CONNECTION.flatMap((option) => ['-o', option]),
      ...(control === undefined ? [] : ['-o', 'ControlMaster=no', '-o', `ControlPath=${control}`]),
      ...(port === undefined ? [] : ['-p', port]),
      ...(user === undefined ? [] : ['-l', user]),
      ...(keyFile === undefined ? [] : ['-i', keyFile]),
      ...options,
      '--',
      host,
      `sh -c ${quote(script)}`,
    ];
  }

  /**
   * Runs a script of sh there.
   *
   * @throws {HarnessError} HOST_UNFIT when ssh does not get there; TOOL_FAILED; TIMEOUT; INTERRUPTED.
   */
  run(script: string, budget: Budget): Promise<string> {
    return this.#run(this.words(script), budget);
  }

  /** Runs a script there that reads a file of ours on its standard input. Throws as `run`. */
  async send(file: string, script: string, budget: Budget): Promise<void> {
    const read = 'file=$1; shift; exec "$@" <"$file"';
    await this.#run(['sh', '-c', read, 'sh', file, ...this.words(script)], budget);
  }

  /** Writes what a script there prints to a file of ours. Holes stay holes. Throws as `run`. */
  async receive(script: string, file: string, budget: Budget): Promise<void> {
    const write = `file=$1; shift; "$@" | ${writeWithHoles('"$file"')}`;
    const words = this.words(script);
    await this.#run(['bash', '-o', 'pipefail', '-c', write, 'bash', file, ...words], budget);
  }

  async #run(words: readonly string[], budget: Budget): Promise<string> {
    const [program = '', ...args] = words;
    let result: ProgramResult;
    try {
      result = await runProgram(program, args, { budget });
    } catch (error) {
      if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED' || this.address === undefined)
        throw error;
      throw explainSsh(this.address, error);
    }
    return result.stdout;
  }
}

/** Writes standard input to a file, and leaves out blocks that are empty. */
export function writeWithHoles(quotedFile: string): string {
  return `dd of=${quotedFile} bs=64k iflag=fullblock conv=sparse status=none`;
}

/** What ssh says by itself, and not the script that it runs. */
const NOT_THERE = /exit code 255|failed to execute ssh|Host key verification|Permission denied \(|ssh: /;

function explainSsh(address: SshAddress, error: HarnessError): HarnessError {
  const words = `${error.message}\n${error.details ?? ''}`;
  const { user, host, port } = address;
  if (!NOT_THERE.test(words)) {
    const said = (error.details ?? '').split('\n').at(-1) ?? '';
    return new HarnessError('TOOL_FAILED', `A command on ${host} failed: ${said}`, {
      ...(error.details === undefined ? {} : { details: error.details }),
      cause: error,
    });
  }
  const place = `${user === undefined ? '' : `${user}@`}${host}`;
  return new HarnessError('HOST_UNFIT', `ssh does not get to ${place}${whyNot(words)}`, {
    ...(error.details === undefined ? {} : { details: error.details }),
    hint: `\`ssh -o BatchMode=yes${port === undefined ? '' : ` -p ${port}`} ${place} true\` has to work: a key that needs no question, and a host key in known_hosts (log in once by hand to see and accept it).`,
    cause: error,
  });
}

function whyNot(words: string): string {
  if (/Host key verification failed/.test(words)) return ': its host key is unknown, or another than before';
  if (/Permission denied \(/.test(words)) return ': it lets this user not in';
  if (/failed to execute ssh/.test(words)) return ': this host has no ssh (openssh-client)';
  return '';
}

import { type Budget, HarnessError, quote, runProgram } from '../../core/index.js';
import { installCommand, readDistro } from '../../host/index.js';
import { parseSshAddress, withoutQuestions } from './host.js';

/** Asks a libvirt daemon by its own client; the only place that runs it. */
export class Virsh {
  readonly uri: string;
  readonly #run: typeof runProgram;

  /** @param run Default `runProgram`. */
  constructor(uri: string, run: typeof runProgram = runProgram) {
    this.uri = uri;
    this.#run = run;
  }

  /** The words of a command, for a program that goes on. */
  words(args: readonly string[]): string[] {
    return ['virsh', '--quiet', '--connect', withoutQuestions(this.uri), ...args];
  }

  /**
   * @returns What virsh prints.
   * @throws {HarnessError} TOOL_FAILED with libvirt's own words when it refuses.
   * @throws {HarnessError} HOST_UNFIT when there is no virsh, or nobody answers at the address.
   * @throws {HarnessError} TIMEOUT; INTERRUPTED.
   */
  async run(args: readonly string[], budget: Budget): Promise<string> {
    const [program = '', ...words] = this.words(args);
    try {
      const { stdout } = await this.#run(program, words, { budget });
      return stdout;
    } catch (error) {
      if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED') throw error;
      throw await this.#explain(args[0] ?? '', error);
    }
  }

  async #explain(command: string, error: HarnessError): Promise<HarnessError> {
    if (/failed to execute virsh/.test(error.message)) {
      const isRoot = process.getuid?.() === 0;
      return new HarnessError('HOST_UNFIT', 'This host has no virsh, the client of libvirt', {
        hint: `Install libvirt, then start again:\n${installCommand(await readDistro(), ['libvirtd', 'virsh', 'qemu-system-x86_64'], isRoot)}`,
        cause: error,
      });
    }
    const words = (error.details ?? '').replaceAll(/^error: /gm, '').trim();
    if (/failed to connect to the hypervisor/.test(words)) {
      return new HarnessError('HOST_UNFIT', `libvirt does not answer at ${this.uri}`, {
        details: words,
        hint:
          parseSshAddress(this.uri) === undefined
            ? 'Start its daemon (sudo systemctl start libvirtd; without systemd: sudo virtlogd -d, sudo libvirtd -d). A user other than root needs the group libvirt for qemu:///system; qemu:///session needs neither.'
            : `\`virsh -c ${quote(withoutQuestions(this.uri))} version\` has to work: ssh without a question (a key, the host in known_hosts), libvirt running there, and a user who may use it.`,
        cause: error,
      });
    }
    return new HarnessError('TOOL_FAILED', `libvirt refused ${command}: ${lastSentence(words)}`, {
      details: words,
      cause: error,
    });
  }
}

/** virsh says first what failed and then why. */
function lastSentence(words: string): string {
  return words.split('\n').at(-1) ?? words;
}

import type { Socket } from 'node:net';
import path from 'node:path';

import {
  type Budget,
  type Cleanup,
  HarnessError,
  type Lease,
  runProgram,
  startProgram,
} from '../../core/index.js';
import type { HardwareHost } from '../../scenario/index.js';

/**
 * Runs a command of the host file, such as the one that takes the power away. Only its name is shown: its arguments may
 * hold a password.
 *
 * @param what As the host file calls it: `power.off`.
 * @throws {HarnessError} TOOL_FAILED with what it printed; TIMEOUT.
 */
export async function runHostCommand(
  what: string,
  host: HardwareHost,
  { command, budget }: { readonly command: readonly string[]; readonly budget: Budget },
): Promise<void> {
  const [program = '', ...args] = command;
  try {
    await runProgram(program, args, { budget });
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED') throw error;
    throw new HarnessError('TOOL_FAILED', `${what} of ${host.file} (${path.basename(program)} …) failed`, {
      ...(error.details === undefined ? {} : { details: error.details }),
      hint: 'Try it by hand: it has to end by itself, with exit code 0 when the power is as wanted.',
    });
  }
}

/**
 * Starts the command that is the serial console, and puts it between the machine and us until `cleanup`.
 *
 * @param options.onEnd Told when it ends by itself; it should not.
 */
export async function attachConsole(
  command: readonly string[],
  line: Socket,
  options: {
    readonly host: HardwareHost;
    readonly lease: Lease;
    readonly cleanup: Cleanup;
    readonly onEnd: (error: HarnessError) => void;
  },
): Promise<void> {
  const { host, lease, cleanup } = options;
  const program = startProgram(command, {
    logFile: path.join(lease.dir, 'console-command.log'),
    takesInput: true,
    onOutput: (text) => line.write(text),
  });
  let isStopping = false;
  cleanup.push('ending the command of the console', async () => {
    isStopping = true;
    program.kill('SIGKILL');
    await program.ended;
  });
  await lease.noteProcess(program.pid);
  if (program.input !== undefined) line.pipe(program.input);
  void program.ended.then(({ exitCode, signal }) => {
    if (isStopping) return;
    options.onEnd(
      new HarnessError(
        'HOST_UNFIT',
        `console.command of ${host.file} (${path.basename(command[0] ?? '')} …) ended by itself (${signal ?? `exit code ${String(exitCode)}`})`,
        {
          hint: 'It has to stay for as long as the machine is under test. Is another client connected to the console?',
        },
      ),
    );
  });
}

import type { Readable, Writable } from 'node:stream';

import type { Budget } from '../../core/index.js';
import type { MachineShell } from '../../target/index.js';

/**
 * Runs one command in a machine with our standard streams.
 *
 * @param streams.stdin Handed to the command, unless it is a terminal.
 * @returns Its exit code.
 * @throws {HarnessError} MACHINE_UNREACHABLE when the connection ended first; INTERRUPTED.
 */
export async function runCommand(
  shell: MachineShell,
  command: string,
  budget: Budget,
  streams: {
    readonly stdin: Readable & { readonly isTTY?: boolean };
    readonly stdout: Writable;
    readonly stderr: Writable;
  },
): Promise<number> {
  const { stdin, stdout, stderr } = streams;
  const session = await shell.session(command, budget);
  session.line.on('data', (chunk: Buffer) => {
    stdout.write(chunk);
  });
  session.stderr.on('data', (chunk: Buffer) => {
    stderr.write(chunk);
  });
  if (stdin.isTTY === true) session.line.end();
  else stdin.pipe(session.line);
  try {
    return (await budget.race(session.ended)).exitCode;
  } finally {
    stdin.unpipe(session.line);
    // What nobody reads must not keep us from ending.
    if (stdin.isTTY !== true) stdin.destroy();
    session.close();
  }
}

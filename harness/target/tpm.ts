import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError, lastLines, type Lease, startProgram } from '../core/index.js';
import type { Toolbox } from '../host/index.js';

/** A TPM 2.0 of a running machine. */
export interface RunningTpm {
  /** Where QEMU finds it. */
  readonly socket: string;
  /** Settles when it has ended, however it did: with the error to show when nobody stopped it. */
  readonly ended: Promise<HarnessError>;
  /** Ends it as the loss of power does. */
  stop(): Promise<void>;
}

const LOOK_MS = 20;

/**
 * Powers a TPM on, before the machine that has it. swtpm writes what a TPM keeps without power (seeds, keys) to a folder
 * before it answers; what it holds in memory (measurements of the boot) is gone with each power-on, as in a real one.
 *
 * @param options.stateDir Outlasts the machine's power; made when it is not there.
 * @param options.lease Of the machine.
 * @throws {HarnessError} MACHINE_DIED with swtpm's own words when it does not start; TIMEOUT.
 */
export async function startTpm(
  toolbox: Toolbox,
  options: { readonly stateDir: string; readonly lease: Lease; readonly budget: Budget },
): Promise<RunningTpm> {
  const { stateDir, lease, budget } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const socket = path.join(lease.dir, 'tpm');
  const pidFile = path.join(lease.dir, 'tpm.pid');
  const logFile = path.join(lease.dir, 'tpm.log');
  const { args, env } = toolbox.command('swtpm', [
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${stateDir},mode=0600`,
    '--ctrl',
    `type=unixio,path=${socket},mode=0600`,
    '--pid',
    `file=${pidFile}`,
  ]);
  const swtpm = startProgram(args, { logFile, env });
  const ended = swtpm.ended.then(
    async (end) =>
      new HarnessError(
        'MACHINE_DIED',
        `The TPM (swtpm) ended: ${end.signal ?? `exit code ${String(end.exitCode)}`}`,
        {
          details: lastLines(await readFile(logFile, 'utf8').catch(() => ''), 10),
          hint: 'swtpm belongs to the tools that imperm unpacks; with `--tools host` it has to be installed.',
        },
      ),
  );
  const stop = async (): Promise<void> => {
    swtpm.kill('SIGKILL');
    await swtpm.ended;
  };
  try {
    await lease.noteProcess(swtpm.pid);
    const died = ended.then((error) => Promise.reject(error));
    // It announces nothing; this file is what it writes when the socket is there.
    const ready = budget.part('the TPM to start', budget.remainingMs).poll(
      () =>
        access(pidFile).then(
          () => true,
          () => undefined,
        ),
      LOOK_MS,
    );
    await Promise.race([ready, died]);
    died.catch(() => undefined);
    ready.catch(() => undefined);
  } catch (error) {
    await stop();
    throw error;
  }
  return { socket, ended, stop };
}

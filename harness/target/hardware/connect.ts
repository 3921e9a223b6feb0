import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';

import { type Budget, HarnessError } from '../../core/index.js';
import type { HardwareHost } from '../../scenario/index.js';
import { type MachineKeys, MachineShell } from '../shell.js';

/** Where an SSH server listens. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * What lets us into the installer, and what it proves itself with.
 *
 * @throws {HarnessError} USAGE when the key cannot be read.
 */
export async function readInstallerKeys(
  host: HardwareHost,
): Promise<Pick<MachineKeys, 'clientPrivate' | 'hostPublic'>> {
  const clientPrivate = await readFile(host.keyFile, 'utf8').catch((error: unknown) => {
    throw new HarnessError('USAGE', `The key ${host.keyFile} of ${host.file} cannot be read`, {
      cause: error,
    });
  });
  return { clientPrivate, hostPublic: host.hostKey };
}

/**
 * Root's shell in the installer that runs on a machine.
 *
 * @throws {HarnessError} USAGE when the key cannot be read; MACHINE_UNREACHABLE, WRONG_MACHINE, TIMEOUT.
 */
export async function connectHost(host: HardwareHost, budget: Budget): Promise<MachineShell> {
  const keys = await readInstallerKeys(host);
  const socket = await openSocket(host, budget);
  try {
    return await MachineShell.connect(socket, keys, budget);
  } catch (error) {
    socket.destroy();
    if (!(error instanceof HarnessError) || error.hint !== undefined) throw error;
    throw new HarnessError(error.code, `${host.address}: ${error.message}`, {
      cause: error,
      hint: `\`ssh -i ${host.keyFile} -p ${String(host.port)} root@${host.address}\` has to work; \`ssh-keyscan -t ed25519 -p ${String(host.port)} ${host.address}\` shows its host key.`,
    });
  }
}

/** @throws {HarnessError} MACHINE_UNREACHABLE when nobody listens there. */
export async function openSocket({ address, port }: Endpoint, budget: Budget): Promise<Socket> {
  const socket = connect({ host: address, port });
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  try {
    await budget.race(opened);
    return socket;
  } catch (error) {
    socket.destroy();
    if (error instanceof HarnessError) throw error;
    throw new HarnessError(
      'MACHINE_UNREACHABLE',
      `${address} port ${String(port)}: ${(error as Error).message}`,
      {
        cause: error,
        hint: 'The machine has to run an installer with an SSH server, and its address has to be the one of the host file.',
      },
    );
  }
}

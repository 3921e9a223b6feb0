import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Budget } from '../core/index.js';
import type { HostNix } from './host-nix.js';

/** In the machine: Nix's own server, for the store below /mnt, over standard input and output. */
export const STORE_SERVER = "NIX_REMOTE='local?root=/mnt' nix-daemon --stdio";

/** The same for the store of the installer itself: what is to run there. */
export const INSTALLER_STORE_SERVER = 'NIX_REMOTE=local nix-daemon --stdio';

/**
 * Copies store paths with all they need into a store in a machine: `nix copy` here talks to
 * `nix-daemon` there, through the machine's only channel.
 *
 * @param socket Where to listen for Nix on the host: a path for a Unix socket, at most 107 bytes, gone afterwards.
 * @param openServer Starts `STORE_SERVER` or `INSTALLER_STORE_SERVER` in the machine.
 */
export async function copyClosure(
  paths: readonly string[],
  options: {
    readonly nix: HostNix;
    readonly socket: string;
    readonly openServer: () => Promise<Duplex>;
    readonly budget: Budget;
  },
): Promise<void> {
  const { nix, socket, openServer, budget } = options;
  const server = createServer((client) => {
    client.on('error', () => undefined);
    openServer().then(
      (channel) => {
        channel.on('error', () => client.destroy());
        client.on('close', () => channel.end());
        client.pipe(channel).pipe(client);
      },
      () => client.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  try {
    // Without signatures: what was built here has none, and root of the machine trusts its only visitor.
    await nix.run(['copy', '--no-check-sigs', '--to', `unix://${socket}`, ...paths], budget);
  } finally {
    server.close();
  }
}

import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';

import { type Budget, type Cleanup, HarnessError } from '../core/index.js';

/** Linux's limit for the path of a Unix socket, without the terminating zero. */
const LONGEST_SOCKET_PATH = 107;

/**
 * A Unix socket that we listen on before the machine is started; the machine connects. So there is no moment at which
 * a port could be taken by somebody else or a byte be lost, and nothing to poll.
 */
export class ListeningSocket {
  readonly path: string;
  readonly #server: Server;
  readonly #accepted: Promise<Socket>;

  private constructor(socketPath: string, server: Server, accepted: Promise<Socket>) {
    this.path = socketPath;
    this.#server = server;
    this.#accepted = accepted;
  }

  /** @throws {HarnessError} HOST_UNFIT when the path is too long for a Unix socket. */
  static async listen(socketPath: string): Promise<ListeningSocket> {
    if (Buffer.byteLength(socketPath) > LONGEST_SOCKET_PATH) {
      throw new HarnessError(
        'HOST_UNFIT',
        `The path of the work folder is too long for a Unix socket: ${socketPath}`,
        {
          hint: 'Name a shorter one with IMPERM_WORK.',
        },
      );
    }
    const server = createServer();
    const accepted = new Promise<Socket>((resolve, reject) => {
      server.once('connection', (socket) => {
        server.close();
        // The machine may be gone before anybody asks for its socket; an error that nobody hears ends the process.
        socket.on('error', () => undefined);
        resolve(socket);
      });
      server.once('error', reject);
    });
    accepted.catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath, resolve);
    });
    return new ListeningSocket(socketPath, server, accepted);
  }

  /** The machine's end of the line, once it has connected. */
  accept(budget: Budget): Promise<Socket> {
    return budget.race(this.#accepted);
  }

  async close(): Promise<void> {
    this.#server.close();
    await Promise.race([this.#accepted.then((socket) => socket.destroy()), Promise.resolve()]).catch(
      () => undefined,
    );
  }
}

/** Sockets in a folder, one for each name; `cleanup` closes them. */
export async function listenOn<Name extends string>(
  folder: string,
  names: readonly Name[],
  cleanup: Cleanup,
): Promise<Record<Name, ListeningSocket>> {
  const sockets: Partial<Record<Name, ListeningSocket>> = {};
  for (const name of names) {
    const socket = await ListeningSocket.listen(path.join(folder, name));
    cleanup.push(`closing the socket ${name}`, () => socket.close());
    sockets[name] = socket;
  }
  return sockets as Record<Name, ListeningSocket>;
}

/** Settles when a line has closed and everything that came before has been read; at once if that is so already. */
export function waitForClose(stream: Duplex): Promise<void> {
  stream.on('error', () => undefined);
  return stream.closed
    ? Promise.resolve()
    : new Promise((resolve) =>
        stream.once('close', () => {
          resolve();
        }),
      );
}

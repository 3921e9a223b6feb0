import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError, lastLines, runProgram } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import { nixEnvironment } from './evaluate.js';

/** Nix on the host: makes systems and media, and sends them into machines. */
export interface HostNix {
  /** `nix (Nix) 2.26.3` */
  readonly version: string;
  /** Where its store is: the host's own, or a folder of ours. */
  readonly store: 'host' | 'private';
  /**
   * Runs `nix` with flakes switched on.
   *
   * @returns Its standard output.
   * @throws {HarnessError} NIX_FAILED with the last lines of what it said; its cause has more of them.
   */
  run(args: readonly string[], budget: Budget): Promise<string>;
  /** Where a store path lies on the host. */
  realPath(storePath: string): string;
}

/** Of what Nix says: all assertions of a configuration have to be among them. */
const MOST_LINES = 300;
/** Of these, shown to a person. */
const SHOWN_LINES = 20;

const FLAKES = ['--extra-experimental-features', 'nix-command flakes'];

/**
 * The host's own Nix, with its settings and its store. Where there is none, the toolbox's, with a store in the cache: it
 * needs root or user namespaces to build anything, as it puts that folder where /nix/store would be.
 */
export async function openHostNix(options: {
  readonly toolbox: Toolbox;
  readonly cacheDir: string;
  /** A store that was asked for. */
  readonly store: string | undefined;
  readonly budget: Budget;
}): Promise<HostNix> {
  const { toolbox, cacheDir, budget, store = path.join(cacheDir, 'nix') } = options;
  const own =
    options.store === undefined
      ? await runProgram('nix', ['--version'], { budget }).catch(() => undefined)
      : undefined;
  if (own !== undefined) {
    return {
      version: own.stdout.trim(),
      store: 'host',
      run: async (args, part) =>
        (
          await runProgram('nix', [...FLAKES, ...args], { budget: part, tailLines: MOST_LINES }).catch(
            rename(args),
          )
        ).stdout,
      realPath: (storePath) => storePath,
    };
  }
  await mkdir(store, { recursive: true });
  const env = { ...nixEnvironment(store), NIX_CONFIG: 'build-users-group =' };
  return {
    version: (await toolbox.run('nix', ['--version'], budget)).trim(),
    store: 'private',
    run: (args, part) =>
      toolbox
        .run('nix', [...FLAKES, ...args, '--store', store], part, { env, tailLines: MOST_LINES })
        .catch(rename(args)),
    realPath: (storePath) => path.join(store, storePath),
  };
}

function rename(args: readonly string[]) {
  return (error: unknown): never => {
    if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED') throw error;
    throw new HarnessError('NIX_FAILED', `nix ${args[0] ?? ''} failed`, {
      details: lastLines(error.details ?? '', SHOWN_LINES),
      cause: error,
      hint: 'The last lines are what Nix itself says. Without a network only what is in its store already can be had.',
    });
  };
}

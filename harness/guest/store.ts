import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, runProgram } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import type { Tree } from './cpio.js';

/** A store path with what Nix's database has to know about it. */
export interface StorePath {
  /** `/nix/store/<hash>-<name>` */
  readonly path: string;
  /** SHA-256 of its archive form, in base 16. */
  readonly narHash: string;
  readonly narSizeBytes: number;
  /** Store paths that it needs; its own is not among them. */
  readonly references: readonly string[];
}

/**
 * What `nix-store --add` would call a folder: real Nix reads it and computes the path. The store itself is not touched.
 *
 * @param folder Its last component is the name of the path.
 */
export async function hashStorePath(
  toolbox: Toolbox,
  folder: string,
  references: readonly string[],
  budget: Budget,
): Promise<StorePath> {
  const scratch = await mkdtemp(path.join(path.dirname(folder), 'nix-'));
  try {
    const storePath = (await nix(toolbox, scratch, { args: ['--add', folder], budget })).trim();
    // One line each: path, hash, size, deriver, number of references, references.
    const [, hash, size] = (await nix(toolbox, scratch, { args: ['--dump-db'], budget })).split('\n');
    return { path: storePath, narHash: hash ?? '', narSizeBytes: Number(size), references };
  } finally {
    await runProgram('chmod', ['-R', 'u+w', scratch]);
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What `nix-store --load-db` reads, as closureInfo writes it for images. */
export function renderRegistration(paths: readonly StorePath[]): string {
  return paths
    .flatMap(({ path: storePath, narHash, narSizeBytes, references }) => [
      storePath,
      narHash,
      String(narSizeBytes),
      '',
      String(references.length),
      ...references,
    ])
    .map((line) => `${line}\n`)
    .join('');
}

/**
 * Makes `nix/var/nix` below a folder: a database in which the paths are registered, the system profile with its first
 * generation, and the garbage collector's roots.
 */
export async function makeNixState(
  toolbox: Toolbox,
  options: {
    readonly folder: string;
    readonly paths: readonly StorePath[];
    readonly system: string;
    readonly budget: Budget;
  },
): Promise<void> {
  const { budget } = options;
  const input = renderRegistration(options.paths);
  await nix(toolbox, options.folder, { args: ['--load-db'], budget, input });
  const state = path.join(options.folder, 'nix/var/nix');
  await mkdir(path.join(state, 'profiles'), { recursive: true });
  await mkdir(path.join(state, 'gcroots'), { recursive: true });
  await symlink(options.system, path.join(state, 'profiles/system-1-link'));
  await symlink('system-1-link', path.join(state, 'profiles/system'));
  // Made anew by Nix where it is missing: padding against a full disk, and locks of this process.
  await rm(path.join(state, 'db/reserved'), { force: true });
  await rm(path.join(state, 'temproots'), { recursive: true, force: true });
}

/** Writes files below a folder. Links are made as they are. */
export async function writeTree(folder: string, tree: Tree): Promise<void> {
  for (const [file, entry] of tree) {
    const target = path.join(folder, file);
    await mkdir(path.dirname(target), { recursive: true });
    if (entry.kind === 'link') await symlink(entry.target, target);
    else await writeFile(target, entry.content, { mode: entry.executable === true ? 0o755 : 0o644 });
  }
}

async function nix(
  toolbox: Toolbox,
  root: string,
  options: { readonly args: readonly string[]; readonly budget: Budget; readonly input?: string },
): Promise<string> {
  const { args, budget, input } = options;
  return toolbox.run('nix-store', ['--store', root, ...args], budget, {
    // Neither the user's settings nor the system's: no daemon, no build users, no network.
    env: {
      NIX_CONF_DIR: '/nonexistent',
      NIX_USER_CONF_FILES: '/dev/null',
      NIX_CONFIG: 'build-users-group =\nsubstituters =\nsandbox = false',
      NIX_REMOTE: '',
      HOME: root,
    },
    ...(input === undefined ? {} : { input }),
  });
}

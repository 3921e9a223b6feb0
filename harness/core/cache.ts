import { randomBytes } from 'node:crypto';
import { createHash } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { Budget } from './budget.js';
import { isAlive, ownIdentity, parseIdentity } from './identity.js';

/** A short digest of everything that decides what an artefact contains. */
export function digestOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${String(part.length)}:`);
    hash.update(part);
  }
  return hash.digest('hex').slice(0, 20);
}

export interface CachedOptions {
  readonly cacheDir: string;
  /** What it is, as a file name: `tools`, `debian-images`. */
  readonly name: string;
  /** `digestOf` all inputs. */
  readonly key: string;
  readonly budget: Budget;
  /** Fills an empty folder. It appears under its final name only when this has succeeded. */
  readonly build: (dir: string) => Promise<void>;
  /** Called once when another process builds the same thing and we wait for it. */
  readonly onWait?: () => void;
}

/**
 * The folder `<cacheDir>/<name>-<key>`, built if it is not there. Any number of processes may ask at once: one
 * builds, the others wait; a builder that dies leaves nothing that could be taken for a result.
 */
export async function cachedFolder(options: CachedOptions): Promise<{ dir: string; built: boolean }> {
  const dir = path.join(options.cacheDir, `${options.name}-${options.key}`);
  if (await exists(dir)) return { dir, built: false };
  await mkdir(options.cacheDir, { recursive: true });
  const lock = await takeLock(`${dir}.lock`, options.budget, options.onWait);
  try {
    if (await exists(dir)) return { dir, built: false };
    const part = `${dir}.part`;
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true });
    try {
      await options.build(part);
    } catch (error) {
      await rm(part, { recursive: true, force: true });
      throw error;
    }
    await rename(part, dir);
    return { dir, built: true };
  } finally {
    await lock.release();
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/**
 * A lock file that names its owner. A lock whose owner is dead is taken over.
 */
async function takeLock(file: string, budget: Budget, onWait?: () => void): Promise<{ release: () => Promise<void> }> {
  let told = false;
  const claim = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(claim, ownIdentity());
  try {
    await budget.poll(async () => {
      try {
        await link(claim, file); // atomic, with its content: nobody ever sees a lock without an owner
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = await readFile(file, 'utf8').catch(() => undefined);
      if (owner !== undefined && !isAlive(parseIdentity(owner))) {
        // Moved away first: of several that see the dead owner, only one succeeds in moving this very file.
        const stale = `${claim}.stale`;
        await rename(file, stale).catch(() => undefined);
        await rm(stale, { force: true });
        return undefined;
      }
      if (!told) {
        told = true;
        onWait?.();
      }
      return undefined;
    }, 200);
  } finally {
    await unlink(claim).catch(() => undefined);
  }
  return { release: () => rm(file, { force: true }) };
}

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';

import type { Budget } from './budget.js';
import { takeLock } from './lock.js';

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
 * builds, the others wait; a builder that dies leaves nothing that could be taken for a result. Whoever builds
 * removes what nobody has asked for in `UNUSED_DAYS`, so that the cache does not grow with every version.
 */
export async function cachedFolder(options: CachedOptions): Promise<{ dir: string; built: boolean }> {
  const dir = path.join(options.cacheDir, `${options.name}-${options.key}`);
  if (await isThere(dir)) return { dir, built: false };
  await mkdir(options.cacheDir, { recursive: true });
  const lock = await takeLock(`${dir}.lock`, options);
  try {
    if (await isThere(dir)) return { dir, built: false };
    await removeParts(dir);
    await removeUnused(options.cacheDir);
    const part = makePartName(dir);
    await mkdir(part);
    try {
      await options.build(part);
      // Its time says when it was last wanted. What an archive is unpacked to has that of the archive, years ago.
      await isThere(part);
      await rename(part, dir);
    } catch (error) {
      await rm(part, { recursive: true, force: true });
      throw error;
    }
    return { dir, built: true };
  } finally {
    await lock.release();
  }
}

/** A name of its own: what a killed builder started may go on writing to its folder for a while. */
function makePartName(dir: string): string {
  return `${dir}.part-${randomBytes(4).toString('hex')}`;
}

/** Removes what killed builders have left. What cannot be removed now is tried again by the next builder. */
async function removeParts(dir: string): Promise<void> {
  const prefix = `${path.basename(dir)}.part`;
  for (const name of await readdir(path.dirname(dir))) {
    if (name.startsWith(prefix))
      await rm(path.join(path.dirname(dir), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Longer than any run takes: what is in use was asked for at its beginning. */
const UNUSED_DAYS = 14;
const CACHED_NAME = /^([a-z-]+-[0-9a-f]{20})(?:\.part-[0-9a-f]{8})?$/;

async function removeUnused(cacheDir: string): Promise<void> {
  const eldest = Date.now() - UNUSED_DAYS * 24 * 60 * 60 * 1000;
  for (const name of await readdir(cacheDir)) {
    const whole = CACHED_NAME.exec(name)?.[1];
    if (whole === undefined) continue;
    const dir = path.join(cacheDir, name);
    const info = await stat(dir).catch(() => undefined);
    if (info === undefined || info.mtimeMs >= eldest) continue;
    // At once, for everybody who looks: half a folder must not be taken for a whole one.
    const part = makePartName(path.join(cacheDir, whole));
    await rename(dir, part)
      .then(() => rm(part, { recursive: true, force: true }))
      .catch(() => undefined);
  }
}

/** Notes at the folder, if it is there, that it is in use. */
async function isThere(dir: string): Promise<boolean> {
  const now = new Date();
  return utimes(dir, now, now).then(
    () => true,
    // Somebody else's cache may be read, too.
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
}

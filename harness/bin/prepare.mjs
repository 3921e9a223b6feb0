import { spawnSync } from 'child_process';
import { createHash } from 'crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'fs';
import path from 'path';
import { fileURLToPath } from 'url';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');
export const BUILD = path.join(ROOT, '.build');
/** Written last: what the compiled files and the installed packages were made from. */
export const STAMP = path.join(BUILD, 'stamp');
export const PACKAGES_STAMP = path.join(ROOT, 'node_modules', '.imperm-stamp');

/** How `flock` says that somebody else has the lock. */
const LOCKED = 75;

/** Something that has to be done before imperm can start could not be done; the message is for people. */
export class PrepareError extends Error {}

/**
 * Installs the npm packages and compiles the sources where either is missing or out of date. Does nothing,
 * says nothing and takes a few milliseconds when both are up to date.
 *
 * Of several processes that start at the same time one does the work while the others wait. The lock is the
 * kernel's: it is gone when its holder is, however that ends.
 *
 * @throws {PrepareError} when npm or the compiler fails; they have said why on standard error.
 */
export function prepare() {
  if (arePackagesFresh() && isBuildFresh(sourceFingerprint())) return;
  try {
    mkdirSync(BUILD, { recursive: true });
  } catch (error) {
    throw new PrepareError(`Cannot write to ${ROOT}: ${error.message}. Run as the owner of this checkout.`);
  }
  let status = runSetUp(['--nonblock', '--conflict-exit-code', String(LOCKED)]);
  if (status === LOCKED) {
    console.error('imperm: waiting for another process that is setting up this checkout');
    status = runSetUp([]);
  }
  if (status !== 0) throw new PrepareError('imperm could not be set up; the reason is above.');
}

function runSetUp(lockOptions) {
  const setUp = fileURLToPath(new URL('./set-up.mjs', import.meta.url));
  const result = spawnSync('flock', [...lockOptions, path.join(BUILD, 'lock'), process.execPath, setUp], {
    stdio: ['ignore', 2, 2],
  });
  if (result.error) {
    throw new PrepareError(
      `flock could not be started (${result.error.message}). It belongs to the package util-linux.`,
    );
  }
  // Ctrl-C reached the set-up too; say what a shell says.
  if (result.signal === 'SIGINT') process.exit(130);
  return result.status;
}

/**
 * Whether node_modules holds what package-lock.json says. npm's own note in there is written last, so an
 * interrupted installation does not count. Our stamp settles it where npm versions write that note differently.
 */
export function arePackagesFresh() {
  const wanted = readJson(path.join(ROOT, 'package-lock.json'));
  const installed = readJson(path.join(ROOT, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  if (hasStamp(PACKAGES_STAMP, packagesFingerprint())) return true;
  return Object.entries(wanted.packages).every(([name, entry]) => {
    if (name === '') return true;
    const found = installed.packages[name];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return (
      found.version === entry.version && found.integrity === entry.integrity && found.link === entry.link
    );
  });
}

export function packagesFingerprint() {
  return createHash('sha256')
    .update(readFileSync(path.join(ROOT, 'package-lock.json')))
    .digest('hex');
}

export function isBuildFresh(fingerprint) {
  return hasStamp(STAMP, fingerprint) && existsSync(path.join(BUILD, 'harness'));
}

function hasStamp(file, fingerprint) {
  try {
    return readFileSync(file, 'utf8') === fingerprint;
  } catch {
    return false;
  }
}

/**
 * A hash over name, size and time of every source and setting that the compiled files depend on. A removed
 * source changes it as well, which a comparison of times alone would miss.
 */
export function sourceFingerprint() {
  const hash = createHash('sha256');
  const files = [
    ...listFiles(path.join(ROOT, 'harness'), '.ts', '.tsx'),
    path.join(ROOT, 'tsconfig.json'),
    path.join(ROOT, 'package-lock.json'),
  ];
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${String(size)}\0${String(mtimeMs)}\n`);
  }
  return hash.digest('hex');
}

/** Files below `folder` whose names end in one of `suffixes`, sorted. */
export function listFiles(folder, ...suffixes) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) return listFiles(file, ...suffixes);
      return suffixes.some((suffix) => entry.name.endsWith(suffix)) ? [file] : [];
    });
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Mount points that NixOS mounts in stage 1 whether or not they are marked. */
const ALWAYS_NEEDED_FOR_BOOT = new Set([
  '/',
  '/nix',
  '/nix/store',
  '/var',
  '/var/log',
  '/var/lib',
  '/var/lib/nixos',
  '/etc',
  '/usr',
]);

/** Whether NixOS mounts a file system in stage 1, asked or not. */
export function isAlwaysNeededForBoot(mountPoint: string): boolean {
  return ALWAYS_NEEDED_FOR_BOOT.has(mountPoint);
}

/** The file system that is mounted at `/`; undefined where a scenario has not got as far as having one. */
export function findRoot<T extends { readonly mountPoint: string }>(
  fileSystems: readonly T[],
): T | undefined {
  return fileSystems.find(({ mountPoint }) => mountPoint === '/');
}

/**
 * Tells whether a path is the given directory or lies below it.
 *
 * @param path Absolute, without a trailing slash.
 * @param directory Absolute, without a trailing slash.
 */
export function isAtOrBelow(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}

/**
 * Finds which of several directories holds a path most closely; of mount points, the file system that it is on.
 *
 * @returns The directory; undefined when the path is below none of them.
 */
export function findHolder(path: string, directories: readonly string[]): string | undefined {
  return directories
    .filter((directory) => isAtOrBelow(path, directory))
    .sort((a, b) => b.length - a.length)
    .at(0);
}

/** Order of mounting: parents first, neighbours by name. */
export function compareMountPoints(a: string, b: string): number {
  const [left, right] = [a.split('/').filter(Boolean), b.split('/').filter(Boolean)];
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const [one, other] = [left[index] ?? '', right[index] ?? ''];
    if (one !== other) return one < other ? -1 : 1;
  }
  return left.length - right.length;
}

import { readFile } from 'node:fs/promises';
import path from 'node:path';

const MIB = 1024 * 1024;

export interface AvailableMemory {
  readonly availableMiB: number;
  /** What sets the bound. */
  readonly boundBy: 'host' | 'cgroup';
}

/**
 * How much memory machines may still take: what the kernel counts as available, or what the control groups above
 * this process leave, whichever is less. In a container the first says nothing.
 *
 * @param root Where /proc and /sys lie. Default `/`.
 */
export async function readAvailableMemory(root = '/'): Promise<AvailableMemory> {
  const meminfo = await readText(path.join(root, 'proc/meminfo'));
  const availableKiB = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0);
  const host = { availableMiB: Math.floor(availableKiB / 1024), boundBy: 'host' as const };
  const leftBytes = await readCgroupLeft(root);
  if (leftBytes === undefined || leftBytes / MIB >= host.availableMiB) return host;
  return { availableMiB: Math.max(0, Math.floor(leftBytes / MIB)), boundBy: 'cgroup' };
}

async function readCgroupLeft(root: string): Promise<number | undefined> {
  let leastBytes: number | undefined;
  for (const line of (await readText(path.join(root, 'proc/self/cgroup'))).split('\n')) {
    const [, controllers, group] = line.split(':');
    if (controllers === undefined || group === undefined) continue;
    const isUnified = controllers === '';
    if (!isUnified && !controllers.split(',').includes('memory')) continue;
    const mount = path.join(root, 'sys/fs/cgroup', isUnified ? '' : 'memory');
    for (const folder of foldersUpwards(mount, group)) {
      const leftBytes = await readLeft(folder, isUnified);
      if (leftBytes !== undefined) leastBytes = Math.min(leastBytes ?? leftBytes, leftBytes);
    }
  }
  return leastBytes;
}

/** Every group counts: a limit holds for all that is below. In a container the path may start above the mount. */
function foldersUpwards(mount: string, group: string): string[] {
  const parts = group.split('/').filter((part) => part !== '' && part !== '..');
  return [...parts.map((_, i) => path.join(mount, ...parts.slice(0, parts.length - i))), mount];
}

async function readLeft(folder: string, isUnified: boolean): Promise<number | undefined> {
  const limit = await readText(path.join(folder, isUnified ? 'memory.max' : 'memory.limit_in_bytes'));
  // No limit is the word `max` in version 2, and a number beyond all memory in version 1.
  if (!/^\d+$/.test(limit.trim())) return undefined;
  const usedBytes = Number(
    await readText(path.join(folder, isUnified ? 'memory.current' : 'memory.usage_in_bytes')),
  );
  // Cached files are counted as used and given back when needed.
  const stat = await readText(path.join(folder, 'memory.stat'));
  const cachedBytes = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(stat)?.[1] ?? 0);
  return Number(limit) - usedBytes + cachedBytes;
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

import { readdir, readFile } from 'node:fs/promises';

import type { Budget } from '../../core/index.js';
import { destroyDomain } from './label.js';
import type { Virsh } from './virsh.js';

/** Bit of SIGTERM in the masks of /proc/<pid>/status. */
const TERM_BIT = 1n << 14n;
const LOOK_MS = 5;
/** Both happen at once, unless the host is very busy. */
const MOMENT_MS = 5000;

/**
 * Ends a domain as the loss of power does. libvirt asks QEMU to end, which then writes out what it still holds of the
 * disks: more than a machine without power has. So QEMU is stopped first, and killed as soon as libvirt has asked.
 *
 * @param uuid Of the domain.
 */
export async function cutPower(virsh: Virsh, uuid: string, budget: Budget): Promise<void> {
  const pid = await findQemu(uuid);
  if (pid === undefined || !send(pid, 'SIGSTOP')) {
    await destroyDomain(virsh, uuid, budget);
    return;
  }
  const waitUntil = (isSo: (status: string) => boolean): Promise<unknown> =>
    budget
      .part('QEMU to be stopped', MOMENT_MS)
      .poll(async () => (isSo(await readStatus(pid)) ? true : undefined), LOOK_MS)
      .catch(() => undefined); // killed all the same
  // Of two signals that wait at the same time the other one would be taken first.
  await waitUntil(isStopped);
  const destroyed = destroyDomain(virsh, uuid, budget);
  destroyed.catch(() => undefined);
  await Promise.race([waitUntil(isAskedToEnd), destroyed.catch(() => undefined)]);
  send(pid, 'SIGKILL');
  await destroyed;
}

/** The process of a domain, by the words that libvirt starts it with. It belongs to us: see `describeSecurity`. */
async function findQemu(uuid: string): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words[words.indexOf('-uuid') + 1] === uuid) return Number(name);
  }
  return undefined;
}

/** @returns Empty when there is no such process. */
function readStatus(pid: number): Promise<string> {
  return readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => '');
}

/** Whether a process does nothing any more. */
function isStopped(status: string): boolean {
  const state = /^State:\s*(\w)/m.exec(status)?.[1];
  return state === undefined || 'TZX'.includes(state);
}

/** Whether SIGTERM waits for a process, or nothing can wait for it any more. */
function isAskedToEnd(status: string): boolean {
  const pending = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return pending === undefined || (BigInt(`0x${pending}`) & TERM_BIT) !== 0n;
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // it has ended in between
  }
}

import type { Budget } from '../../core/index.js';
import type { LibvirtHost } from './host.js';
import { destroyDomain } from './label.js';
import type { Virsh } from './virsh.js';

/** Both happen at once, unless the host is very busy. */
const MOMENT_MS = 5000;

/**
 * Ends a domain as the loss of power does. libvirt asks QEMU to end, which then writes out what it still holds of the
 * disks: more than a machine without power has. So QEMU is stopped first, and killed as soon as libvirt has asked.
 *
 * @param machine.host Where its QEMU runs. @param machine.uuid Of the domain.
 */
export async function cutPower(
  virsh: Virsh,
  { host, uuid }: { readonly host: LibvirtHost; readonly uuid: string },
  budget: Budget,
): Promise<void> {
  const moment = (what: string): Budget => budget.part(what, MOMENT_MS);
  const pid = (await host.run(stopQemu(uuid), moment('QEMU to be stopped')).catch(() => '')).trim();
  if (pid === '') {
    await destroyDomain(virsh, uuid, budget);
    return;
  }
  const destroyed = destroyDomain(virsh, uuid, budget);
  destroyed.catch(() => undefined);
  const asked = host.run(waitForRequest(pid), moment('QEMU to be asked to end')).catch(() => undefined);
  await Promise.race([asked, destroyed.catch(() => undefined)]);
  await host.run(`kill -KILL ${pid} 2>/dev/null || :`, moment('QEMU to be killed')).catch(() => undefined);
  await destroyed;
}

/**
 * Finds the process of a domain by the words that libvirt starts it with, stops it and waits until it does nothing any
 * more: of two signals that wait at the same time the other one would be taken first. It belongs to us: see
 * `describeSecurity`.
 *
 * @returns A script that prints its number; nothing when there is none.
 */
function stopQemu(uuid: string): string {
  return `
for file in $(grep -lsz '^${uuid}$' /proc/[0-9]*/cmdline); do
  tr '\\0' '\\n' <"$file" 2>/dev/null | grep -A1 -x -e -uuid | grep -qx -e '${uuid}' || continue
  pid=\${file#/proc/}
  pid=\${pid%/cmdline}
  kill -STOP "$pid" 2>/dev/null || exit 0
  while grep -q '^State:.[^TZX]' "/proc/$pid/status" 2>/dev/null; do sleep 0.01; done
  echo "$pid"
  exit 0
done`;
}

/** A script that ends when SIGTERM (bit 14) waits for a process, or nothing can wait for it any more. */
function waitForRequest(pid: string): string {
  return `
while pending=$(sed -n 's/^ShdPnd:[[:space:]]*//p' /proc/${pid}/status 2>/dev/null) && [ -n "$pending" ]; do
  case $pending in *[4-7c-f]???) exit 0 ;; esac
  sleep 0.01
done`;
}

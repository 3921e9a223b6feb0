import { readFileSync } from 'node:fs';

/** Linux shows times in /proc in hundredths of a second on every supported machine (USER_HZ). */
const TICK_MS = 10;

/** Processor time of a process and all its threads, user and system, in milliseconds. Undefined when it has ended. */
export function processorMs(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const total = Number(fields[11]) + Number(fields[12]);
    return total === 0 ? undefined : total * TICK_MS;
  } catch {
    return undefined;
  }
}

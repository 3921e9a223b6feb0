import { readdirSync, readFileSync } from 'node:fs';

/** A process that cannot be confused with a later one of the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot, from /proc/<pid>/stat. */
  readonly startTicks: string;
}

/** @returns Undefined when there is no such process, or only its zombie. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const startTicks = readStatus(pid)?.[19];
  return startTicks === undefined ? undefined : { pid, startTicks };
}

/** Whether a process group has a member that is not just a zombie. */
export function hasLivingMember(group: number): boolean {
  return readdirSync('/proc').some(
    (name) => /^\d+$/.test(name) && readStatus(Number(name))?.[2] === String(group),
  );
}

/** The fields of /proc/<pid>/stat from the third (the state) on; undefined for a zombie and where there is none. */
function readStatus(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    // The second field is the name in parentheses and may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields;
  } catch {
    return undefined;
  }
}

/** Whether that very process still runs. `kill -0` would call a zombie alive and a re-used number the same. */
export function isAlive(identity: ProcessIdentity | undefined): boolean {
  return identity !== undefined && identityOf(identity.pid)?.startTicks === identity.startTicks;
}

export function formatIdentity(identity: ProcessIdentity): string {
  return `${String(identity.pid)} ${identity.startTicks}`;
}

export function parseIdentity(text: string): ProcessIdentity | undefined {
  const match = /^(\d+) (\d+)\s*$/.exec(text);
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : { pid: Number(match[1]), startTicks: match[2] };
}

/** This process, in the form that lock and lease files hold. */
export function ownIdentity(): string {
  const own = identityOf(process.pid);
  if (own === undefined) throw new Error('/proc does not show this process');
  return formatIdentity(own);
}

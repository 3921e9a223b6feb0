import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Budget } from './budget.js';
import { HarnessError } from './errors.js';
import {
  formatIdentity,
  identityOf,
  isAlive,
  ownIdentity,
  parseIdentity,
  type ProcessIdentity,
} from './identity.js';

const OWNER_FILE = 'owner';
const PROCESSES_DIR = 'processes';
const HYPERVISOR_FILE = 'hypervisor';
/** Names of leases. Whatever else lies in the work folder (somebody may have named their home) is not ours to remove. */
const LEASE_NAME = /^[0-9a-f]{8}$/;

/**
 * A work folder of one machine, and with it the note on disk of everything that was started for it. While its owner
 * lives nobody else touches it; once the owner is dead, `reapLeases` ends what is left and removes it.
 */
export interface Lease {
  /** Private folder for disks and sockets; its path is short enough for Unix sockets. */
  readonly dir: string;
  /** Notes a process before anything can go wrong with it. */
  noteProcess(pid: number): Promise<void>;
  /** Notes the address of somebody who runs this machine for us, and goes on when we die. */
  noteHypervisor(uri: string): Promise<void>;
  /** Removes the folder. Processes must have ended before. */
  release(): Promise<void>;
}

/**
 * @param workDir Folder of all leases of this user.
 * @throws {HarnessError} HOST_UNFIT when the folder belongs to somebody else or is open to others.
 */
export async function takeLease(workDir: string): Promise<Lease> {
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  const info = await stat(workDir);
  if (info.uid !== process.getuid?.() || (info.mode & 0o077) !== 0) {
    throw new HarnessError('HOST_UNFIT', `The work folder ${workDir} is not private to this user`, {
      hint: `Remove it (rm -rf ${workDir}) or name another one with IMPERM_WORK.`,
    });
  }
  const dir = path.join(workDir, randomBytes(4).toString('hex'));
  await mkdir(dir, { mode: 0o700 });
  await writeFile(path.join(dir, OWNER_FILE), ownIdentity());
  await mkdir(path.join(dir, PROCESSES_DIR));
  return {
    dir,
    noteProcess: async (pid) => {
      const identity = identityOf(pid);
      if (identity !== undefined) {
        await writeFile(path.join(dir, PROCESSES_DIR, String(pid)), formatIdentity(identity));
      }
    },
    noteHypervisor: (uri) => writeFile(path.join(dir, HYPERVISOR_FILE), uri),
    release: () => rm(dir, { recursive: true, force: true }),
  };
}

export interface ReapResult {
  /** Folders removed. */
  readonly folders: number;
  /** Processes killed. */
  readonly processes: number;
  /** Machines ended that somebody else ran for a dead owner. */
  readonly machines: number;
  /** Folders left alone because their owner runs. */
  readonly inUse: number;
  /** Folders left alone because whoever runs their machines could not be asked to end them. */
  readonly unreachable: number;
}

/**
 * Ends and removes what dead runs of this user left behind, and only that. Returns when the processes are gone.
 *
 * @param reapHypervisor Ends what dead runs of this user left at an address. @returns How many machines it has ended.
 */
export async function reapLeases(
  workDir: string,
  reapHypervisor: (uri: string) => Promise<number>,
): Promise<ReapResult> {
  let folders = 0;
  let processes = 0;
  let inUse = 0;
  let unreachable = 0;
  const asked = new Map<string, number | undefined>();
  for (const name of (await readdir(workDir).catch(() => [])).filter((entry) => LEASE_NAME.test(entry))) {
    const dir = path.join(workDir, name);
    const owner = parseIdentity(await readFile(path.join(dir, OWNER_FILE), 'utf8').catch(() => ''));
    if (owner === undefined) {
      // Just being made; or its maker died in that moment, before there could be anything else in it.
      if (!(await isYoung(dir)) && (await removeUnowned(dir))) folders += 1;
      continue;
    }
    if (isAlive(owner)) {
      inUse += 1;
      continue;
    }
    const uri = await readFile(path.join(dir, HYPERVISOR_FILE), 'utf8').catch(() => '');
    // Before the files of its machines are gone; once for all of them.
    if (uri !== '' && !asked.has(uri)) asked.set(uri, await reapHypervisor(uri).catch(() => undefined));
    if (uri !== '' && asked.get(uri) === undefined) {
      unreachable += 1;
      continue;
    }
    for (const identity of await notedProcesses(dir)) {
      if (!isAlive(identity) || !kill(identity.pid)) continue;
      processes += 1;
      await waitUntilGone(identity);
    }
    await rm(dir, { recursive: true, force: true });
    folders += 1;
  }
  const machines = [...asked.values()].reduce((sum: number, count) => sum + (count ?? 0), 0);
  return { folders, processes, machines, inUse, unreachable };
}

async function removeUnowned(dir: string): Promise<boolean> {
  await rm(path.join(dir, OWNER_FILE), { force: true }).catch(() => undefined);
  return rmdir(dir).then(
    () => true,
    () => false,
  );
}

/** A killed process gives back its memory first; longer than this takes only one that the kernel cannot end. */
const GONE_LIMIT_MS = 5000;

async function waitUntilGone(identity: ProcessIdentity): Promise<void> {
  const budget = Budget.start('a killed process to be gone', GONE_LIMIT_MS, new AbortController().signal);
  await budget.poll(() => (isAlive(identity) ? undefined : true), 10).catch(() => undefined);
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false; // it has ended in between
  }
}

async function isYoung(dir: string): Promise<boolean> {
  const info = await stat(dir).catch(() => undefined);
  return info === undefined || Date.now() - info.mtimeMs < 10_000;
}

async function notedProcesses(dir: string): Promise<ProcessIdentity[]> {
  const names = await readdir(path.join(dir, PROCESSES_DIR)).catch(() => []);
  const identities: ProcessIdentity[] = [];
  for (const name of names) {
    const identity = parseIdentity(
      await readFile(path.join(dir, PROCESSES_DIR, name), 'utf8').catch(() => ''),
    );
    if (identity !== undefined) identities.push(identity);
  }
  return identities;
}

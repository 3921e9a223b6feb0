import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';

import { parseStringPromise, processors } from 'xml2js';

import { type Budget, HarnessError, ownIdentity } from '../../core/index.js';
import type { Virsh } from './virsh.js';

export const LABEL_NAMESPACE = 'urn:imperm:machine:1';

/** Whose machine a domain is: kept in its metadata, so that it can be found when nothing else of the run is left. */
export interface DomainLabel {
  /** Folder of the machine, without its path. */
  readonly run: string;
  /** The process that started it, as number and start time. */
  readonly owner: string;
  /** Where that process number means something: a boot of a host, and a namespace in it. */
  readonly host: string;
  /** User id. */
  readonly user: string;
}

/** The label of a machine of ours. */
export async function makeLabel(machineDir: string): Promise<DomainLabel> {
  return { run: path.basename(machineDir), owner: ownIdentity(), ...(await describeOwner()) };
}

/** Who we are, as labels say it. */
export async function describeOwner(): Promise<Pick<DomainLabel, 'host' | 'user'>> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return {
    host: `${bootId} ${await readlink('/proc/self/ns/pid')}`,
    user: String(process.getuid?.() ?? ''),
  };
}

/** Whose a domain is. @returns Undefined for somebody else's domain, or one that has just ended. */
export async function readLabel(virsh: Virsh, id: string, budget: Budget): Promise<DomainLabel | undefined> {
  const text = await virsh.run(['metadata', id, LABEL_NAMESPACE], budget).catch((error: unknown) => {
    if (error instanceof HarnessError && error.code === 'TOOL_FAILED') return '';
    throw error;
  });
  if (text.trim() === '') return undefined;
  const { machine } = (await parseStringPromise(text, { tagNameProcessors: [processors.stripPrefix] })) as {
    machine?: { readonly $?: DomainLabel };
  };
  return machine?.$;
}

/**
 * Ends a domain. libvirt's log of it goes, too.
 *
 * @param id Its name or UUID.
 * @returns Whether there was one.
 */
export async function destroyDomain(virsh: Virsh, id: string, budget: Budget): Promise<boolean> {
  try {
    await virsh.run(['destroy', '--remove-logs', id], budget);
    return true;
  } catch (error) {
    if (
      error instanceof HarnessError &&
      /failed to get domain|domain is not running/.test(error.details ?? '')
    )
      return false;
    throw error;
  }
}

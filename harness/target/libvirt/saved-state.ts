import { parseStringPromise } from 'xml2js';

import type { Budget } from '../../core/index.js';
import type { SavedIdentity } from './domain-xml.js';
import type { Virsh } from './virsh.js';

/** Which domain lies in a file of saved state. libvirt restores it as no other. */
export async function readSavedIdentity(
  virsh: Virsh,
  stateFile: string,
  budget: Budget,
): Promise<SavedIdentity> {
  const { domain } = (await parseStringPromise(
    await virsh.run(['save-image-dumpxml', stateFile], budget),
  )) as { domain: Record<'name' | 'uuid' | 'genid', readonly [string]> };
  return { name: domain.name[0], uuid: domain.uuid[0], generation: domain.genid[0] };
}

import { type Budget, isAlive, parseIdentity } from '../../core/index.js';
import { LibvirtHost } from './host.js';
import { describeOwner, destroyDomain, readLabel } from './label.js';
import { reapRemoteFolders } from './remote-folder.js';
import type { Virsh } from './virsh.js';

/**
 * Ends the domains that dead runs of this user left at a libvirt, and only those. What they had on disk lies in the
 * folders of their leases; what of it is on another host goes with them.
 *
 * @returns How many.
 * @throws As `Virsh.run`.
 */
export async function reapDomains(virsh: Virsh, budget: Budget): Promise<number> {
  const { host, user } = await describeOwner();
  const ids = (await virsh.run(['list', '--uuid'], budget)).split('\n').filter((id) => id !== '');
  let count = 0;
  for (const id of ids) {
    const label = await readLabel(virsh, id, budget);
    if (label?.host !== host || label.user !== user) continue;
    const owner = parseIdentity(label.owner);
    // A label that cannot be read is no proof of a death.
    if (owner === undefined || isAlive(owner)) continue;
    if (await destroyDomain(virsh, id, budget)) count += 1;
  }
  const there = new LibvirtHost(virsh.uri);
  if (there.isRemote) await reapRemoteFolders(there, budget);
  return count;
}

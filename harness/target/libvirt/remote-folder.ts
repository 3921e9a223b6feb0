import { type Budget, isAlive, parseIdentity, quote } from '../../core/index.js';
import type { LibvirtHost } from './host.js';
import { describeOwner, type DomainLabel } from './label.js';

/** Short: paths of sockets end at 107 bytes. */
const FOLDER = /^\/var\/tmp\/imperm\.\w{8}$/;

/** Makes the folder of a machine on another host, with a label: whose it is can be read when nobody else knows. */
export async function makeRemoteFolder(
  host: LibvirtHost,
  label: DomainLabel,
  budget: Budget,
): Promise<string> {
  const write = `umask 077; dir=$(mktemp -d /var/tmp/imperm.XXXXXXXX) && printf %s ${quote(JSON.stringify(label))} >"$dir/label" && echo "$dir"`;
  const folder = (await host.run(write, budget)).trim().split('\n').at(-1) ?? '';
  if (!FOLDER.test(folder)) throw new Error(`mktemp printed ${JSON.stringify(folder)}`);
  return folder;
}

/**
 * Removes the folders that machines of dead runs of this user left on the host of a libvirt, and only those.
 *
 * @throws As `LibvirtHost.run`.
 */
export async function reapRemoteFolders(host: LibvirtHost, budget: Budget): Promise<void> {
  const list = `for file in /var/tmp/imperm.*/label; do
  [ -O "$file" ] && printf '%s\\t%s\\n' "\${file%/label}" "$(cat "$file")"
done; :`;
  const us = await describeOwner();
  for (const line of (await host.run(list, budget)).split('\n')) {
    const [folder = '', text = ''] = line.split('\t');
    if (!FOLDER.test(folder)) continue;
    const label = readJson(text);
    if (label?.host !== us.host || label.user !== us.user) continue;
    const owner = parseIdentity(label.owner);
    if (owner !== undefined && !isAlive(owner)) await host.run(`rm -rf ${folder}`, budget);
  }
}

function readJson(text: string): DomainLabel | undefined {
  try {
    return JSON.parse(text) as DomainLabel;
  } catch {
    return undefined; // just being written
  }
}

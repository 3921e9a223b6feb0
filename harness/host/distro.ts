import { readFile } from 'node:fs/promises';

/** How packages are installed here. */
export type DistroFamily = 'debian' | 'ubuntu' | 'fedora' | 'arch' | 'nixos' | 'other';

export interface Distro {
  readonly family: DistroFamily;
  /** `Debian GNU/Linux 12 (bookworm)`. */
  readonly name: string;
}

/** Distributions that name none of these as their model are `other`. Ubuntu names Debian too, so it comes first. */
const FAMILIES: readonly (readonly [id: string, family: DistroFamily])[] = [
  ['nixos', 'nixos'],
  ['ubuntu', 'ubuntu'],
  ['debian', 'debian'],
  ['fedora', 'fedora'],
  ['rhel', 'fedora'],
  ['arch', 'arch'],
];

/**
 * Reads which distribution this host runs.
 *
 * @param file Default `/etc/os-release`; a missing one is an unknown distribution.
 */
export async function readDistro(file = '/etc/os-release'): Promise<Distro> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(?:"([^"]*)"|'([^']*)'|(.*))$/.exec(line.trim());
    if (match?.[1] !== undefined) values.set(match[1], match[2] ?? match[3] ?? match[4] ?? '');
  }
  const ids = [values.get('ID') ?? '', ...(values.get('ID_LIKE') ?? '').split(' ')];
  const family = FAMILIES.find(([id]) => ids.includes(id))?.[1] ?? 'other';
  return { family, name: values.get('PRETTY_NAME') ?? values.get('NAME') ?? 'an unknown distribution' };
}

import { type Budget, HarnessError } from '../../core/index.js';
import type { HardwareHost } from '../../scenario/index.js';
import { readBootVariables } from './boot-variables.js';
import { connectHost, readInstallerKeys } from './connect.js';
import type { AskedHost } from './real-machine.js';

/** What an install needs in the installer, beside what every Linux has. */
const TOOLS = [
  'bootctl',
  'cryptsetup',
  'sgdisk',
  'lsblk',
  'findmnt',
  'udevadm',
  'wipefs',
  'mkfs.vfat',
  'tar',
];

const DMI = '/sys/class/dmi/id';

/**
 * Asks a machine what it is. Writes nothing there.
 *
 * @throws {HarnessError} USAGE when the key cannot be read; HOST_UNFIT when what runs there cannot install; MACHINE_UNREACHABLE,
 * WRONG_MACHINE, TIMEOUT.
 */
export async function askHardware(host: HardwareHost, budget: Budget): Promise<AskedHost> {
  const keys = await readInstallerKeys(host);
  const shell = await connectHost(host, budget);
  try {
    const asked = await shell.run(
      `show() { printf '%s %s\\n' "$1" "$(tr '\\n' ' ' 2>/dev/null <"$2")"; }
for name in sys_vendor product_name bios_vendor bios_version; do show $name ${DMI}/$name; done
show boot_id /proc/sys/kernel/random/boot_id
printf 'memory %s\\n' "$(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
[ ! -e /sys/class/tpm/tpm0 ] || echo 'tpm yes'
for tool in ${TOOLS.join(' ')}; do command -v $tool >/dev/null || printf 'missing-%s %s\\n' $tool $tool; done`,
      budget,
    );
    const words = new Map(
      asked.split('\n').map((line) => {
        const at = line.indexOf(' ');
        return [line.slice(0, at), line.slice(at + 1).trim()] as const;
      }),
    );
    const missing = [...words].filter(([name]) => name.startsWith('missing-')).map(([, tool]) => tool);
    if (missing.length > 0) {
      throw new HarnessError('HOST_UNFIT', `The installer on ${host.address} lacks ${missing.join(', ')}`, {
        hint: '`imperm image` makes an installer that has everything.',
      });
    }
    const pair = (one: string, other: string): string =>
      [words.get(one) ?? '', words.get(other) ?? ''].filter((word) => word !== '').join(' ') || 'unknown';
    return {
      host,
      keys,
      facts: {
        model: pair('sys_vendor', 'product_name'),
        firmware: pair('bios_vendor', 'bios_version'),
        memoryMiB: Math.floor(Number.parseInt(words.get('memory') ?? '0', 10) / 1024),
        bootId: words.get('boot_id') ?? '',
        hasTpm: words.has('tpm'),
        variables: await readBootVariables(shell, budget),
      },
    };
  } finally {
    shell.close();
  }
}

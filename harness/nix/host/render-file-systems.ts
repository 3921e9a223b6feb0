import { HarnessError } from '../../core/index.js';
import { isAlwaysNeededForBoot } from '../../scenario/index.js';
import type { HostDescription } from './description.js';

interface Mount {
  readonly device: string;
  readonly fsType: string;
  readonly options?: readonly string[];
  readonly neededForBoot?: true;
  readonly inStageOne: boolean;
}

/** What imperm can judge. */
const TYPES = ['btrfs', 'ext4', 'vfat', 'tmpfs', 'none'];
/** Without these nothing can be said about a host. */
const ESSENTIAL = ['/', '/nix'];
/** What NixOS and disko add by themselves. */
const IMPLIED = new Set(['defaults', 'x-initrd.mount']);

/**
 * Says what is mounted in the words of a scenario.
 *
 * @throws {HarnessError} USAGE when the root or the store is on a file system that imperm cannot judge.
 */
export function renderFileSystems(
  { fileSystems, luks }: HostDescription,
  name: string,
): {
  readonly fileSystems: Readonly<Record<string, Mount>>;
  readonly isTmpfsRoot: boolean;
  readonly warnings: readonly string[];
} {
  const warnings: string[] = [];
  const found = fileSystems.flatMap((each): [string, Mount][] => {
    const { mountPoint, neededForBoot } = each;
    const options = [...new Set(each.options)].filter((option) => !IMPLIED.has(option));
    const isBind = options.includes('bind') || options.includes('rbind');
    const fsType = isBind ? 'none' : each.fsType;
    const why = whyNot({ ...each, fsType, options });
    if (why !== undefined) {
      if (ESSENTIAL.includes(mountPoint))
        throw new HarnessError('USAGE', `${name} cannot be tested: its ${mountPoint} ${why}`, {
          hint: `imperm can judge ${TYPES.slice(0, -1).join(', ')} and bind mounts.`,
        });
      warnings.push(`${mountPoint} ${why}: it is not looked at.`);
      return [];
    }
    return [
      [
        mountPoint,
        {
          device: plainDevice(each.device, luks),
          fsType,
          ...(options.length === 0 ? {} : { options }),
          ...(neededForBoot ? { neededForBoot } : {}),
          inStageOne: neededForBoot || isAlwaysNeededForBoot(mountPoint),
        },
      ],
    ];
  });
  return {
    fileSystems: Object.fromEntries(found),
    isTmpfsRoot: found.some(([mountPoint, { fsType }]) => mountPoint === '/' && fsType === 'tmpfs'),
    warnings,
  };
}

function whyNot(each: {
  readonly mountPoint: string;
  readonly device: string;
  readonly fsType: string;
  readonly options: readonly string[];
}): string | undefined {
  const { device, fsType, options } = each;
  if (fsType === 'auto') return 'has no fsType';
  if (!TYPES.includes(fsType)) return `is ${fsType}`;
  if (fsType !== 'tmpfs' && !device.startsWith('/')) return `is mounted from ${device}, which is no path`;
  if (/\s/.test(each.mountPoint + device)) return 'has white space in its path or device';
  if (options.includes('noauto')) return 'is mounted on demand';
  if (options.some((option) => /[\s,]/.test(option))) return 'has options that are no single words';
  return undefined;
}

/** A logical volume has two names, and what is below /dev/mapper is taken for a LUKS device in a scenario. */
function plainDevice(device: string, luks: HostDescription['luks']): string {
  const [, mapped] = /^\/dev\/mapper\/(.+)$/.exec(device) ?? [];
  if (mapped === undefined || luks.some(({ name }) => name === mapped)) return device;
  const [, group, volume] = /^((?:[^-]|--)+)-((?:[^-]|--)+)$/.exec(mapped) ?? [];
  if (group === undefined || volume === undefined) return device;
  return `/dev/${group.replaceAll('--', '-')}/${volume.replaceAll('--', '-')}`;
}

import { checkServices } from './check-services.js';
import { formatPath } from './located.js';
import { findHolder, isAlwaysNeededForBoot } from './mount-tree.js';
import { suggest } from './problem.js';
import type { RuleContext } from './rule-context.js';
import type { SystemInput } from './schema.js';

const MAPPER = '/dev/mapper/';
const SYSTEM = 'system';

/**
 * Checks what the system's parts say about each other. Only what cannot be tried is refused: a layout that would
 * boot and lose its files is for the machine to prove.
 */
export function checkSystem(system: SystemInput, context: RuleContext): void {
  checkNeededMounts(system, context);
  checkFileSystems(system, context);
  checkMappers(system, context);
  checkSwap(system, context);
  checkPersistence(system, context);
  checkUsers(system, context);
  checkServices(system, context);
}

const WHY_MOUNTED: Readonly<Record<string, string>> = {
  '/': 'without it there is no root to wipe',
  '/nix': 'it holds the whole system, and on a root that is wiped it would not last a boot',
};

function checkNeededMounts(system: SystemInput, context: RuleContext): void {
  const path = [SYSTEM, 'fileSystems'];
  if (!context.isWhole(path)) return;
  for (const [mountPoint, why] of Object.entries(WHY_MOUNTED)) {
    if (system.fileSystems[mountPoint] === undefined) {
      context.report(path, `${formatPath([...path, mountPoint])} is missing: ${why}`);
    }
  }
}

/** What the guest mounts and the inspector checks; `none` and `auto` are for bind mounts. */
const TESTED_TYPES = ['btrfs', 'ext4', 'vfat', 'tmpfs', 'none', 'auto'];

function checkFileSystems(system: SystemInput, context: RuleContext): void {
  for (const [mountPoint, { device, fsType, options }] of Object.entries(system.fileSystems)) {
    const path = [SYSTEM, 'fileSystems', mountPoint];
    if (!device.startsWith('/') && fsType !== 'tmpfs') {
      context.report(
        [...path, 'device'],
        `${formatPath([...path, 'device'])} must be an absolute path, such as /dev/disk/by-partlabel/root; only tmpfs has none`,
      );
    }
    if (!TESTED_TYPES.includes(fsType)) {
      context.report(
        [...path, 'fsType'],
        `${formatPath([...path, 'fsType'])} is ${fsType}, which the guest cannot test; it knows ${TESTED_TYPES.join(', ')}`,
      );
    }
    const seen = new Set<string>();
    for (const [index, option] of options.entries()) {
      const key = option.startsWith('subvol=') ? 'subvol=' : option;
      if (seen.has(key)) {
        context.report(
          [...path, 'options', index],
          `${formatPath([...path, 'options'])} has "${key}" twice; which one counts is up to the kernel`,
        );
      }
      seen.add(key);
    }
  }
}

function checkMappers(system: SystemInput, context: RuleContext): void {
  if (!context.isWhole([SYSTEM, 'luks'])) return;
  const known = Object.keys(system.luks);
  const check = (path: (string | number)[], device: string): void => {
    const name = device.startsWith(MAPPER) ? device.slice(MAPPER.length) : undefined;
    if (name === undefined || known.includes(name)) return;
    const names = known.length === 0 ? 'system.luks is empty' : `system.luks has ${known.join(', ')}`;
    context.report(path, `nothing unlocks ${device}: ${names}.${suggest(name, known)}`);
  };
  for (const [mountPoint, { device, options }] of Object.entries(system.fileSystems)) {
    check([SYSTEM, 'fileSystems', mountPoint, 'device'], device);
    for (const [index, option] of options.entries()) {
      if (option.startsWith('device=')) {
        check([SYSTEM, 'fileSystems', mountPoint, 'options', index], option.slice('device='.length));
      }
    }
  }
  for (const [index, { device }] of system.swapDevices.entries()) {
    check([SYSTEM, 'swapDevices', index, 'device'], device);
  }
}

function checkSwap(system: SystemInput, context: RuleContext): void {
  for (const [index, { device, randomEncryption }] of system.swapDevices.entries()) {
    if (!randomEncryption || !/^\/dev\/disk\/by-(uuid|label)\//.test(device)) continue;
    context.report(
      [SYSTEM, 'swapDevices', index, 'device'],
      `${device} cannot be encrypted with a random key: labels and UUIDs are overwritten at every boot, and NixOS refuses it. ` +
        'Use /dev/disk/by-partuuid/… or /dev/disk/by-partlabel/….',
    );
  }
}

function checkPersistence(system: SystemInput, context: RuleContext): void {
  const owners = new Map<string, string>();
  for (const [root, { directories, files }] of Object.entries(system.persistence)) {
    const path = [SYSTEM, 'persistence', root];
    requireStageOneMount(root, {
      system,
      context,
      at: path,
      why: 'what persists is bound and linked from there before',
    });
    const entries = [
      ...directories.map((each, index) => ({
        at: [...path, 'directories', index],
        persisted: typeof each === 'string' ? each : each.directory,
      })),
      ...files.map((each, index) => ({
        at: [...path, 'files', index],
        persisted: typeof each === 'string' ? each : each.file,
      })),
    ];
    for (const { at, persisted } of entries) {
      const owner = owners.get(persisted);
      if (owner !== undefined) {
        context.report(
          at,
          `${persisted} is persisted twice, the first time in ${owner}; only one of them could be seen`,
        );
      }
      owners.set(persisted, owner ?? root);
      if (system.fileSystems[persisted] !== undefined) {
        context.report(
          at,
          `${persisted} is a mount of its own in system.fileSystems and keeps its files anyway; persist it or mount it`,
        );
      }
    }
  }
}

function checkUsers(system: SystemInput, context: RuleContext): void {
  for (const [name, user] of Object.entries(system.users)) {
    const path = [SYSTEM, 'users', name];
    if (name !== 'root' && !user.isNormalUser && context.isWhole(path)) {
      context.report(
        path,
        `${formatPath(path)} must have "isNormalUser: true": NixOS refuses a user who is neither normal nor system`,
      );
    }
  }
}

/** NixOS activates the system right after stage 1; a file system mounted later is not there yet. */
function requireStageOneMount(
  file: string,
  options: { system: SystemInput; context: RuleContext; at: readonly string[]; why: string },
): void {
  const { system, context, at, why } = options;
  if (!context.isWhole([SYSTEM, 'fileSystems'])) return;
  const mountPoint = findHolder(file, Object.keys(system.fileSystems));
  if (mountPoint === undefined || isAlwaysNeededForBoot(mountPoint)) return;
  if (system.fileSystems[mountPoint]?.neededForBoot === true) return;
  context.report(
    at,
    `${file} lies on ${mountPoint}, which is mounted only after stage 1: ${why}. ` +
      `Add "neededForBoot: true" to ${formatPath([SYSTEM, 'fileSystems', mountPoint])}.`,
  );
}

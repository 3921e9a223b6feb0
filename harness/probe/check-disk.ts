import { findRoot, promisedSystem, type ScenarioPromise } from '../scenario/index.js';
import { checkBlank } from './blank.js';
import { checkOwnersAfter, checkSameSubvolumes } from './check-image.js';
import { checkKeptOnDisk } from './check-kept-on-disk.js';
import { count, type DiskContext, type Finding } from './finding.js';

/** Everything a scenario promises of the powered-off disk, seen from another machine. */
export function checkDisk(context: DiskContext): Finding[] {
  return context.scenario.promises.flatMap((promise): Finding[] => {
    if (promise.kind === 'disk-clean') return [checkDiskClean(promise, context)];
    if (promise.kind === 'blank') return [{ promise, ...checkBlank(promise, context) }];
    if (promise.kind === 'image-subvolumes') return [{ promise, ...checkSameSubvolumes(context) }];
    if (promise.kind === 'image-owners') return [{ promise, ...checkOwnersAfter(context) }];
    if (promise.kind === 'kept' && promise.of !== 'file') return checkKeptOnDisk(promise, context);
    if (promise.kind === 'gone' && promise.path === '/') return checkGoneFromDisk(promise, context);
    return [];
  });
}

function checkDiskClean(promise: ScenarioPromise, context: DiskContext): Finding {
  const { luks, fileSystems, partitionTable } = context.evidence;
  const faults: { readonly what: string; readonly output: string; readonly cause?: string }[] = [
    ...(partitionTable.valid
      ? []
      : [{ what: 'the partition table has faults', output: partitionTable.output }]),
    ...luks
      .filter(({ valid }) => !valid)
      .map(({ name, output }) => ({ what: `the LUKS header of ${name} cannot be read`, output })),
    ...luks
      .filter(({ name, headerDigest }) => context.installed.headers.get(name) !== headerDigest)
      .map(({ name }) => ({
        what: `the LUKS header of ${name} is not the one that was set up`,
        output: '',
        cause:
          'A key was added, removed or replaced after the install, or the device was set up anew. Keys that the steps of a scenario enrol are known.',
      })),
    ...fileSystems
      .filter(({ clean, fsType, output }) => !clean && !(context.wasCut && isOnlyDirty(fsType, output)))
      .map(({ device, fsType, output }) => ({ what: `the ${fsType} on ${device} has faults`, output })),
  ];
  const [first] = faults;
  if (first === undefined) {
    return {
      promise,
      status: 'pass',
      found: `partition table, ${count(luks.length, 'LUKS header')} and ${fileSystems.map(({ fsType }) => fsType).join(', ')} without faults`,
    };
  }
  return {
    promise,
    status: 'fail',
    expected: 'the checkers of the partition table, LUKS and every file system find nothing',
    found: faults.map(({ what }) => what).join('; '),
    evidence: first.output
      .split('\n')
      .filter((line) => line !== '')
      .slice(-12),
    ...(first.cause === undefined ? {} : { cause: first.cause }),
  };
}

/**
 * What fsck.vfat says of a FAT that has nothing but the mark of having been in use: byte 65 of the boot sector, which
 * its copy does not have.
 */
const DIRTY_FAT =
  /^(fsck\.fat .*|0x\w+: Dirty bit is set\..*|Dirty bit is set\..*|There are differences between boot sector and its backup\.|This is mostly harmless\. Differences:.*|65:01\/00|Not automatically fixing this\.|.*removing dirty bit\..*|Leaving filesystem unchanged\.|.*: \d+ files, .* clusters|Cannot initialize conversion .*|Using internal .*|)$/;

/** A FAT that was in use when the power went carries a mark, and nothing else of it need be wrong. */
function isOnlyDirty(fsType: string, output: string): boolean {
  return (
    fsType === 'vfat' &&
    output.includes('Dirty bit is set') &&
    output.split('\n').every((text) => DIRTY_FAT.test(text.trim()))
  );
}

/** The system may hide what is still there (a mount over it, a subvolume set aside): the disk does not. */
function checkGoneFromDisk(promise: ScenarioPromise, context: DiskContext): Finding[] {
  const lastBoot = context.planted.at(-1)?.plan.boot;
  if (lastBoot === undefined || lastBoot < 2) return [];
  const root = findRoot(promisedSystem(context.scenario).fileSystems)?.subvolume;
  // A disk that could not be read proves nothing.
  if (root === undefined || context.evidence.canaryPaths === undefined) return [];
  const old = context.evidence.canaryPaths.filter((path) => {
    const boot = Number(/imperm-canary-(\d+)/.exec(path)?.[1]);
    return path.startsWith(`${root}/`) && boot < lastBoot;
  });
  if (old.length === 0)
    return [
      {
        promise,
        status: 'pass',
        found: `nothing of the boots before the last is on the powered-off disk below ${root}`,
      },
    ];
  return [
    {
      promise,
      status: 'fail',
      expected: `nothing that was planted before boot ${String(lastBoot)} is left in the subvolume ${root}`,
      found: `${count(old.length, 'path')}: ${old.slice(0, 4).join(', ')}`,
      cause: 'The wipe left it behind on the disk, even where the running system does not show it.',
    },
  ];
}

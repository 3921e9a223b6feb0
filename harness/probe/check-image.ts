import { type DiskImage, promisedSystem, type Scenario, type ScenarioPromise } from '../scenario/index.js';
import { CANARY_NAME } from './canary.js';
import type { DiskLayout, Foreigner, ImageEvidence, InstallEvidence } from './evidence.js';
import { type BootContext, count, type DiskContext, type Finding } from './finding.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;

const BEFORE = 'before the first boot';
const SHOWN = 8;
/** The second partition table, and what is lost to alignment. */
const END_TOLERANCE_BYTES = 3 * 1024 * 1024;
/** First id of normal users, and the group that all of them are in. */
const FIRST_NORMAL_ID = 1000;
const USERS_GROUP = 100;

/**
 * What the image promises of itself, on its disk and before anything has booted from it.
 *
 * @param brought What the base itself gives to others than root: setgid programs and such.
 */
export function checkImage(
  scenario: Scenario,
  { image: evidence }: InstallEvidence,
  brought: readonly Foreigner[],
): Finding[] {
  const { image } = promisedSystem(scenario);
  if (image === undefined) return [];
  return scenario.promises.flatMap((promise): Finding[] => {
    switch (promise.kind) {
      case 'image-subvolumes':
        return [{ promise, ...checkSubvolumes(image, evidence) }];
      case 'image-owners':
        return [{ promise, ...checkOwners(evidence, { when: BEFORE, allowed: brought }) }];
      case 'grown':
        return [{ promise, ...checkRoom(evidence?.layout) }];
      default:
        return [];
    }
  });
}

function unread(when: string): Outcome {
  return {
    status: 'fail',
    expected: 'the btrfs of the image can be read',
    found: `${when} it cannot be mounted in another machine`,
  };
}

function checkSubvolumes({ subvolumes }: DiskImage, evidence: ImageEvidence | undefined): Outcome {
  if (evidence === undefined) return unread(BEFORE);
  const made = evidence.subvolumes.map(({ path }) => path);
  const missing = subvolumes.filter((path) => !made.includes(path));
  const heads = new Set(subvolumes.map((path) => path.split('/')[0]));
  const more = [
    ...made.filter((path) => !subvolumes.includes(path)),
    ...evidence.topLevel.filter((name) => !heads.has(name)),
  ];
  if (missing.length + more.length === 0)
    return { status: 'pass', found: `${BEFORE}: ${made.join(', ')}, and nothing else on the top level` };
  return {
    status: 'fail',
    expected: `${subvolumes.join(', ')}, and nothing else`,
    found: `${BEFORE} ${[...missing.map((path) => `${path} is no subvolume`), ...more.map((path) => `there is ${path}`)].join(', ')}`,
  };
}

/** Nothing mounts the top level in a running system, where it could move subvolumes about. */
export function checkNoSurgery({ evidence, scenario }: BootContext): Outcome {
  const device = promisedSystem(scenario).image?.btrfs.device ?? '';
  const real = evidence.devices.get(device) ?? device;
  const top = evidence.mounts.find(({ source, root }) => [device, real].includes(source) && root === '/');
  if (top === undefined) return { status: 'pass', found: 'the top level is mounted nowhere' };
  return {
    status: 'fail',
    expected: 'only subvolumes are mounted',
    found: `the top level of ${device} is mounted at ${top.mountPoint}`,
  };
}

/** Whether the subvolumes are still the ones that mkfs made. */
export function checkSameSubvolumes({ installed, evidence, scenario }: DiskContext): Outcome {
  if (evidence.image === undefined) return unread('after the last boot');
  const now = evidence.image.subvolumes;
  const before = installed.image?.subvolumes ?? [];
  const changed = (promisedSystem(scenario).image?.subvolumes ?? []).filter((path) => {
    const uuid = before.find((each) => each.path === path)?.uuid;
    return uuid === undefined || now.find((each) => each.path === path)?.uuid !== uuid;
  });
  if (changed.length === 0) return { status: 'pass', found: 'the same subvolumes as in the image, by UUID' };
  return {
    status: 'fail',
    expected: 'the subvolumes that mkfs made are still in their places',
    found: `${changed.join(', ')}: gone, or another subvolume than in the image`,
    cause: 'Something made, moved or deleted subvolumes at boot.',
  };
}

/** @param options.allowed Paths that may have the owner given with them. */
function checkOwners(
  evidence: ImageEvidence | undefined,
  options: { readonly when: string; readonly allowed: readonly Foreigner[] },
): Outcome {
  const { when, allowed } = options;
  if (evidence === undefined) return unread(when);
  const known = (each: Foreigner): boolean =>
    allowed.some(({ path, uid, gid }) => each.path === path && each.uid === uid && each.gid === gid);
  const bad = evidence.foreign.filter((each) => !known(each));
  const unseen = evidence.foreignCount - evidence.foreign.length;
  if (bad.length + unseen === 0) {
    const exceptions = evidence.foreign.length;
    return {
      status: 'pass',
      found: `${when}: ${exceptions === 0 ? 'nothing belongs to a user' : `0:0, but for ${count(exceptions, 'path')} that the base itself gives to groups of the system`}`,
    };
  }
  const owners = [...new Set(bad.map(({ uid, gid }) => `${String(uid)}:${String(gid)}`))];
  return {
    status: 'fail',
    expected: 'everything belongs to root:root',
    found: `${when} ${count(bad.length + unseen, 'path')} of ${owners.join(', ')}, ${bad[0]?.path === '' ? 'the top level' : (bad[0]?.path ?? '')} first`,
    cause:
      'The image was made by a user whose fake root did not take effect: whoever gets that user id can change the store, systemd-tmpfiles and sshd refuse paths below it.',
    evidence: bad.slice(0, SHOWN).map(({ path, uid, gid }) => `${String(uid)}:${String(gid)} ${path}`),
  };
}

/** After all boots: nothing of a normal user but what was planted, is in a home or was declared so. */
export function checkOwnersAfter({ evidence, scenario }: DiskContext): Outcome {
  const when = 'after the last boot';
  const { image } = evidence;
  if (image === undefined) return unread(when);
  const nix =
    promisedSystem(scenario).fileSystems.find(({ mountPoint }) => mountPoint === '/nix')?.subvolume ?? '';
  const isNormal = ({ path, uid, gid }: Foreigner): boolean =>
    uid >= FIRST_NORMAL_ID ||
    gid >= FIRST_NORMAL_ID ||
    gid === USERS_GROUP ||
    (uid > 0 && path.startsWith(`${nix}/`));
  const isPlanted = ({ path }: Foreigner): boolean => path.includes(CANARY_NAME);
  const bad = image.foreign.filter((each) => isNormal(each) && !isPlanted(each));
  return checkOwners(
    { ...image, foreign: bad, foreignCount: bad.length + image.foreignCount - image.foreign.length },
    { when, allowed: [] },
  );
}

function checkRoom(layout: DiskLayout | undefined): Outcome {
  if (layout === undefined) return unread(BEFORE);
  const room = layout.diskBytes - layout.partitionEndBytes;
  const found = `${BEFORE} the last partition ends at ${mib(layout.partitionEndBytes)} of ${mib(layout.diskBytes)}`;
  return room > END_TOLERANCE_BYTES
    ? { status: 'pass', found }
    : { status: 'fail', expected: 'the image is smaller than the disk, or there is nothing to grow', found };
}

export function checkGrown({ evidence }: BootContext): Outcome {
  const expected = 'the last partition ends where the disk ends, and its file system fills it';
  const layout = evidence.image?.layout;
  if (layout === undefined)
    return { status: 'fail', expected, found: 'the partition or its file system was not found' };
  const { diskBytes, partitionEndBytes, partitionBytes, fileSystemBytes } = layout;
  const found = `disk ${mib(diskBytes)}, partition to ${mib(partitionEndBytes)}, file system ${mib(fileSystemBytes)} in ${mib(partitionBytes)}`;
  const partitionGrew = diskBytes - partitionEndBytes <= END_TOLERANCE_BYTES;
  const fileSystemGrew = partitionBytes - fileSystemBytes <= END_TOLERANCE_BYTES;
  if (partitionGrew && fileSystemGrew) return { status: 'pass', found };
  return {
    status: 'fail',
    expected,
    found,
    cause: `The first boot did not grow ${partitionGrew ? 'the file system' : 'the partition'}; the journal of imperm-first-boot.service says why.`,
  };
}

export function checkRegistered({ evidence }: BootContext): Outcome {
  const expected =
    'the registration is gone, every path of the store is valid, and the profile leads to this system';
  const { image, links } = evidence;
  const faults: { what: string; output?: string }[] = [];
  if (image?.registrationGone !== true) faults.push({ what: '/nix/nix-path-registration is still there' });
  for (const [name, what] of [
    ['verify', 'nix-store --verify finds faults'],
    ['validity', 'Nix does not know every path of the store'],
    ['closure', 'Nix cannot say what the running system needs'],
  ] as const) {
    const said = image?.[name];
    // It ends with 0 when it has removed from the database what is not there any more.
    const complains = name === 'verify' && /disappeared|modified|missing|corrupt/.test(said?.output ?? '');
    if (said?.ok !== true || complains) faults.push({ what, output: said?.output ?? '' });
  }
  if (links.profile !== links.current)
    faults.push({ what: `the system profile leads to ${links.profile === '' ? 'nothing' : links.profile}` });
  const paths = (image?.closure.output ?? '').split('\n').filter((line) => line.startsWith('/nix/store/'));
  if (faults.length === 0)
    return {
      status: 'pass',
      found: `${count(paths.length, 'path')} of the running system valid${evidence.boot === 1 ? ', their contents verified' : ''}`,
    };
  return {
    status: 'fail',
    expected,
    found: faults.map(({ what }) => what).join('; '),
    cause:
      'The first boot did not load the registration: the next collection of garbage deletes the running system. The journal of imperm-first-boot.service says why.',
    evidence: faults
      .flatMap(({ output }) => (output ?? '').split('\n').slice(0, 4))
      .filter((line) => line !== ''),
  };
}

export function checkTmpfilesSafe(
  _promise: Extract<ScenarioPromise, { kind: 'tmpfiles-safe' }>,
  { evidence }: BootContext,
): Outcome {
  const refused = (evidence.image?.tmpfiles ?? []).filter((line) => /unsafe path transition/i.test(line));
  if (refused.length === 0) return { status: 'pass', found: 'no "unsafe path transition" in the journal' };
  return {
    status: 'fail',
    expected: 'systemd-tmpfiles makes what its rules say',
    found: refused[0] ?? '',
    cause:
      'A folder on the way belongs to a user who could exchange what lies below it, so systemd does not go there.',
    evidence: refused.slice(0, SHOWN),
  };
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

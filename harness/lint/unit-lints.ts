import {
  AFTER_RESUME,
  canHibernate,
  escapeUnitPath,
  findRoot,
  suggest,
  type Rollback,
  type SystemModel,
  type UnitList,
} from '../scenario/index.js';
import type { Hit, Lint, LintSubject } from './lint.js';
import { AFTER_ROOT_MOUNT, isStartedInStageOne, KNOWN_UNITS } from './stage-one.js';

const LISTS: readonly UnitList[] = ['after', 'before', 'requires', 'wantedBy', 'requiredBy'];

/** Finds what a rule says against the names of units, each at its place. */
function judgeUnits(
  { system, rollback }: { readonly system: SystemModel; readonly rollback?: Rollback },
  judge: (unit: string, list: UnitList) => Omit<Hit, 'place'> | undefined,
): readonly Hit[] {
  if (rollback === undefined || system.stage1 !== 'systemd') return [];
  return LISTS.flatMap((list) =>
    rollback[list].flatMap((unit, index) => {
      const said = judge(unit, list);
      return said === undefined
        ? []
        : [{ place: rollback.unitPlaces[list][index] ?? rollback.place, ...said }];
    }),
  );
}

/** `-` is a slash in the name of a unit, `\x2d` a dash. */
function unescapeUnitPath(name: string): string {
  const path = name
    .replaceAll('-', '/')
    .replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return `/${path}`;
}

/** The unit that was meant by a name in which a dash is not escaped. */
function findEscaped(unit: string, system: SystemModel): string | undefined {
  const instance = /^systemd-cryptsetup@(.*)\.service$/.exec(unit)?.[1];
  const meant = system.luks.find(
    ({ name, unit: real }) =>
      (name === instance && real !== unit) ||
      (`dev-mapper-${name}.device` === unit && deviceUnit(`/dev/mapper/${name}`) !== unit),
  );
  if (meant !== undefined)
    return instance === undefined ? deviceUnit(`/dev/mapper/${meant.name}`) : meant.unit;
  if (!unit.endsWith('.device')) return undefined;
  const devices = [...system.fileSystems, ...system.luks, ...system.swapDevices].map(({ device }) => device);
  // Nobody who writes a plain dash means a folder of that name.
  const same = devices.find(
    (device) =>
      device.startsWith('/dev/') &&
      deviceUnit(device) !== unit &&
      `${device.slice(1).replaceAll('/', '-')}.device` === unit,
  );
  return same === undefined ? undefined : deviceUnit(same);
}

function deviceUnit(device: string): string {
  return `${escapeUnitPath(device)}.device`;
}

/** What keeps systemd from finding a unit, where the name is not just badly escaped. */
function whyMissing(unit: string, list: UnitList, system: SystemModel): string | undefined {
  if (findEscaped(unit, system) !== undefined) return undefined;
  const names = system.luks.map(({ name }) => name);
  const has = names.length === 0 ? 'nothing is unlocked in stage 1' : `system.luks has ${names.join(', ')}`;
  const instance = /^systemd-cryptsetup@(.*)\.service$/.exec(unit)?.[1];
  if (instance !== undefined) {
    if (system.luks.some((each) => each.unit === unit)) return undefined;
    // To be ordered after nothing is right where nothing is encrypted.
    if (names.length === 0 && list !== 'requires') return undefined;
    return `no LUKS device is called "${unescapeInstance(instance)}": ${has}.${suggest(unescapeInstance(instance), names)}`;
  }
  const path = unit.endsWith('.device') ? unescapeUnitPath(unit.slice(0, -'.device'.length)) : undefined;
  if (path?.startsWith('/dev/mapper/') === true) {
    const name = path.slice('/dev/mapper/'.length);
    const made = [...names, ...system.swapDevices.map(({ swapsOn }) => swapsOn.slice('/dev/mapper/'.length))];
    if (made.includes(name)) return undefined;
    return `nothing makes ${path}: ${has}.${suggest(name, names)}`;
  }
  const below = /^sysroot-(.*)\.mount$/.exec(unit)?.[1];
  if (below !== undefined) return whyNoMount(unescapeUnitPath(below), system);
  if (KNOWN_UNITS.includes(unit) || !/\.(target|mount)$/.test(unit)) return undefined;
  const meant = suggest(unit, KNOWN_UNITS);
  return meant === '' ? undefined : `stage 1 has no unit of that name.${meant}`;
}

function unescapeInstance(instance: string): string {
  return unescapeUnitPath(instance).slice(1).replaceAll('/', '-');
}

function whyNoMount(mountPoint: string, system: SystemModel): string | undefined {
  const declared = system.fileSystems.find((each) => each.mountPoint === mountPoint);
  if (declared?.neededForBoot === true) return undefined;
  const isBound = system.persistence.some(({ directories }) =>
    directories.some(({ path, inStageOne }) => path === mountPoint && inStageOne),
  );
  if (isBound) return undefined;
  if (declared !== undefined)
    return `${mountPoint} is mounted only after stage 1, for want of "neededForBoot: true"`;
  const known = system.fileSystems
    .filter(({ neededForBoot }) => neededForBoot)
    .map((each) => each.mountPoint);
  return `nothing is mounted at ${mountPoint} in stage 1.${suggest(mountPoint, known)}`;
}

/** Whether the rollback is ordered after a unit whose name is wrong, which is told by itself. */
function hasWrongName(rollback: Rollback, system: SystemModel): boolean {
  return rollback.after.some(
    (unit) => findEscaped(unit, system) !== undefined || whyMissing(unit, 'after', system) !== undefined,
  );
}

/** What tells that the device of the root is there. */
function unlockingUnits(system: SystemModel): readonly string[] {
  const root = findRoot(system.fileSystems);
  const device = root?.device ?? '';
  const own = system.luks.filter(({ name }) => device === `/dev/mapper/${name}`);
  // By a UUID or a label nobody can tell which of them the root is in.
  const candidates = own.length > 0 || !device.startsWith('/dev/disk/') ? own : system.luks;
  return [
    ...candidates.map(({ unit }) => unit),
    ...candidates.map(({ name }) => deviceUnit(`/dev/mapper/${name}`)),
    deviceUnit(device),
    'initrd-root-device.target',
    ...(system.luks.length > 0 ? ['cryptsetup.target'] : []),
  ];
}

/** Lints about when, and whether, stage 1 runs the rollback. */
export const UNIT_LINTS: readonly Lint[] = [
  {
    name: 'unit-missing',
    reason:
      'systemd takes an order by a unit that does not exist without a word and waits for nothing; what requires or wants one fails, or is never started.',
    advice:
      'Write the name of a unit that stage 1 has. That of a LUKS device follows from its name in boot.initrd.luks.devices.',
    shownBy: ['bugs/mapper-name-wrong'],
    find: (subject: LintSubject): readonly Hit[] =>
      judgeUnits(subject, (unit, list) => {
        const why = whyMissing(unit, list, subject.system);
        return why === undefined
          ? undefined
          : { message: `the rollback names ${unit} (${list}), and ${why}` };
      }),
  },
  {
    name: 'unit-unescaped',
    reason:
      'In the name of a unit a dash stands for a slash, so a dash in the name of a device is written \\x2d. By the plain dash it is another unit, which does not exist, and systemd waits for nothing.',
    advice: 'Write the name as systemd-escape gives it; in a Nix string every backslash is doubled.',
    shownBy: ['bugs/mapper-name-unescaped'],
    find: (subject: LintSubject): readonly Hit[] =>
      judgeUnits(subject, (unit, list) => {
        const meant = findEscaped(unit, subject.system);
        if (meant === undefined) return undefined;
        return {
          message: `the rollback names ${unit} (${list}), which is not the unit of the device`,
          advice: `Write ${meant}.`,
        };
      }),
  },
  {
    name: 'rollback-never-started',
    reason:
      'A unit runs only when something that runs wants or requires it. Everything boots, and nothing is ever wiped.',
    advice:
      'Write "requiredBy: [sysroot.mount]", so that the boot stops where it fails, or "wantedBy: [initrd.target]".',
    shownBy: ['bugs/rollback-not-wanted'],
    find: ({ system, rollback }: LintSubject): readonly Hit[] => {
      if (rollback === undefined || system.stage1 !== 'systemd') return [];
      const starters = [...rollback.wantedBy, ...rollback.requiredBy];
      if (starters.some((unit) => isStartedInStageOne(unit, system))) return [];
      const named =
        starters.length === 0 ? 'nothing' : `only ${starters.join(', ')}, which stage 1 does not start,`;
      const place = rollback.unitPlaces.wantedBy[0] ?? rollback.unitPlaces.requiredBy[0] ?? rollback.place;
      return [{ place, message: `${named} would start ${rollback.unit}` }];
    },
  },
  {
    name: 'rollback-after-mount',
    reason:
      'The root is mounted while it is deleted: the system goes on in a subvolume that no longer has a name, and all it writes is gone with the next boot, also what the wipe was to leave alone.',
    advice:
      'Order it before sysroot.mount ("before: [sysroot.mount]"); in scripted stage 1 take postResumeCommands.',
    shownBy: ['broken/rollback-too-late', 'bugs/rollback-after-mount'],
    find: ({ system, rollback }: LintSubject): readonly Hit[] => {
      if (rollback === undefined) return [];
      if (system.stage1 === 'scripted') {
        if (rollback.scripted.hook !== 'postMountCommands') return [];
        return [
          {
            place: rollback.scripted.place,
            message: 'the rollback is in postMountCommands, which run when the root is mounted',
          },
        ];
      }
      const late = rollback.after.findIndex((unit) => AFTER_ROOT_MOUNT.includes(unit));
      if (late >= 0)
        return [
          {
            place: rollback.unitPlaces.after[late] ?? rollback.place,
            message: `the rollback runs after ${rollback.after[late] ?? ''}: the root is mounted by then`,
          },
        ];
      // All three are over before the root is mounted.
      const early = ['sysroot.mount', 'initrd-root-device.target', 'local-fs-pre.target'];
      if (rollback.before.some((unit) => early.includes(unit))) return [];
      return [
        {
          place: rollback.unitPlaces.before[0] ?? rollback.place,
          message: 'nothing orders the rollback before sysroot.mount: the root may be mounted first',
        },
      ];
    },
  },
  {
    name: 'rollback-before-unlock',
    reason:
      'A unit without default dependencies starts as soon as it may. Where it is not ordered after its device, whether that is there by then is a matter of luck: the mount in the script fails, and nothing is wiped.',
    advice:
      'Order it after the unit that unlocks the root, or after initrd-root-device.target; in scripted stage 1 take postResumeCommands.',
    shownBy: ['broken/hook-too-early', 'bugs/rollback-before-unlock'],
    find: ({ system, rollback }: LintSubject): readonly Hit[] => {
      const root = findRoot(system.fileSystems);
      if (rollback === undefined || root?.device.startsWith('/dev/') !== true) return [];
      if (system.stage1 === 'scripted') return findEarlyHook(rollback, system);
      const units = unlockingUnits(system);
      if (rollback.after.some((unit) => units.includes(unit)) || hasWrongName(rollback, system)) return [];
      const place = rollback.unitPlaces.after[0] ?? rollback.place;
      return [
        {
          place,
          message: `nothing orders the rollback after ${root.device} is there`,
          advice: `Add ${units[0] ?? ''} to "after".`,
        },
      ];
    },
  },
  {
    name: 'rollback-before-resume',
    reason:
      'A system that wakes up from hibernation goes on with its old root in memory. Where the rollback has deleted it before, the file system is destroyed (impermanence#250).',
    advice:
      'Add local-fs-pre.target to "after": stage 1 resumes before it; in scripted stage 1 take postResumeCommands.',
    shownBy: [
      'broken/rollback-before-resume',
      'btrfs-luks-hibernate-as-published',
      'bugs/hibernation-scripted',
    ],
    find: ({ system, rollback }: LintSubject): readonly Hit[] => {
      if (rollback === undefined) return [];
      if (!canHibernate(system)) return [];
      if (system.stage1 === 'scripted') {
        const { hook, place } = rollback.scripted;
        if (hook === 'postResumeCommands' || hook === 'postMountCommands') return [];
        return [
          {
            place,
            message: `the rollback is in ${hook}, which run before stage 1 resumes, and there is swap to hibernate to`,
          },
        ];
      }
      const late = [...AFTER_ROOT_MOUNT, ...AFTER_RESUME];
      if (rollback.after.some((unit) => late.includes(unit))) return [];
      const place = rollback.unitPlaces.after[0] ?? rollback.place;
      return [
        { place, message: 'the rollback does not wait for the resume, and there is swap to hibernate to' },
      ];
    },
  },
];

function findEarlyHook(rollback: Rollback, system: SystemModel): readonly Hit[] {
  const { hook, order, place } = rollback.scripted;
  if (hook === 'preDeviceCommands')
    return [{ place, message: 'the rollback is in preDeviceCommands, which run before there is any device' }];
  if (hook !== 'preLVMCommands' || order === 'after' || system.luks.length === 0) return [];
  return [
    {
      place,
      message:
        'the rollback is in preLVMCommands before the commands of NixOS that unlock the root; those stand there, too',
    },
  ];
}

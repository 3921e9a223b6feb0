import type { Place } from '../core/index.js';
import type { DeclaredLink, FileSystem, MadePath, SystemModel } from './model.js';
import type { Script } from './script.js';
import { deriveKept, findKept, type ExplicitPath, type StatedOwnership } from './derive-kept.js';
import type {
  ConsoleAllowance,
  GonePromise,
  KeptPromise,
  RollbackOrderPromise,
  ScenarioPromise,
} from './promise.js';
import { findRoot } from './mount-tree.js';
import { deriveImage } from './derive-image.js';
import { rootLuksDevices } from './root-luks.js';

/** What the section `promises` of a scenario says. */
export interface ExplicitPromises {
  readonly kept: readonly ExplicitPath[];
  readonly gone: readonly { readonly path: string; readonly place: Place }[];
  readonly rollbackLog?: { readonly lines: readonly string[]; readonly place: Place };
  readonly checks: readonly ExplicitCheck[];
  /** Disks that are somebody else's. */
  readonly untouched: readonly { readonly disk: string; readonly place: Place }[];
  /** The first step that hibernates. */
  readonly hibernatesAt?: Place;
  readonly consoleAllow: readonly ConsoleAllowance[];
  /** Where the section stands, or the scenario when there is none. */
  readonly place: Place;
}

/** A promise that a script of the scenario proves. */
export interface ExplicitCheck {
  readonly name: string;
  readonly title: string;
  readonly script: Script;
  readonly fromBoot: number;
  readonly place: Place;
}

const ESP_MOUNT_POINTS = ['/boot', '/efi', '/boot/efi'];
const MACHINE_ID = '/etc/machine-id';

/**
 * Makes all promises of a scenario: what it says itself, and what follows from what it declares. One that is
 * made in both ways is one promise, at the place where the scenario says it.
 *
 * @param system What is declared.
 * @param explicit What is promised beyond it.
 * @param stated Owner, group and mode of persisted directories, by path, where the scenario states them.
 * @returns Promises with unique ids, those about wiping first.
 */
export function derivePromises(
  system: SystemModel,
  explicit: ExplicitPromises,
  stated: ReadonlyMap<string, StatedOwnership>,
): readonly ScenarioPromise[] {
  const kept = deriveKept(system, explicit.kept, stated);
  const always = <Kind extends string>(kind: Kind, title: string) => ({
    kind,
    id: kind,
    title,
    place: explicit.place,
  });
  return [
    ...deriveWiped(system, explicit),
    ...kept,
    ...system.links.map(promiseLinked),
    ...system.made.map(promiseMade),
    ...system.fileSystems.map(promiseMounted),
    ...deriveIdentity(system, kept),
    ...deriveRollback(system, explicit),
    ...deriveImage(system),
    always('generation', 'what runs is the newest generation of the system profile'),
    always('no-failed-units', 'no unit has failed'),
    ...deriveDevices(system),
    always('unmounted-cleanly', 'a reboot leaves every file system unmounted'),
    ...(explicit.hibernatesAt === undefined ? [] : [promiseResumed(explicit.hibernatesAt)]),
    ...deriveLogins(system),
    ...explicit.checks.map(({ name, ...rest }) => ({ kind: 'check' as const, id: `check:${name}`, ...rest })),
    ...explicit.untouched.map(({ disk, place }) => ({
      kind: 'disk-untouched' as const,
      id: `untouched:${disk}`,
      title: `the disk ${disk} of somebody else is not touched`,
      place,
      disk,
    })),
    {
      kind: 'disk-clean',
      id: 'disk-clean',
      title: 'the powered-off disk is without faults',
      place: explicit.place,
    },
    {
      kind: 'console-clean',
      id: 'console-clean',
      title: 'the console shows no failure',
      place: explicit.consoleAllow[0]?.place ?? explicit.place,
      allow: explicit.consoleAllow,
    },
  ];
}

function deriveWiped(system: SystemModel, explicit: ExplicitPromises): ScenarioPromise[] {
  const root = findRoot(system.fileSystems);
  const isTmpfs = root?.fsType === 'tmpfs';
  const gone = explicit.gone.map((each) => promiseGone(each.path, each.place));
  // Who promises that / forgets everything promises a new root, whether or not anything makes one.
  const place = isTmpfs
    ? root.place
    : (system.rollback?.place ?? gone.find((each) => each.path === '/')?.place);
  if (place === undefined) return gone;
  const rootPlace = gone.find((each) => each.path === '/')?.place ?? place;
  const blank = system.rollback?.blankSnapshot;
  return [
    {
      kind: 'root-wiped',
      id: 'root-wiped',
      title: isTmpfs
        ? '/ is a new tmpfs after every boot'
        : blank === undefined
          ? '/ is a new subvolume after every boot'
          : `/ is a new snapshot of ${blank} after every boot`,
      place,
      by: isTmpfs ? 'tmpfs' : 'rollback',
      ...(blank === undefined ? {} : { blank }),
    },
    ...(blank === undefined ? [] : [promiseBlank(blank, place)]),
    promiseGone('/', rootPlace),
    ...gone.filter((each) => each.path !== '/'),
  ];
}

function promiseBlank(subvolume: string, place: Place): ScenarioPromise {
  const title = `${subvolume} is read-only, and there is no file in it`;
  return { kind: 'blank', id: `blank:${subvolume}`, title, place, subvolume };
}

function promiseGone(path: string, place: Place): GonePromise {
  const title = path === '/' ? '/ forgets what is not kept' : `${path} forgets its files`;
  return { kind: 'gone', id: `gone:${path}`, title, place, path };
}

function promiseLinked({ path, target, source, place }: DeclaredLink): ScenarioPromise {
  const title = `${path} is a link to ${source}`;
  return { kind: 'linked', id: `linked:${path}`, title, place, path, target, source };
}

function promiseMade({ path, place, ...made }: MadePath): ScenarioPromise {
  const title = `tmpfiles makes the ${made.of} ${path}`;
  return { kind: 'made', id: `made:${path}`, title, place, path, ...made };
}

function promiseMounted(fileSystem: FileSystem): ScenarioPromise {
  const { mountPoint, device, fsType, subvolume, options, place } = fileSystem;
  const from = fsType === 'tmpfs' ? 'a tmpfs' : `${subvolume ? `subvolume ${subvolume} of ` : ''}${device}`;
  return {
    kind: 'mounted',
    id: `mounted:${mountPoint}`,
    title: `${mountPoint} is mounted from ${from}`,
    place,
    mountPoint,
    device,
    fsType,
    ...(subvolume === undefined ? {} : { subvolume }),
    options,
  };
}

function deriveIdentity(system: SystemModel, kept: readonly KeptPromise[]): ScenarioPromise[] {
  const promises: ScenarioPromise[] = [];
  const machineId = findKept(system, kept, MACHINE_ID);
  if (machineId !== undefined) {
    promises.push({
      kind: 'machine-id-stable',
      id: 'machine-id-stable',
      title: 'the machine id stays the same',
      place: machineId.place,
    });
  }
  const keys = system.openssh.hostKeys.filter((key) => findKept(system, kept, key.path) !== undefined);
  if (keys[0] !== undefined) {
    promises.push({
      kind: 'ssh-host-keys-stable',
      id: 'ssh-host-keys-stable',
      title: 'the SSH host keys stay the same',
      place: keys[0].place,
      paths: keys.map((key) => key.path),
    });
  }
  return promises;
}

function deriveRollback(system: SystemModel, explicit: ExplicitPromises): ScenarioPromise[] {
  if (system.rollback === undefined) return [];
  const { unit, scripted, place } = system.rollback;
  const by = system.stage1 === 'scripted' ? `boot.initrd.${scripted.hook}` : unit;
  const locked = rootLuksDevices(system);
  const base = {
    kind: 'rollback-order' as const,
    id: 'rollback-order',
    title: `${by} ${system.stage1 === 'scripted' ? 'run' : 'runs'} before the root is mounted${locked.length > 0 ? ' and after it is unlocked' : ''}`,
    place,
  };
  const order: RollbackOrderPromise =
    system.stage1 === 'scripted'
      ? {
          ...base,
          stage1: 'scripted',
          unlocks: locked.filter(({ unlock }) => unlock === 'passphrase').map(({ device }) => device),
          root: findRoot(system.fileSystems)?.device ?? '',
        }
      : { ...base, stage1: 'systemd', units: [...locked.map((each) => each.unit), unit, 'sysroot.mount'] };
  return [
    {
      kind: 'rollback-log',
      id: 'rollback-log',
      title: `the journal of every boot holds the log of ${by}`,
      place: explicit.rollbackLog?.place ?? place,
      by,
      lines: explicit.rollbackLog?.lines ?? [],
    },
    order,
  ];
}

function deriveDevices(system: SystemModel): ScenarioPromise[] {
  const esps = system.fileSystems.filter(
    (each) => each.fsType === 'vfat' && ESP_MOUNT_POINTS.includes(each.mountPoint),
  );
  const promises: ScenarioPromise[] = esps.map(({ mountPoint, place }) => ({
    kind: 'esp-private',
    id: `esp-private:${mountPoint}`,
    title: `only root can look into ${mountPoint}`,
    place,
    mountPoint,
    mode: '0700',
  }));
  const [swap] = system.swapDevices;
  if (swap !== undefined) {
    promises.push({
      kind: 'swap-active',
      id: 'swap-active',
      title: 'all swap is in use',
      place: swap.place,
      devices: system.swapDevices.map((each) => each.swapsOn),
    });
  }
  const encrypted = system.swapDevices.filter(({ randomEncryption }) => randomEncryption);
  if (encrypted[0] !== undefined) {
    promises.push({
      kind: 'swap-key-random',
      id: 'swap-key-random',
      title: 'swap has another key in every boot',
      place: encrypted[0].place,
      mappers: encrypted.map(({ swapsOn }) => swapsOn.slice('/dev/mapper/'.length)),
    });
  }
  return [...deriveUnlocked(system), ...deriveSecureBoot(system), ...promises];
}

function deriveSecureBoot({ secureBoot }: SystemModel): ScenarioPromise[] {
  if (secureBoot === undefined) return [];
  return [
    {
      kind: 'secure-boot',
      id: 'secure-boot',
      title: 'the firmware starts only what is signed with own keys',
      place: secureBoot.place,
    },
  ];
}

const UNLOCKED_BY = {
  passphrase: 'what is encrypted is unlocked by the passphrase',
  'key-file': 'what is encrypted is unlocked by the key file, without asking',
  tpm2: 'what is encrypted is unlocked by the TPM, without asking once it is enrolled',
} as const;

function deriveUnlocked(system: SystemModel): ScenarioPromise[] {
  const [first] = system.luks;
  if (first === undefined) return [];
  return [
    {
      kind: 'unlocked',
      id: 'unlocked',
      title: UNLOCKED_BY[first.unlock],
      place: first.place,
      by: first.unlock,
    },
  ];
}

function promiseResumed(place: Place): ScenarioPromise {
  return {
    kind: 'resumed',
    id: 'resumed',
    title: 'a hibernated system goes on where it was, and nothing is rolled back',
    place,
  };
}

function deriveLogins(system: SystemModel): ScenarioPromise[] {
  return system.users
    .filter(({ hashedPasswordFile }) => hashedPasswordFile !== undefined)
    .map(({ name, place }) => ({
      kind: 'login',
      id: `login:${name}`,
      title: `${name} logs in with the password, and not with another`,
      place,
      user: name,
    }));
}

import type { MountedPromise, Scenario, ScenarioPromise } from '../scenario/index.js';
import type { Mount } from './evidence.js';
import { type BootContext, count, type Finding, findMount } from './finding.js';
import { describeOtherSize } from './tmpfs-size.js';

type Outcome = Omit<Finding, 'promise' | 'boot'>;
type Of<K extends ScenarioPromise['kind']> = Extract<ScenarioPromise, { kind: K }>;

/** The mount is there, from the right device and subvolume, with its options. */
export function checkMounted(promise: MountedPromise, context: BootContext): Outcome {
  const { mounts, devices } = context.evidence;
  const expected = `${promise.mountPoint} is ${promise.fsType} from ${promise.device}${promise.subvolume === undefined ? '' : `, subvolume ${promise.subvolume}`}, with ${promise.options.join(',')}`;
  const mount = findMount(mounts, promise.mountPoint);
  if (mount?.mountPoint !== promise.mountPoint) {
    return {
      status: 'fail',
      expected,
      found: `nothing is mounted at ${promise.mountPoint}`,
      cause: `The mount failed or was never asked for; \`systemctl status\` of its unit and the journal say why.`,
    };
  }
  if (isBind(promise)) return checkBind(promise, mount, context);
  const real = (device: string): string => devices.get(device) ?? device;
  const isElsewhere =
    !['tmpfs', 'none'].includes(promise.device) &&
    promise.fsType !== 'tmpfs' &&
    real(mount.source) !== real(promise.device);
  const wrong = [
    mount.fsType === promise.fsType ? undefined : `the file system is ${mount.fsType}`,
    isElsewhere ? `it comes from ${mount.source}` : undefined,
    promise.subvolume === undefined || mount.root === `/${promise.subvolume}`
      ? undefined
      : `the subvolume is ${mount.root}`,
    ...promise.options.map((option) =>
      hasOption(mount.options, option)
        ? undefined
        : `the option ${option} is missing (${mount.options.join(',')})`,
    ),
    ...promise.options.map((option) =>
      promise.fsType === 'tmpfs' && mount.fsType === 'tmpfs' && option.startsWith('size=')
        ? describeOtherSize(option.slice('size='.length), mount.options, context.evidence.memoryKiB)
        : undefined,
    ),
  ].filter((text) => text !== undefined);
  if (wrong.length > 0) {
    const leadsTo = devices.get(promise.device);
    const cause =
      leadsTo === undefined
        ? `There is no ${promise.device} in this boot.`
        : `${promise.device} leads to ${leadsTo} now. Where two things have one label or UUID, as a LUKS device and what is in it may, the name leads to the one that was seen last. Give each its own, or name the mapping (/dev/mapper/…).`;
    return { status: 'fail', expected, found: wrong.join('; '), ...(isElsewhere ? { cause } : {}) };
  }
  return {
    status: 'pass',
    found: `${mount.fsType} from ${mount.source}${mount.root === '/' ? '' : ` (${mount.root})`}`,
  };
}

function isBind({ fsType, options }: MountedPromise): boolean {
  return fsType === 'none' || options.includes('bind') || options.includes('rbind');
}

/** A bind mount shows the folder that its source is on the source's own file system. */
function checkBind(promise: MountedPromise, mount: Mount, context: BootContext): Outcome {
  const holder = findMount(context.evidence.mounts, promise.device);
  const below = promise.device.slice(holder?.mountPoint === '/' ? 0 : (holder?.mountPoint.length ?? 0));
  const folder = `${holder?.root === '/' ? '' : (holder?.root ?? '')}${below}`;
  if (mount.source === holder?.source && mount.root === folder)
    return { status: 'pass', found: `bound from ${promise.device}` };
  return {
    status: 'fail',
    expected: `${promise.mountPoint} is bound from ${promise.device}, which is ${folder} of ${holder?.source ?? 'nothing'}`,
    found: `it is ${mount.root} of ${mount.source}`,
  };
}

/** Whether the kernel shows an option of mount(8). Options that only the tools of user space know are never shown. */
function hasOption(shown: readonly string[], option: string): boolean {
  const [name = '', value] = option.split('=');
  if (
    name === 'defaults' ||
    name === 'nofail' ||
    name === 'auto' ||
    name === 'subvol' ||
    name === 'bind' ||
    name === 'rbind' ||
    name === 'size' ||
    /^x-|^X-/.test(name)
  )
    return true;
  if (name === 'umask') {
    const mask = (value ?? '').padStart(4, '0');
    return shown.includes(`fmask=${mask}`) && shown.includes(`dmask=${mask}`);
  }
  // A default level is shown behind a colon: compress=zstd:3.
  return shown.some((text) => text === option || text.startsWith(`${option}:`));
}

export function checkMachineId(_promise: Of<'machine-id-stable'>, context: BootContext): Outcome {
  const { evidence, previous } = context;
  if (!/^[0-9a-f]{32}$/.test(evidence.machineId))
    return {
      status: 'fail',
      expected: 'a machine id of 32 hexadecimal digits',
      found: `/etc/machine-id holds "${evidence.machineId}"`,
    };
  if (previous !== undefined && previous.machineId !== evidence.machineId) {
    return {
      status: 'fail',
      expected: `${previous.machineId}, as in boot ${String(previous.boot)}`,
      found: evidence.machineId,
      cause: '/etc/machine-id was made anew: it is not kept, or not there yet when systemd reads it.',
    };
  }
  const journalKept = context.scenario.promises.some(
    (promise) => promise.kind === 'kept' && promise.path === '/var/log',
  );
  // A boot whose power was cut may have left a journal, and may have not.
  const mostBoots = evidence.boot + countCutBoots(context.scenario, evidence.boot);
  if (journalKept && (evidence.journalBoots < evidence.boot || evidence.journalBoots > mostBoots)) {
    return {
      status: 'fail',
      expected: `the journals of all ${count(evidence.boot, 'boot')} can be read${mostBoots > evidence.boot ? `, and of ${String(mostBoots)} at most` : ''}`,
      found: `journalctl --list-boots knows ${String(evidence.journalBoots)}`,
      cause: 'Journals lie in a folder named after the machine id; under another id they are not found.',
    };
  }
  return {
    status: 'pass',
    found: `${evidence.machineId.slice(0, 8)}…${journalKept ? `, journals of ${count(evidence.journalBoots, 'boot')}` : ''}`,
  };
}

/** How many boots were cut within before a boot that was not. */
function countCutBoots({ steps }: Scenario, boot: number): number {
  let cut = 0;
  let boots = 0;
  for (const step of steps) {
    const { kind } = step;
    if (kind === 'boot' || kind === 'reboot' || kind === 'power-cut') boots += 1;
    if (boots === boot) break;
    if (kind === 'power-cut-at' && step.during === 'boot') cut += 1;
  }
  return cut;
}

export function checkHostKeys(promise: Of<'ssh-host-keys-stable'>, context: BootContext): Outcome {
  const { hostKeys } = context.evidence;
  const missing = promise.paths.find((path) => !hostKeys.has(path));
  if (missing !== undefined)
    return {
      status: 'fail',
      expected: `a host key at ${missing}`,
      found: 'there is none, although the SSH server has been started',
    };
  const before = context.previous?.hostKeys;
  const changed = promise.paths.find(
    (path) => before?.has(path) === true && before.get(path) !== hostKeys.get(path),
  );
  if (changed !== undefined)
    return {
      status: 'fail',
      expected: 'the key of the boot before',
      found: `${changed} is another key`,
      cause:
        'The key was not kept, so the SSH server made a new one; everybody who connects is warned of an attack.',
    };
  return {
    status: 'pass',
    found: before === undefined ? count(promise.paths.length, 'key') : 'same as in the boot before',
  };
}

export function checkFailedUnits(_promise: Of<'no-failed-units'>, context: BootContext): Outcome {
  const { failedUnits, state } = context.evidence;
  if (failedUnits.length > 0)
    return {
      status: 'fail',
      expected: 'no unit in the state failed',
      found: `${count(failedUnits.length, 'failed unit')}: ${failedUnits.map((line) => line.split(/\s+/)[0]).join(', ')}`,
      evidence: failedUnits,
    };
  if (state !== 'running')
    return { status: 'fail', expected: 'systemd says "running"', found: `systemd says "${state}"` };
  return { status: 'pass', found: 'systemd says "running"' };
}

export function checkGeneration({ evidence: { links } }: BootContext): Outcome {
  const { generation, profile, current, booted } = links;
  const of = (storePath: string): string => (storePath === '' ? 'nothing' : storePath);
  const expected = `the system profile, the running and the booted system are ${of(profile)}`;
  if (!/^system-\d+-link$/.test(generation))
    return {
      status: 'fail',
      expected: 'the system profile is a link to a generation',
      found: `it leads to ${of(generation)}`,
      cause:
        '/nix/var/nix/profiles was not kept, or nothing was installed there: the next switch begins with generation 1, and what is old cannot be booted any more.',
    };
  if (profile === '' || profile !== current || current !== booted)
    return {
      status: 'fail',
      expected,
      found: `the running system is ${of(current)}, the booted one ${of(booted)}`,
      cause:
        'The boot loader started another generation than the newest: its entries on the EFI system partition were not written, or not kept.',
    };
  return { status: 'pass', found: `${generation.replace(/-link$/, '')}: ${profile}` };
}

export function checkEspPrivate(promise: Of<'esp-private'>, context: BootContext): Outcome {
  const facts = context.evidence.paths.get(promise.mountPoint);
  const mode = facts?.mode.padStart(4, '0') ?? 'none';
  return mode === promise.mode
    ? { status: 'pass', found: `mode ${mode}` }
    : {
        status: 'fail',
        expected: `${promise.mountPoint} has mode ${promise.mode}`,
        found: `mode ${mode}`,
        cause:
          'vfat knows no owners: everybody can read the random seed and the kernels. Mount it with umask=0077.',
      };
}

export function checkSwapActive(promise: Of<'swap-active'>, context: BootContext): Outcome {
  const { swaps, devices } = context.evidence;
  const missing = promise.devices.filter((device) => !swaps.includes(devices.get(device) ?? device));
  return missing.length === 0
    ? { status: 'pass', found: swaps.join(', ') }
    : {
        status: 'fail',
        expected: `swap on ${promise.devices.join(', ')}`,
        found: swaps.length === 0 ? 'no swap is in use' : `in use: ${swaps.join(', ')}`,
        cause: `The device is not there, holds no swap, or its unit was never asked for; \`systemctl status '*.swap'\` and the journal say which.`,
      };
}

/** A key of the boot before would let its swap be read. */
export function checkSwapKey(promise: Of<'swap-key-random'>, context: BootContext): Outcome {
  const { mapperTables } = context.evidence;
  const absent = promise.mappers.find((name) => !mapperTables.has(name));
  if (absent !== undefined)
    return {
      status: 'fail',
      expected: `swap lies on /dev/mapper/${absent}, encrypted`,
      found: 'there is no such device',
      cause: `mkswap-${absent}.service makes it at every boot; \`systemctl status\` of it says why it did not.`,
    };
  const before = context.previous?.mapperTables;
  const same = promise.mappers.find((name) => before?.get(name) === mapperTables.get(name));
  if (before !== undefined && same !== undefined)
    return {
      status: 'fail',
      expected: 'another key than in the boot before',
      found: `/dev/mapper/${same} has the same one`,
      cause: 'The key comes from something that is kept instead of /dev/urandom.',
    };
  return {
    status: 'pass',
    found: before === undefined ? 'encrypted' : 'encrypted with another key than in the boot before',
  };
}

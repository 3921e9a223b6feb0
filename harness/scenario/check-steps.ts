import { changesMachine, isSubvolumeFault } from './fault.js';
import type { FaultInput, FaultName } from './fault-schema.js';
import type { RuleContext } from './rule-context.js';
import type { ScenarioInput } from './schema.js';

type StepInput = ScenarioInput['steps'][number];

interface Rules {
  /** The whole scenario, as far as it is well-formed. */
  readonly input: Partial<ScenarioInput>;
  readonly context: RuleContext;
}

/** What can follow a fault: everything that powers the machine on. */
const POWERS_ON = ['install', 'boot', 'reboot', 'power-cut', 'power-cut-at'];

function kindOf(step: StepInput): string {
  if (typeof step === 'string') return step;
  if ('run' in step) return 'run';
  if ('fault' in step) return 'fault';
  return step.during === 'boot' ? 'power-cut-at' : 'power-cut-at during shutdown';
}

/** Checks the order of the steps, and what faults need. */
export function checkSteps(steps: ScenarioInput['steps'], rules: Rules): void {
  const { context, input } = rules;
  if (!context.isWhole(['steps'])) return;
  const all = steps.map(kindOf);
  checkPlaces(all, context);
  for (const [index, step] of steps.entries()) {
    if (typeof step !== 'string' && 'fault' in step)
      checkFault(step.fault, { index, isBeforeInstall: all.indexOf('install') > index }, rules);
  }
  // Where these stand between the others says nothing of them.
  const aside = ['power-cut-at', 'power-cut-at during shutdown', 'fault', 'install'];
  const counted = [...all.entries()].filter(([, kind]) => !aside.includes(kind));
  const kinds = counted.map(([, kind]) => kind);
  if (kinds[0] !== 'boot')
    context.report(steps.length > 0 ? ['steps', 0] : ['steps'], 'steps must begin with boot');
  if (kinds.length > 1 && kinds.at(-1) !== 'power-off') {
    context.report(
      ['steps', steps.length - 1],
      'steps must end with power-off: the disk is judged when the machine is off',
    );
  }
  const between = kinds.slice(1, -1);
  for (const [index, step] of counted.slice(1, -1)) {
    if (step === 'boot' || step === 'power-off') {
      context.report(
        ['steps', index],
        `${step} cannot be between the first and the last step; reboot, power-cut, hibernate and run can`,
      );
    }
  }
  // A known bug may show in the first boot.
  if (input.expect === undefined && between.every((step) => step === 'run' || step === 'hibernate')) {
    context.report(
      ['steps'],
      'steps needs a reboot or a power-cut: what is forgotten and kept shows only after one',
    );
  }
}

function checkPlaces(all: readonly string[], context: RuleContext): void {
  for (const [index, kind] of all.entries()) {
    const next = all.slice(index + 1).find((each) => each !== 'fault');
    const before = all.slice(0, index);
    if (
      kind.startsWith('power-cut-at') &&
      next !== 'power-cut-at' &&
      next !== 'boot' &&
      next !== 'power-cut'
    ) {
      context.report(
        ['steps', index],
        'after power-cut-at the machine is off: boot, power-cut or another power-cut-at has to follow',
      );
    }
    const last = before.filter((each) => each !== 'fault').at(-1);
    if (kind === 'power-cut-at during shutdown' && (last?.startsWith('power-cut-at') ?? true))
      context.report(['steps', index], 'only a running system can shut down: boot it first');
    if (kind === 'install' && before.some((each) => each !== 'fault'))
      context.report(
        ['steps', index],
        'install can only be the first step, after faults of the empty machine',
      );
    const isAfterEnd = before.includes('power-off');
    if (kind === 'fault' && !(isAfterEnd ? next === undefined : POWERS_ON.includes(next ?? ''))) {
      context.report(
        ['steps', index],
        `a fault needs the machine to be off, and here it runs: put it before ${POWERS_ON.join(', ')}, or at the end, after power-off`,
      );
    }
  }
}

function checkFault(
  fault: FaultInput,
  place: { readonly index: number; readonly isBeforeInstall: boolean },
  { input, context }: Rules,
): void {
  const at = ['steps', place.index, 'fault'];
  const names = Object.keys(fault) as FaultName[];
  if (names.length !== 1) {
    context.report(at, 'a fault has one name; several faults are several steps');
    return;
  }
  const { system, disks } = input;
  const [name] = names;
  if (name === undefined) return;
  const report = (message: string): void => {
    context.report([...at, name], message);
  };
  const isWhole = system !== undefined && context.isWhole(['system', 'fileSystems']);
  const mounts = Object.entries(system?.fileSystems ?? {});
  if (isSubvolumeFault(name) && isWhole && !mounts.some(([, { fsType }]) => fsType === 'btrfs'))
    report(`${name} works on btrfs, and system.fileSystems has none`);
  if (place.isBeforeInstall && (isSubvolumeFault(name) || name === 'fill'))
    report(`before install there is no file system that ${name} could work on`);
  if (place.isBeforeInstall && changesMachine(name))
    report(`${name} changes the machine that boots the layout, not the installer: put it after install`);
  if (fault.fill !== undefined && isWhole) {
    const holder = mounts.find(([mountPoint]) => mountPoint === fault.fill)?.[1];
    if (holder?.device.startsWith('/dev/') !== true)
      report(`${fault.fill} is not the mount point of a file system on a disk`);
  }
  const disk =
    fault['slow-disk']?.disk ?? fault['detach-disk'] ?? fault['attach-disk'] ?? fault['clone-disk'];
  if (disk !== undefined && context.isWhole(['disks']) && disks?.[disk] === undefined)
    report(`there is no disk "${disk}"; the disks are: ${Object.keys(disks ?? {}).join(', ')}`);
  if (fault.clock !== undefined && Object.keys(fault.clock).length > 1)
    report('the clock is behind, ahead, or at a date: one of them');
  if (
    fault.passphrase !== undefined &&
    system !== undefined &&
    context.isWhole(['system', 'luks']) &&
    Object.keys(system.luks).length === 0
  )
    report('nobody asks for a passphrase: system.luks is empty');
}

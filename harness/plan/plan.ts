import path from 'node:path';

import { formatPlace, type Place } from '../core/index.js';
import {
  type DiskImage,
  type Fault,
  type GuestKind,
  type LuksDevice,
  nameOfScript,
  type Scenario,
  type Script,
  type SystemModel,
  type TargetLimits,
  type Variant,
  whyNotNixos,
} from '../scenario/index.js';

/** What the host and the target offer. */
export interface TargetFacts {
  /** What the target cannot do, and why. Absent: nothing of what a scenario can ask for. */
  readonly limits?: TargetLimits;
  /** Bytes of the disks that it has, by name. Absent: as many as wanted, of any size. */
  readonly disks?: ReadonlyMap<string, number>;
  /** What is to be installed. */
  readonly guest: GuestKind;
  /** Memory that machines may take. */
  readonly memoryMiB: number;
}

/** One thing that is done, in order. */
export type PlanStep =
  | { readonly kind: 'install'; readonly script: string }
  | { readonly kind: 'make-image'; readonly image: DiskImage }
  | { readonly kind: 'boot'; readonly boot: number; readonly how: 'power-on' | 'reboot' | 'power-cut' }
  /** The TPM of the booted machine gets a key slot of every LUKS device. */
  | { readonly kind: 'enrol-tpm2'; readonly boot: number; readonly devices: readonly LuksDevice[] }
  | { readonly kind: 'run'; readonly boot: number; readonly script: Script }
  /** Within a boot: it goes on afterwards. */
  | { readonly kind: 'hibernate'; readonly boot: number }
  /** Before that boot, in one that is not counted: when the console or the journal has the text. */
  | {
      readonly kind: 'power-cut-at';
      readonly boot: number;
      readonly text: string;
      readonly during: 'boot' | 'shutdown';
      readonly place: Place;
    }
  /** The running machine goes off, because the next step needs it so. */
  | { readonly kind: 'shut-down'; readonly boot: number; readonly how: 'power-off' | 'power-cut' }
  /** Before that boot; of a machine that is off. At least one. */
  | { readonly kind: 'faults'; readonly boot: number; readonly faults: readonly Fault[] }
  | { readonly kind: 'power-off'; readonly boot: number }
  | { readonly kind: 'inspect' };

export type Plan =
  | { readonly variant: Variant; readonly steps: readonly PlanStep[] }
  /** It cannot run here; nothing has been started. */
  | { readonly variant: Variant; readonly skip: string };

/** What will be done for a variant, or why it cannot be. Starts nothing and asks nothing. */
export function planVariant(variant: Variant, facts: TargetFacts): Plan {
  const { scenario } = variant;
  const { guest } = facts;
  if (!scenario.guests.includes(guest)) {
    return {
      variant,
      skip: `it is for the guest ${scenario.guests.join(', ')}, and the guest of this run is ${guest}`,
    };
  }
  const skip = guest === 'nixos' ? whyNotNixos(scenario.system) : whyNoNix(scenario.system);
  if (skip !== undefined) return { variant, skip };
  const beyond = whyNotThere(variant, facts);
  if (beyond !== undefined) return { variant, skip: beyond };
  if (scenario.machine.memoryMiB > facts.memoryMiB) {
    return {
      variant,
      skip: `its machine needs ${String(scenario.machine.memoryMiB)} MiB of memory, this host has ${String(facts.memoryMiB)} MiB left`,
    };
  }
  const steps = planSteps(scenario);
  return { variant, steps: [...steps, { kind: 'inspect' }] };
}

function planSteps(scenario: Scenario): PlanStep[] {
  const isInstall = ({ kind }: Scenario['steps'][number]): boolean => kind === 'install';
  const installAt = scenario.steps.findIndex(isInstall);
  const early = scenario.steps
    .slice(0, Math.max(installAt, 0))
    .flatMap((step) => (step.kind === 'fault' ? [step.fault] : []));
  const steps: PlanStep[] = [
    ...(early.length === 0 ? [] : [{ kind: 'faults' as const, boot: 0, faults: early }]),
    ...planDisk(scenario),
  ];
  const enrolled = scenario.system.luks.filter(({ unlock }) => unlock === 'tpm2');
  let boot = 0;
  let isRunning = false;
  const later = scenario.steps.slice(installAt + 1);
  for (const [index, step] of later.entries()) {
    switch (step.kind) {
      case 'install':
        break;
      case 'fault': {
        const next = later.slice(index + 1).find(({ kind }) => kind !== 'fault');
        if (isRunning)
          steps.push({ kind: 'shut-down', boot, how: next?.kind === 'reboot' ? 'power-off' : 'power-cut' });
        isRunning = false;
        const group = steps.at(-1);
        if (group?.kind === 'faults')
          steps.splice(-1, 1, { ...group, faults: [...group.faults, step.fault] });
        else steps.push({ kind: 'faults', boot: boot + 1, faults: [step.fault] });
        break;
      }
      case 'power-off':
      case 'hibernate':
        steps.push({ kind: step.kind, boot });
        isRunning = step.kind === 'hibernate';
        break;
      case 'run':
        steps.push({ kind: 'run', boot, script: step.script });
        break;
      case 'power-cut-at':
        steps.push({ ...step, boot: step.during === 'boot' ? boot + 1 : boot });
        isRunning = false;
        break;
      default:
        boot += 1;
        isRunning = true;
        steps.push({ kind: 'boot', boot, how: step.kind === 'boot' ? 'power-on' : step.kind });
        if (boot === 1 && enrolled.length > 0) steps.push({ kind: 'enrol-tpm2', boot, devices: enrolled });
    }
  }
  return steps;
}

/** What of a scenario and its machine the target cannot do. */
function whyNotThere({ scenario, choices }: Variant, facts: TargetFacts): string | undefined {
  const { limits = {}, guest, disks: there } = facts;
  const { disks, system, steps } = scenario;
  for (const { name, sizeMiB } of there === undefined ? [] : disks) {
    const sizeBytes = there?.get(name);
    if (sizeBytes === undefined)
      return `it has the disk "${name}", and the host file allows no disk of that name`;
    if (sizeBytes < sizeMiB * 2 ** 20)
      return `its disk "${name}" has ${String(sizeMiB)} MiB, and that of the host file only ${String(Math.floor(sizeBytes / 2 ** 20))} MiB`;
  }
  const needs: Readonly<Record<keyof TargetLimits, boolean>> = {
    nvme: disks.some(({ bus }) => bus === 'nvme'),
    // Where nobody has the choice, a scenario that leaves none means any disk.
    'virtual-disks': choices.includes('disk=virtio'),
    'untouched-disks': disks.some(({ untouched }) => untouched),
    'large-sectors': disks.some(({ sectorBytes }) => sectorBytes !== 512),
    image: system.image !== undefined,
    tpm: system.luks.some(({ unlock }) => unlock === 'tpm2'),
    'secure-boot': system.secureBoot !== undefined,
    hibernation: steps.some(({ kind }) => kind === 'hibernate'),
    'power-cut': steps.some(({ kind }) => kind === 'power-cut' || kind === 'power-cut-at'),
    faults: steps.some(({ kind }) => kind === 'fault'),
    // A TPM is enrolled in a boot that a passphrase opens.
    console: system.luks.some(({ unlock }) => unlock !== 'key-file'),
    'nixos-guest': guest === 'nixos',
  };
  const lacks = Object.entries(limits) as [keyof TargetLimits, string][];
  return lacks.find(([what]) => needs[what])?.[1];
}

/** Why a scenario's own Nix modules keep it from the guest that is here: without them it would be another system. */
function whyNoNix({ nixModules }: SystemModel): string | undefined {
  if (nixModules.length === 0) return undefined;
  const names = nixModules.map(({ file }) => path.basename(file)).join(', ');
  const them = nixModules.length === 1 ? 'a Nix module' : 'Nix modules';
  return `it has ${them} of its own (${names}), which the guest debian, made of Debian packages, cannot evaluate; where there is Nix, \`imperm run --guest nixos\` runs it`;
}

/** How the disk is filled. */
function planDisk({ install, system }: Scenario): PlanStep[] {
  return [
    ...(install === undefined ? [] : [{ kind: 'install' as const, script: install.file }]),
    ...(system.image === undefined ? [] : [{ kind: 'make-image' as const, image: system.image }]),
  ];
}

function describeImage({ esp, btrfs, subvolumes, owner }: DiskImage): string {
  const fault =
    owner.uid + owner.gid === 0 ? '' : `, all of it owned by ${String(owner.uid)}:${String(owner.gid)}`;
  return `make the image: ${esp.partLabel} of ${String(esp.sizeMiB)} MiB, ${btrfs.partLabel} of at least ${String(btrfs.sizeMiB)} MiB with ${subvolumes.join(', ')}${fault}; read it in another machine`;
}

const HOW = {
  'power-on': 'power on',
  reboot: 'reboot in good order',
  'power-cut': 'cut the power, then power on',
};

/** What opens the LUKS devices in a boot, and a comma; nothing when there are none. */
function describeUnlock({ luks }: SystemModel, boot: number): string {
  const [first] = luks;
  if (first === undefined) return '';
  // A TPM is enrolled in the first boot.
  const by = first.unlock === 'tpm2' && boot === 1 ? 'passphrase' : first.unlock;
  return `${UNLOCK[by]}, `;
}

const UNLOCK = {
  passphrase: 'type the passphrase',
  'key-file': 'unlock with the key file',
  tpm2: 'unlock with the TPM',
};

/** A firmware without keys is given them by the boot loader, once. */
function describeKeys({ secureBoot }: SystemModel, boot: number): string {
  return secureBoot !== undefined && boot === 1 ? 'see the firmware take the keys of Secure Boot, ' : '';
}

function describeKeyFile({ luks }: SystemModel): string {
  const names = luks.filter(({ unlock }) => unlock === 'key-file').map(({ name }) => name);
  return names.length === 0 ? '' : `, add the key file to ${names.join(', ')}`;
}

function describeProcessors(cpus: number | undefined): string {
  if (cpus === undefined) return '2 processors (1 when emulated)';
  return cpus === 1 ? '1 processor' : `${String(cpus)} processors`;
}

/** A plan as text: the steps, and every promise with the place where it was made. */
export function renderPlan(plan: Plan): string {
  const { scenario, id } = plan.variant;
  if ('skip' in plan) return `${id}: skipped, ${plan.skip}\n`;
  const disks = scenario.disks
    .map(
      ({ name, sizeMiB, bus, sectorBytes }) =>
        `${name} ${String(sizeMiB / 1024)} GiB on ${bus}, sectors of ${String(sectorBytes)} bytes`,
    )
    .join(', ');
  const lines = plan.steps.map((step, index) => {
    switch (step.kind) {
      case 'install':
        return `install with ${step.script}${describeKeyFile(scenario.system)}`;
      case 'make-image':
        return describeImage(step.image);
      case 'boot':
        return `boot ${String(step.boot)}: ${plan.steps[index - 1]?.kind === 'faults' ? HOW['power-on'] : HOW[step.how]}, ${describeKeys(scenario.system, step.boot)}${describeUnlock(scenario.system, step.boot)}gather evidence, plant canaries`;
      case 'enrol-tpm2':
        return `enrol the TPM for ${step.devices.map(({ name }) => name).join(', ')}, as its owner does once`;
      case 'run':
        return `run ${nameOfScript(step.script)} in the booted system`;
      case 'hibernate':
        return 'hibernate, power on, see it resume';
      case 'power-cut-at':
        return step.during === 'boot'
          ? `power on, cut the power when it says "${step.text}"`
          : `power off in good order, cut the power when it says "${step.text}"`;
      case 'shut-down':
        return step.how === 'power-off' ? 'power off in good order' : 'cut the power';
      case 'faults':
        return step.faults.map(({ title }) => title).join('; ');
      case 'power-off':
        return 'power off in good order';
      case 'inspect':
        return 'read the powered-off disk in another machine';
    }
  });
  return [
    `${id}: ${scenario.title}`,
    `  machine: ${String(scenario.machine.memoryMiB)} MiB, ${describeProcessors(scenario.machine.cpus)}, disks: ${disks}`,
    ...lines.map((line, index) => `  ${String(index + 1).padStart(2)}. ${line}`),
    `  promises (${String(scenario.promises.length)}):`,
    ...scenario.promises.map(
      (promise) => `    ${promise.title}  [${promise.id}]  ${formatPlace(promise.place)}`,
    ),
    '',
  ].join('\n');
}

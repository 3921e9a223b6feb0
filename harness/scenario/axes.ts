/** Which kind of stage 1 unlocks, rolls back and mounts. */
export const STAGE1_KINDS = ['systemd', 'scripted'] as const;
/** How a disk is attached to the machine. */
export const DISK_BUSES = ['virtio', 'nvme'] as const;
/** Bytes in a logical and physical sector. */
export const SECTOR_SIZES = [512, 4096] as const;
/** What unlocks the LUKS devices; `none`: there are none, what they hold lies on the bare partitions. */
export const LUKS_KINDS = ['passphrase', 'key-file', 'tpm2', 'none'] as const;
/** What the firmware starts: anything, or (`secure-boot`) only what is signed with keys that it was given. */
export const FIRMWARE_KINDS = ['uefi', 'secure-boot'] as const;
/** Points of scripted stage 1 at which NixOS runs commands of the configuration, in order. */
export const STAGE1_HOOKS = [
  'preDeviceCommands',
  'preLVMCommands',
  'postDeviceCommands',
  'postResumeCommands',
  'postMountCommands',
] as const;

export type StageOneKind = (typeof STAGE1_KINDS)[number];
export type DiskBus = (typeof DISK_BUSES)[number];
export type SectorSize = (typeof SECTOR_SIZES)[number];
export type LuksKind = (typeof LUKS_KINDS)[number];
export type FirmwareKind = (typeof FIRMWARE_KINDS)[number];
export type StageOneHook = (typeof STAGE1_HOOKS)[number];

/** One value of every axis. */
export interface AxisValues {
  readonly stage1: StageOneKind;
  readonly disk: DiskBus;
  readonly sectorSize: SectorSize;
  readonly luks: LuksKind;
  readonly firmware: FirmwareKind;
}

export type AxisName = keyof AxisValues;

/** The values of every axis that a scenario is to be tried with, each at least one. */
export type Axes = { readonly [Name in AxisName]: readonly AxisValues[Name][] };

/** What cannot be, whatever the scenario: NixOS's scripted stage 1 knows nothing of TPMs. */
function isPossible({ stage1, luks }: AxisValues): boolean {
  return !(stage1 === 'scripted' && luks === 'tpm2');
}

/** Every combination that can be, in the order of the axes' values; the last axis changes fastest. */
export function combine(axes: Axes): readonly AxisValues[] {
  return axes.stage1
    .flatMap((stage1) =>
      axes.disk.flatMap((disk) =>
        axes.sectorSize.flatMap((sectorSize) =>
          axes.luks.flatMap((luks) =>
            axes.firmware.map((firmware) => ({ stage1, disk, sectorSize, luks, firmware })),
          ),
        ),
      ),
    )
    .filter(isPossible);
}

/**
 * Chooses few of many: every pair of values of two axes that occurs in any of them occurs in one of the chosen.
 *
 * @param all Combinations, such as those of `combine`.
 * @returns Some of them, in their order; the first is always among them.
 */
export function choosePairs<T extends Readonly<Record<string, string>>>(all: readonly T[]): readonly T[] {
  const points = all.map((values) => ({ values, pairs: pairsOf(values) }));
  const missing = new Set(points.flatMap(({ pairs }) => pairs));
  const chosen = new Set<(typeof points)[number]>();
  while (missing.size > 0) {
    let best: { readonly point: (typeof points)[number]; readonly gain: number } | undefined;
    for (const point of points) {
      const gain = point.pairs.filter((pair) => missing.has(pair)).length;
      if (best === undefined || gain > best.gain) best = { point, gain };
    }
    if (best === undefined) break;
    chosen.add(best.point);
    for (const pair of best.point.pairs) missing.delete(pair);
  }
  // What was chosen early may be in the later ones all over again.
  for (const point of chosen) {
    const others = new Set([...chosen].filter((other) => other !== point).flatMap(({ pairs }) => pairs));
    if (point !== points[0] && point.pairs.every((pair) => others.has(pair))) chosen.delete(point);
  }
  return points.filter((point) => chosen.has(point)).map(({ values }) => values);
}

/** Every value with every other, and each with itself: so that a single axis has its values, too. */
function pairsOf(values: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return entries.flatMap((one, index) => entries.slice(index).map((other) => `${one} ${other}`));
}

/** Every `axis=value` that there is. */
export function listAxisValues(): readonly string[] {
  const axes: Axes = {
    stage1: STAGE1_KINDS,
    disk: DISK_BUSES,
    sectorSize: SECTOR_SIZES,
    luks: LUKS_KINDS,
    firmware: FIRMWARE_KINDS,
  };
  return Object.entries(axes).flatMap(([axis, values]) => values.map((value) => `${axis}=${String(value)}`));
}

import { readFileSync } from 'node:fs';
import path from 'node:path';

import { quote, repositoryRoot } from '../core/index.js';
import { type FileSystem, isAtOrBelow, type StageOneHook, type SystemModel } from '../scenario/index.js';
import type { Tree, TreeEntry } from './cpio.js';
import { LUKS_KEY_FILE } from './units.js';

const TEMPLATE = path.join(repositoryRoot, 'harness/guest/stage-1-init.sh');

/** Programs that NixOS adds to busybox only when a part of the configuration asks for them, by the names they get. */
const EXTRA_PROGRAMS = {
  btrfs: ['btrfs', 'btrfsck', 'fsck.btrfs'],
  e2fsck: ['e2fsck', 'fsck.ext2', 'fsck.ext3', 'fsck.ext4'],
  cryptsetup: ['cryptsetup'],
} as const;

function extraPrograms(system: SystemModel): (keyof typeof EXTRA_PROGRAMS)[] {
  const types = system.fileSystems.filter(({ neededForBoot }) => neededForBoot).map(({ fsType }) => fsType);
  return [
    ...(types.includes('btrfs') ? (['btrfs'] as const) : []),
    ...(types.some((type) => type.startsWith('ext')) ? (['e2fsck'] as const) : []),
    ...(system.luks.length > 0 ? (['cryptsetup'] as const) : []),
  ];
}

/** A script of the scenario stands before or after what NixOS's own modules do at the same point. */
function renderHook(system: SystemModel, hook: StageOneHook, own: readonly string[]): string {
  const scripted = system.rollback?.scripted;
  if (scripted?.hook !== hook) return own.join('\n');
  const { text } = scripted.script;
  // With the same priority, what the configuration says comes before what modules of NixOS say.
  return (scripted.order === 'after' ? [...own, text] : [text, ...own]).join('\n');
}

function renderLuks(system: SystemModel): string[] {
  if (system.luks.length === 0) return [];
  return [
    'mkdir -p /run/cryptsetup',
    'stty -echo',
    ...system.luks.map(({ name, device, allowDiscards, unlock }) =>
      [
        'openLuks',
        quote(device),
        quote(name),
        unlock === 'key-file' ? LUKS_KEY_FILE : "''",
        ...(allowDiscards ? ['--allow-discards'] : []),
      ].join(' '),
    ),
    'stty echo',
    'reused=',
  ];
}

function isBind({ device }: FileSystem): boolean {
  return device.startsWith('/') && !device.startsWith('/dev/');
}

/** What is mounted in stage 1, each after everything that it lies on or is bound from. */
function inMountOrder(fileSystems: readonly FileSystem[]): readonly FileSystem[] {
  const ordered: FileSystem[] = [];
  let left = fileSystems.filter(({ neededForBoot }) => neededForBoot);
  while (left.length > 0) {
    const ready = left.find((each) =>
      left.every(
        (other) =>
          other === each ||
          !(
            isAtOrBelow(each.mountPoint, other.mountPoint) ||
            (isBind(each) && isAtOrBelow(each.device, other.mountPoint))
          ),
      ),
    );
    // Mounts that wait for each other: NixOS refuses them; here stage 1 shows that they fail.
    const next = ready ?? left[0];
    if (next === undefined) break;
    ordered.push(next);
    left = left.filter((each) => each !== next);
  }
  return ordered;
}

function renderMounts(system: SystemModel): string {
  return inMountOrder(system.fileSystems)
    .map(({ device, mountPoint, fsType, options }) => {
      // busybox knows nothing of options that are meant for systemd.
      const known = options.filter((option) => !option.startsWith('x-'));
      const list = known.length === 0 ? 'defaults' : known.join(',');
      return ['mountFileSystem', ...[device, mountPoint, fsType, list].map(quote)].join(' ');
    })
    .join('\n');
}

/** Persisted directories that have to be there when the system is activated: impermanence binds them by itself. */
function renderPersistence(system: SystemModel): string[] {
  return system.persistence.flatMap(({ directories }) =>
    directories
      .filter(({ inStageOne }) => inStageOne)
      .map(({ source, path: target }) => {
        const [from, to] = [source, target].map((each) => quote(`/mnt-root${each}`));
        return `mkdir -p ${from ?? ''} ${to ?? ''} && mount -o bind ${from ?? ''} ${to ?? ''}`;
      }),
  );
}

/**
 * Scripted stage 1 of a system, from the first process of the machine to the start of stage 2. What the scenario runs is
 * part of its text, as on NixOS.
 *
 * @param kernelModules Loaded before anything else.
 */
export function renderStageOneInit(system: SystemModel, kernelModules: readonly string[]): string {
  const btrfs = extraPrograms(system).includes('btrfs');
  const parts: Readonly<Record<string, string>> = {
    kernelModules: kernelModules.join(' '),
    preDeviceCommands: renderHook(system, 'preDeviceCommands', []),
    preLVMCommands: renderHook(system, 'preLVMCommands', renderLuks(system)),
    postDeviceCommands: renderHook(system, 'postDeviceCommands', btrfs ? ['btrfs device scan'] : []),
    resumeDevices: system.swapDevices
      .filter(({ randomEncryption }) => !randomEncryption)
      .map(({ device }) => quote(device))
      .join(' '),
    postResumeCommands: renderHook(system, 'postResumeCommands', []),
    mounts: renderMounts(system),
    postMountCommands: renderHook(system, 'postMountCommands', renderPersistence(system)),
  };
  return readFileSync(TEMPLATE, 'utf8').replaceAll(/@(\w+)@/g, (whole, name: string) => parts[name] ?? whole);
}

/** The part of scripted stage 1 that a scenario adds to the generic image. */
export function makeScriptedStageOneTree(system: SystemModel, kernelModules: readonly string[]): Tree {
  const links = extraPrograms(system).flatMap((program) =>
    EXTRA_PROGRAMS[program].map((name): [string, TreeEntry] => [
      `/usr/bin/${name}`,
      { kind: 'link', target: `../lib/tools/${program}` },
    ]),
  );
  return new Map<string, TreeEntry>([
    ['/init', { kind: 'file', content: renderStageOneInit(system, kernelModules), executable: true }],
    ...links,
  ]);
}

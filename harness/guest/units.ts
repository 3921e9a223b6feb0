import { basename } from 'node:path';

import {
  escapeUnitPath,
  type FileSystem,
  type PersistedDirectory,
  type Persistence,
  type Rollback,
  type SwapDevice,
  type SystemModel,
} from '../scenario/index.js';

/** Options of a mount as they stand in an fstab. The mark of early mounts, which systemd leaves alone, comes first. */
function mountOptions(fileSystem: FileSystem): string {
  const options = [...(fileSystem.neededForBoot ? ['x-initrd.mount'] : []), ...fileSystem.options];
  return options.length === 0 ? 'defaults' : options.join(',');
}

/** A field of an fstab, as NixOS escapes it. */
function escapeField(text: string): string {
  return text.replaceAll(' ', '\\040').replaceAll('\t', '\\011');
}

/** File systems whose checker does nothing at boot. */
const UNCHECKED = new Set(['btrfs', 'tmpfs', 'zfs', 'overlay', 'bcachefs', 'none', 'auto']);

function fstabLine(fileSystem: FileSystem): string {
  const pass =
    UNCHECKED.has(fileSystem.fsType) || fileSystem.device === 'none' || fileSystem.options.includes('bind')
      ? '0'
      : fileSystem.mountPoint === '/'
        ? '1'
        : '2';
  const { device, mountPoint, fsType } = fileSystem;
  return `${escapeField(device)} ${escapeField(mountPoint)} ${fsType} ${escapeField(mountOptions(fileSystem))} 0 ${pass}\n`;
}

/** /etc/fstab of the booted system. */
export function renderFstab(system: SystemModel): string {
  return [
    ...system.fileSystems.map(fstabLine),
    ...system.swapDevices.map(({ swapsOn }) => `${escapeField(swapsOn)} none swap defaults\n`),
  ].join('');
}

/** The mounts that stage 1 makes below /sysroot, as systemd's generator reads them there. */
export function renderInitrdFstab(system: SystemModel): string {
  return system.fileSystems
    .filter((fileSystem) => fileSystem.neededForBoot)
    .map(fstabLine)
    .join('');
}

/** Where stage 1 has the key of LUKS devices: `boot.initrd.luks.devices.<name>.keyFile`. */
export const LUKS_KEY_FILE = '/crypto_keyfile.bin';

/** /etc/crypttab of stage 1, as NixOS writes it: sorted. */
export function renderCrypttab(system: SystemModel): string {
  return [...system.luks]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, device, allowDiscards, unlock }) => {
      const key = unlock === 'key-file' ? LUKS_KEY_FILE : '-';
      const options = [
        // `crypttabExtraOpts`
        ...(unlock === 'tpm2' ? ['tpm2-device=auto'] : []),
        ...(allowDiscards ? ['discard'] : []),
      ];
      return `${name} ${device} ${key} ${options.join(',')}\n`;
    })
    .join('');
}

/** A list that is not empty, as NixOS writes it: in one line. */
function unitLine(key: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`${key}=${values.join(' ')}`];
}

/** The rollback as NixOS renders a service of stage 1: the script is a program of its own in the store. */
export function renderRollbackUnit(rollback: Rollback, program: string): string {
  return [
    '[Unit]',
    ...unitLine('After', rollback.after),
    ...unitLine('Before', rollback.before),
    'DefaultDependencies=no',
    `Description=${rollback.description}`,
    ...unitLine('Requires', rollback.requires),
    '',
    '[Service]',
    // Behind the space are the arguments of the program, of which there are none.
    `ExecStart=${program} `,
    ...(rollback.remainAfterExit ? ['RemainAfterExit=true'] : []),
    'Type=oneshot',
    ...(rollback.wantedBy.length === 0 ? [] : ['', '[Install]', ...unitLine('WantedBy', rollback.wantedBy)]),
    '',
  ].join('\n');
}

/** NixOS puts `set -e` before the text of a service's script, whatever the text says. */
export function renderRollbackProgram(rollback: Rollback): string {
  return `#!/bin/bash\nset -e\n\n${rollback.script.text}\n\n`;
}

/** A persisted directory: a bind mount from the persistent store. */
export function renderPersistenceMount(directory: PersistedDirectory, persistence: Persistence): string {
  return renderBind(directory, persistence, { before: 'local-fs.target', root: '' });
}

/** The same in stage 1, for what has to be there when the system is activated. */
export function renderStageOnePersistenceMount(
  directory: PersistedDirectory,
  persistence: Persistence,
): string {
  return renderBind(directory, persistence, {
    before: 'initrd-nixos-activation.service',
    root: '/sysroot',
  });
}

function renderBind(
  directory: PersistedDirectory,
  persistence: Persistence,
  stage: { readonly before: string; readonly root: string },
): string {
  return [
    '[Unit]',
    `Before=${stage.before}`,
    'DefaultDependencies=no',
    '',
    '[Mount]',
    `Options=bind${persistence.hideMounts ? ',x-gvfs-hide' : ''}`,
    `What=${stage.root}${directory.source}`,
    `Where=${stage.root}${directory.path}`,
    '',
  ].join('\n');
}

/** Names the service of NixOS that makes a randomly encrypted swap device anew at every boot. */
export function swapUnit(swap: SwapDevice): string {
  return `mkswap-${basename(swap.swapsOn)}.service`;
}

/** That service: the key goes from the kernel into the mapping and is nowhere else. */
export function renderSwapUnit(swap: SwapDevice): string {
  const name = basename(swap.swapsOn);
  return [
    '[Unit]',
    `After=${escapeUnitPath(swap.device)}.device`,
    `Before=${escapeUnitPath(swap.swapsOn)}.swap`,
    'DefaultDependencies=no',
    `Description=Initialisation of swap device ${swap.device}`,
    '',
    '[Service]',
    `ExecStart=/usr/sbin/cryptsetup plainOpen -c aes-xts-plain64 -d /dev/urandom ${swap.device} ${name}`,
    `ExecStart=/usr/sbin/mkswap ${swap.swapsOn}`,
    // udev may have looked before there was a signature, and then nothing tells systemd that the device is ready: the
    // boot waits 90 s for it (nixpkgs#524389, mended by nixpkgs#530286).
    `ExecStart=udevadm trigger --action=change --settle ${swap.swapsOn}`,
    `ExecStop=/usr/sbin/cryptsetup close ${name}`,
    'RemainAfterExit=yes',
    'Type=oneshot',
    'UMask=0177',
    '',
  ].join('\n');
}

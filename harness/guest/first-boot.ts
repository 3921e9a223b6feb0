import type { SystemModel } from '../scenario/index.js';
import type { TreeEntry } from './cpio.js';

/** Where an image keeps what Nix has to know about its store: a file system that is there at every boot, unlike `/`. */
export const REGISTRATION = '/nix/nix-path-registration';

const UNIT = 'imperm-first-boot.service';

/** The unit of an image that completes it in the machine; nothing for a system that was installed. */
export function firstBootEntries({ image }: SystemModel): [string, TreeEntry][] {
  if (image === undefined) return [];
  const unit = [
    '[Unit]',
    // Before every service and every timer: a collection of garbage would find a store of which nothing is known.
    'After=local-fs.target systemd-udevd.service',
    'Before=sysinit.target shutdown.target',
    `ConditionPathExists=${REGISTRATION}`,
    'Conflicts=shutdown.target',
    'DefaultDependencies=no',
    'Description=First boot of a disk image',
    'RequiresMountsFor=/nix',
    '',
    '[Service]',
    'Environment=HOME=/root',
    `ExecStart=/usr/lib/imperm/first-boot /nix ${REGISTRATION}`,
    'RemainAfterExit=yes',
    'StandardOutput=journal+console',
    'Type=oneshot',
    '',
  ].join('\n');
  return [
    [`/etc/systemd/system/${UNIT}`, { kind: 'file', content: unit }],
    [`/etc/systemd/system/sysinit.target.wants/${UNIT}`, { kind: 'link', target: `../${UNIT}` }],
    // Nothing is built in the machine, and nothing is fetched.
    ['/etc/nix/nix.conf', { kind: 'file', content: 'build-users-group =\nsubstituters =\n' }],
  ];
}

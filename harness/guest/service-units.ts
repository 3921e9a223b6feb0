import { escapeUnitPath, type SystemModel } from '../scenario/index.js';
import { file, link, type TreeEntry } from './cpio.js';

type Entries = [string, TreeEntry][];

const UNITS = '/etc/systemd/system';

/** Starts a unit that a Debian package brought along. */
function want(target: string, ...units: readonly string[]): Entries {
  return units.map((unit) => [`${UNITS}/${target}.wants/${unit}`, link(`/usr/lib/systemd/system/${unit}`)]);
}

function networkManagerEntries({ services }: SystemModel): Entries {
  if (!services.networkmanager.enable) return [];
  return [
    ...want('multi-user.target', 'NetworkManager.service'),
    ...want('network-online.target', 'NetworkManager-wait-online.service'),
    [
      `${UNITS}/NetworkManager.service.d/overrides.conf`,
      file('[Service]\nStateDirectory=NetworkManager\nStateDirectoryMode=0755\n'),
    ],
  ];
}

function dockerEntries({ services }: SystemModel): Entries {
  const { docker } = services;
  if (!docker.enable) return [];
  const settings = {
    group: 'docker',
    'log-driver': 'journald',
    ...(docker.storageDriver === undefined ? {} : { 'storage-driver': docker.storageDriver }),
    ...docker.settings,
  };
  return [
    ...want('multi-user.target', 'docker.service'),
    ...want('sockets.target', 'docker.socket'),
    ['/etc/docker/daemon.json', file(`${JSON.stringify(settings, null, 2)}\n`)],
    // NixOS's daemon starts a containerd of its own, so that all state lies in /var/lib/docker.
    [
      `${UNITS}/docker.service.d/overrides.conf`,
      file('[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd://\n'),
    ],
    [`${UNITS}/containerd.service`, link('/dev/null')],
  ];
}

// What root may give to containers (/etc/subuid, /etc/subgid) is in the package's files already. It must not be a link:
// newuidmap follows none.
function incusEntries({ services }: SystemModel): Entries {
  if (!services.incus.enable) return [];
  return [
    ...want('multi-user.target', 'incus.service', 'incus-startup.service'),
    ...want('sockets.target', 'incus.socket', 'incus-user.socket'),
    [
      `${UNITS}/lxcfs.service.d/overrides.conf`,
      file('[Unit]\nAfter=modprobe@fuse.service\nWants=modprobe@fuse.service\n'),
    ],
  ];
}

function scrubEntries(system: SystemModel): Entries {
  const { autoScrub } = system.services;
  if (!autoScrub.enable) return [];
  const all = system.fileSystems
    .filter(({ fsType }) => fsType === 'btrfs')
    .map(({ mountPoint }) => mountPoint);
  return (autoScrub.fileSystems ?? all).flatMap((path): Entries => {
    const unit = `btrfs-scrub-${escapeUnitPath(path)}`;
    const service = [
      '[Unit]',
      'Before=shutdown.target sleep.target',
      'Conflicts=shutdown.target sleep.target',
      `Description=btrfs scrub on ${path}`,
      '',
      '[Service]',
      `ExecStart=/usr/bin/btrfs scrub start -B ${path}`,
      `ExecStop=/bin/bash -c '(btrfs scrub status ${path} | grep finished) || btrfs scrub cancel ${path}'`,
      'IOSchedulingClass=idle',
      'Nice=19',
      'Type=simple',
      '',
    ];
    const timer = [
      '[Unit]',
      `Description=regular btrfs scrub timer on ${path}`,
      '',
      '[Timer]',
      'AccuracySec=1d',
      `OnCalendar=${autoScrub.interval}`,
      'Persistent=true',
      '',
    ];
    return [
      [`${UNITS}/${unit}.service`, file(service.join('\n'))],
      [`${UNITS}/${unit}.timer`, file(timer.join('\n'))],
      [`${UNITS}/timers.target.wants/${unit}.timer`, link(`../${unit}.timer`)],
    ];
  });
}

function coredumpEntries({ services }: SystemModel): Entries {
  return services.coredump.enable ? want('sockets.target', 'systemd-coredump.socket') : [];
}

function sudoEntries({ services }: SystemModel): Entries {
  const { sudo } = services;
  if (!sudo.enable) return [];
  return [
    [
      '/etc/sudoers',
      // So NixOS's sudo is compiled; Debian's never lectures.
      file(
        `Defaults lecture=once, lecture_status_dir=/var/db/sudo/lectured\nroot ALL=(ALL:ALL) SETENV: ALL\n${sudo.extraConfig}\n`,
      ),
    ],
  ];
}

/** Files in /etc that start and configure the services which a system enables. */
export function serviceEntries(system: SystemModel): [string, TreeEntry][] {
  return [
    ...networkManagerEntries(system),
    ...dockerEntries(system),
    ...incusEntries(system),
    ...scrubEntries(system),
    ...coredumpEntries(system),
    ...sudoEntries(system),
  ];
}

/** What the modules of the services add to systemd.tmpfiles.rules. */
export function serviceTmpfiles({ services }: SystemModel): readonly string[] {
  return services.networkmanager.enable ? ['d /etc/NetworkManager/system-connections 0700 root root -'] : [];
}

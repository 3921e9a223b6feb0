import { escapeUnitPath, type Persistence, type SystemModel, type User } from '../scenario/index.js';
import { file, link, type Tree, type TreeEntry } from './cpio.js';
import { firstBootEntries } from './first-boot.js';
import { makeScriptedStageOneTree } from './scripted-stage-one.js';
import { serviceEntries, serviceTmpfiles } from './service-units.js';
import {
  LUKS_KEY_FILE,
  renderCrypttab,
  renderFstab,
  renderInitrdFstab,
  renderPersistenceMount,
  renderRollbackProgram,
  renderRollbackUnit,
  renderStageOnePersistenceMount,
  renderSwapUnit,
  swapUnit,
} from './units.js';

/** First user id of normal users, as on NixOS. */
const FIRST_UID = 1000;

function userLine(user: User, uid: number): string {
  const root = user.name === 'root';
  const home = root ? '/root' : user.isNormalUser ? `/home/${user.name}` : '/var/empty';
  return [user.name, String(root ? 0 : uid), home, '/bin/bash', user.hashedPasswordFile ?? '-'].join('\t');
}

function usersTable(system: SystemModel): string {
  let next = FIRST_UID;
  return system.users.map((user) => `${userLine(user, user.uid ?? next++)}\n`).join('');
}

function persistenceTable(persistence: readonly Persistence[]): string {
  return persistence
    .flatMap(({ directories, files }) => [
      ...directories.map((entry) => [
        'directory',
        entry.source,
        entry.path,
        entry.user,
        entry.group,
        entry.mode,
      ]),
      ...files.map((entry) => ['file', entry.source, entry.path, entry.method]),
    ])
    .map((fields) => `${fields.join('\t')}\n`)
    .join('');
}

/** SSH host keys that NixOS makes when nothing is said. */
const DEFAULT_HOST_KEYS: SystemModel['openssh']['hostKeys'][number][] = [
  { path: '/etc/ssh/ssh_host_ed25519_key', type: 'ed25519', place: { file: '', line: 0, col: 0 } },
];

function sshEntries(system: SystemModel): [string, TreeEntry][] {
  const keys = system.openssh.hostKeys.length === 0 ? DEFAULT_HOST_KEYS : system.openssh.hostKeys;
  const unit = [
    '[Unit]',
    'Description=SSH Host Keys Generation',
    'Before=ssh.service',
    '',
    '[Service]',
    'Type=oneshot',
    ...keys.map(
      (key) =>
        `ExecStart=/usr/lib/imperm/sshd-keygen ${key.type} ${key.path}${key.bits === undefined ? '' : ` ${String(key.bits)}`}`,
    ),
    '',
  ].join('\n');
  return [
    ['/etc/ssh/sshd_config.d/nixos.conf', file(keys.map((key) => `HostKey ${key.path}\n`).join(''))],
    ['/etc/systemd/system/sshd-keygen.service', file(unit)],
    ['/etc/systemd/system/ssh.service.requires/sshd-keygen.service', link('../sshd-keygen.service')],
  ];
}

/**
 * A machine id that is bind mounted from the persistent store looks to systemd like one to be written to disk at every
 * boot, which fails; the impermanence module lets it try only at the first (impermanence#229).
 */
function machineIdEntries(system: SystemModel): [string, TreeEntry][] {
  const persisted = system.persistence.some(({ files }) =>
    files.some(({ path }) => path === '/etc/machine-id'),
  );
  if (!persisted) return [];
  return [
    [
      '/etc/systemd/system/systemd-machine-id-commit.service.d/persisted.conf',
      file('[Unit]\nConditionFirstBoot=true\n'),
    ],
  ];
}

function swapEntries(system: SystemModel): [string, TreeEntry][] {
  return system.swapDevices
    .filter(({ randomEncryption }) => randomEncryption)
    .flatMap((swap): [string, TreeEntry][] => {
      const unit = swapUnit(swap);
      return [
        [`/etc/systemd/system/${unit}`, file(renderSwapUnit(swap))],
        [`/etc/systemd/system/${escapeUnitPath(swap.swapsOn)}.swap.wants/${unit}`, link(`../${unit}`)],
      ];
    });
}

function etcLinks(system: SystemModel): SystemModel['links'] {
  return system.links.filter(({ by }) => by === 'etc');
}

/** The rules of the configuration, in the file that NixOS writes them to. */
function tmpfilesEntries(system: SystemModel): [string, TreeEntry][] {
  const rules = [...serviceTmpfiles(system), ...system.tmpfiles];
  if (rules.length === 0) return [];
  return [['/etc/tmpfiles.d/00-nixos.conf', file(rules.map((rule) => `${rule}\n`).join(''))]];
}

/**
 * What makes the system of a scenario out of the Debian base: the store path that NixOS calls the toplevel.
 *
 * @param basePath Store path of the base.
 */
export function makeSystemTree(system: SystemModel, basePath: string): Tree {
  const mounts = system.persistence.flatMap((persistence) =>
    persistence.directories.flatMap((directory): [string, TreeEntry][] => {
      const unit = `${escapeUnitPath(directory.path)}.mount`;
      return [
        [`/etc/systemd/system/${unit}`, file(renderPersistenceMount(directory, persistence))],
        [`/etc/systemd/system/local-fs.target.wants/${unit}`, link(`../${unit}`)],
      ];
    }),
  );
  return new Map<string, TreeEntry>([
    ['/activate', link(`${basePath}/usr/lib/imperm/activate`)],
    [
      '/init',
      link(system.stage1 === 'systemd' ? '/usr/lib/systemd/systemd' : '/usr/lib/imperm/stage-2-init'),
    ],
    ['/kernel', link(`${basePath}/boot/vmlinuz`)],
    ['/initrd', link(`${basePath}/boot/${stageOneImage(system)}`)],
    ['/sw', link(basePath)],
    ['/nixos-version', file('NixOS-shaped Debian')],
    ['/system', file('x86_64-linux')],
    ['/imperm/users', file(usersTable(system))],
    [
      '/imperm/etc-links',
      file(
        etcLinks(system)
          .map(({ path }) => `${path}\n`)
          .join(''),
      ),
    ],
    ['/imperm/persistence', file(persistenceTable(system.persistence))],
    ['/etc/fstab', file(renderFstab(system))],
    ['/etc/hostname', file(`${system.hostName}\n`)],
    ['/etc/hosts', file(`127.0.0.1 localhost\n127.0.0.2 ${system.hostName}\n`)],
    ['/etc/systemd/journald.conf.d/nixos.conf', file('[Journal]\nStorage=persistent\n')],
    ...sshEntries(system),
    ...machineIdEntries(system),
    ...swapEntries(system),
    ...tmpfilesEntries(system),
    ...serviceEntries(system),
    ...etcLinks(system).map(({ path, source }): [string, TreeEntry] => [path, link(source)]),
    ...firstBootEntries(system),
    ...mounts,
  ]);
}

/** What NixOS loads in stage 1 without being asked by a device: the file systems of early mounts, and what LUKS needs. */
function kernelModules(system: SystemModel): string[] {
  // Bind mounts and tmpfs have a type, and no module of that name: loading it would be a failed unit.
  const early = system.fileSystems.filter(
    ({ neededForBoot, device, fsType }) => neededForBoot && device.startsWith('/dev/') && fsType !== 'auto',
  );
  return [
    ...(system.luks.length > 0 ? ['dm_mod', 'dm_crypt', 'algif_skcipher'] : []),
    ...new Set(early.map(({ fsType }) => fsType)),
  ];
}

/** File name of the generic image, below the base's `boot`. */
export function stageOneImage({ stage1 }: Pick<SystemModel, 'stage1'>): string {
  return `stage1-${stage1}.cpio.zst`;
}

/**
 * The part of stage 1 that a scenario adds to the generic image.
 *
 * @param rollbackProgram Store path of the rollback's program; needed when there is one.
 */
export function makeStageOneTree(system: SystemModel, rollbackProgram: string | undefined): Tree {
  if (system.stage1 === 'scripted') return makeScriptedStageOneTree(system, kernelModules(system));
  const { rollback } = system;
  const entries: [string, TreeEntry][] = [
    ['/etc/modules-load.d/nixos.conf', file(kernelModules(system).join('\n') + '\n')],
    ['/etc/initrd-fstab', file(renderInitrdFstab(system))],
    ['/etc/crypttab', file(renderCrypttab(system))],
    ['/etc/hostname', file(`${system.hostName}\n`)],
  ];
  for (const persistence of system.persistence) {
    for (const directory of persistence.directories.filter(({ inStageOne }) => inStageOne)) {
      const unit = `${escapeUnitPath(`/sysroot${directory.path}`)}.mount`;
      entries.push(
        [`/etc/systemd/system/${unit}`, file(renderStageOnePersistenceMount(directory, persistence))],
        [`/etc/systemd/system/initrd.target.wants/${unit}`, link(`../${unit}`)],
      );
    }
  }
  if (rollback !== undefined && rollbackProgram !== undefined) {
    const program = `${rollbackProgram}/bin/${rollback.name}-start`;
    entries.push(
      [program, file(renderRollbackProgram(rollback), true)],
      [`/etc/systemd/system/${rollback.unit}`, file(renderRollbackUnit(rollback, program))],
      ...rollback.wantedBy.map((target): [string, TreeEntry] => [
        `/etc/systemd/system/${target}.wants/${rollback.unit}`,
        link(`../${rollback.unit}`),
      ]),
      ...rollback.requiredBy.map((target): [string, TreeEntry] => [
        `/etc/systemd/system/${target}.requires/${rollback.unit}`,
        link(`../${rollback.unit}`),
      ]),
    );
  }
  return new Map(entries);
}

/**
 * `boot.initrd.secrets`: what stage 1 has besides, without a copy in the store, which everybody can read.
 *
 * @param options.luksKey Opens the LUKS devices that are unlocked by a key file.
 */
export function makeSecretsTree(system: SystemModel, options: { readonly luksKey: string }): Tree {
  const needsKey = system.luks.some(({ unlock }) => unlock === 'key-file');
  return new Map(
    needsKey ? [[LUKS_KEY_FILE, { kind: 'file', content: options.luksKey, isSecret: true }]] : [],
  );
}

/** The rollback's program as a store path of its own, as NixOS makes it for services. */
export function makeRollbackTree(
  system: SystemModel,
): { readonly name: string; readonly tree: Tree } | undefined {
  const { rollback } = system;
  if (rollback === undefined || system.stage1 !== 'systemd') return undefined;
  return {
    name: `unit-script-${rollback.name}-start`,
    tree: new Map([[`/bin/${rollback.name}-start`, file(renderRollbackProgram(rollback), true)]]),
  };
}

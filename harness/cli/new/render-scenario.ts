import { escapeUnitPath } from '../../scenario/index.js';
import type { Answers } from './answers.js';
import { deviceOf, LUKS_NAME, PARTITION, storeOf } from './render-scripts.js';

/** The files that a new scenario names, as it writes them. */
export interface FileNames {
  readonly scenario: string;
  /** Where an editor finds the schema. */
  readonly schema: string;
  readonly install: string;
  readonly rollback: string;
}

/** A whole scenario as text, every key of it explained. */
export function renderScenario(answers: Answers, title: string, names: FileNames): string {
  return [
    `# yaml-language-server: $schema=${names.schema}`,
    '# A layout for imperm. Names are those of NixOS options; the scripts run in the machine, never on this host.',
    ...renderCommands(names.scenario),
    '',
    '# The version of this format.',
    'imperm: 1',
    '# One line, for reports.',
    `title: ${quoteYaml(title)}`,
    '',
    '# What is tried: every combination is a variant of its own. More values: [systemd, scripted], [virtio, nvme].',
    `matrix: { ${renderMatrix(answers)} }`,
    '',
    '# Fills the empty disk, in the installer.',
    `install: ${quoteYaml(names.install)}`,
    '',
    'system:',
    ...(answers.luks === 'none' ? [] : renderLuks()),
    ...(answers.root === 'tmpfs' ? renderTmpfs(answers) : renderBtrfs(answers)),
    ...(answers.root === 'tmpfs' ? [] : renderRollback(answers, names)),
    ...renderPersistence(answers),
    ...renderUsers(answers),
    ...renderPromises(answers),
    ...STEPS,
    '',
  ].join('\n');
}

/** What to do with the file, as a comment. */
export function renderCommands(file: string): string[] {
  return [
    `#   npx imperm check ${file}   known faults, told at once`,
    `#   npx imperm plan ${file}    what would be done and promised`,
    `#   npx imperm run ${file}     the proof, on a machine`,
  ];
}

function renderMatrix({ stage1, disk, luks }: Answers): string {
  return [`stage1: [${stage1}]`, `disk: [${disk}]`, ...(luks === 'none' ? [] : [`luks: [${luks}]`])].join(
    ', ',
  );
}

function renderLuks(): string[] {
  return [
    '  # boot.initrd.luks.devices, by the name below /dev/mapper. The passphrase is made up for every run.',
    '  luks:',
    `    ${LUKS_NAME}: { device: /dev/disk/by-partlabel/${PARTITION} }`,
    '',
  ];
}

const BOOT = [
  '    # FAT knows no owners: without the mask everybody could read what is on it.',
  '    /boot: { device: /dev/disk/by-partlabel/ESP, fsType: vfat, options: [umask=0077] }',
  '',
];

function renderBtrfs(answers: Answers): string[] {
  const mount = (subvolume: string, more = ''): string =>
    `{ device: ${deviceOf(answers)}, fsType: btrfs, options: [subvol=${subvolume}, compress=zstd]${more} }`;
  return [
    '  # fileSystems, by mount point. Each but the root keeps its files.',
    '  fileSystems:',
    '    # The one that every boot finds empty.',
    `    /: ${mount('root')}`,
    `    /home: ${mount('home')}`,
    `    /nix: ${mount('nix')}`,
    '    # Holds what persists; NixOS needs it when it activates the system, before other mounts are there: neededForBoot.',
    `    /persist: ${mount('persist', ', neededForBoot: true')}`,
    `    /var/log: ${mount('log')}`,
    ...BOOT,
  ];
}

function renderTmpfs(answers: Answers): string[] {
  return [
    '  # fileSystems, by mount point.',
    '  fileSystems:',
    '    # In memory: empty at every boot. The size is a limit, not what it takes.',
    '    /: { device: none, fsType: tmpfs, options: [size=25%, mode=755] }',
    '    # Everything that lasts is on this one.',
    `    /nix: { device: ${deviceOf(answers)}, fsType: ext4 }`,
    '    # Bind mounts of what persists. Homes are made when the system is activated, so this one has to be there: neededForBoot.',
    '    /home: { device: /nix/persist/home, fsType: none, options: [bind], neededForBoot: true }',
    '    /var/log: { device: /nix/persist/var/log, fsType: none, options: [bind] }',
    ...BOOT,
  ];
}

function renderRollback(answers: Answers, { rollback }: FileNames): string[] {
  const there =
    answers.luks === 'none'
      ? `${escapeUnitPath(deviceOf(answers))}.device`
      : `systemd-cryptsetup@${LUKS_NAME}.service`;
  return [
    '  # What stage 1 runs before it mounts the root: boot.initrd.systemd.services.rollback.',
    '  rollback:',
    '    description: Empty the root',
    '    # When the disk is there, and when a sleeping system has had its chance to wake up with its old root.',
    `    after: ['${there}', local-fs-pre.target]`,
    '    before: [sysroot.mount]',
    '    # The root is not mounted when this fails: the boot stops, and somebody notices.',
    '    requiredBy: [sysroot.mount]',
    '    # Or it would be started again when stage 1 asks for its mounts once more.',
    '    remainAfterExit: true',
    ...(answers.root === 'btrfs-snapshot'
      ? ['    # The read-only snapshot that it restores.', '    blankSnapshot: root-blank']
      : []),
    `    script: ${quoteYaml(rollback)}`,
    '    # Where scripted stage 1 runs it: boot.initrd.postResumeCommands = lib.mkAfter "…".',
    '    scripted: { hook: postResumeCommands, order: after }',
    '',
  ];
}

function renderPersistence(answers: Answers): string[] {
  const list = (paths: readonly string[]): string[] => paths.map((path) => `        - ${quoteYaml(path)}`);
  return [
    '  # environment.persistence, by the folder that everything is kept in. All that is not named here is gone with the root.',
    '  persistence:',
    `    ${storeOf(answers)}:`,
    '      directories:',
    '        # The configuration, and the numbers that NixOS has given to users and groups.',
    ...list([...new Set(['/etc/nixos', '/var/lib/nixos', ...answers.keep])]),
    '      files:',
    '        # Who the machine is: without it journalctl shows no earlier boot.',
    ...list([...new Set(['/etc/machine-id', ...answers.keepFile])]),
    '',
  ];
}

function renderUsers(answers: Answers): string[] {
  const store = storeOf(answers);
  return [
    '  # users.users. The passwords lie where they are kept, on a file system that is there when users are made.',
    '  users:',
    `    root: { hashedPasswordFile: ${store}/passwords/root }`,
    ...answers.user.map(
      (name, index) =>
        `    ${quoteYaml(name)}: { isNormalUser: true, uid: ${String(1000 + index)}, hashedPasswordFile: ${quoteYaml(`${store}/passwords/${name}`)} }`,
    ),
    '',
    '  # services.openssh: a host key that is made in the first boot, and kept.',
    '  openssh:',
    '    hostKeys:',
    `      - { type: ed25519, path: ${store}/etc/ssh/ssh_host_ed25519_key }`,
    '',
  ];
}

function renderPromises(answers: Answers): string[] {
  const log = answers.root === 'btrfs-snapshot' ? 'Restoring /root from /root-blank' : 'Making /root anew';
  const isTmpfs = answers.root === 'tmpfs';
  return [
    '# Most promises follow from the system: what persists is kept, all else is gone, mounts are as declared, no unit fails.',
    '# More can be added:',
    ...(isTmpfs
      ? ['promises:']
      : [
          'promises:',
          '  # Texts that the log of the rollback has to contain.',
          `  rollbackLog: [${quoteYaml(log)}]`,
        ]),
    ...(isTmpfs
      ? [
          '  # The system runs from /nix to its very end. That nothing is lost by it is a promise of its own.',
          '  console:',
          '    - { class: unmount-failed, match: /nix, reason: the system runs from it until the end }',
        ]
      : []),
    '  # kept: [/srv]                      must survive a boot, whatever keeps it',
    '  # checks:                           a script in the booted system whose exit code decides',
    '  #   - { name: greeting, title: the greeting is there, script: { text: test -e /home/greeting } }',
    '',
  ];
}

const STEPS = [
  '# What is done with the machine. More between the first and the last: hibernate, and scripts ({ run: break-it.sh }).',
  'steps: [boot, reboot, power-cut, power-off]',
  '',
  '# For a layout with a known fault, such as a bug report: it has to fail, and exactly so.',
  '# expect: { verdict: known-bug, reason: what is wrong, broken: [root-wiped] }',
];

/** A text as YAML that no parser takes for anything else. */
export function quoteYaml(text: string): string {
  return /^[A-Za-z/][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text)
    ? text
    : `'${text.replaceAll("'", "''")}'`;
}

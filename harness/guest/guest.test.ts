// The text that stage 1 and the system get, and the archive that carries it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot, runProgram } from '../core/index.js';
import { escapeUnitPath, loadScenario } from '../scenario/index.js';
import { makeCpio, type Tree, type TreeEntry } from './cpio.js';
import { imageNeeds } from './image-needs.js';
import type { GuestImages } from './images.js';
import { renderInstallScript } from './install-script.js';
import type { Payload } from './payload.js';
import { makeRollbackTree, makeSecretsTree, makeStageOneTree, makeSystemTree } from './system-tree.js';

const scenario = await loadScenario(path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'));
const { system } = scenario;
const PLACE = { file: 'scenario.yaml', line: 1, col: 1 };

function textOf(tree: Tree, file: string): string {
  const entry = tree.get(file);
  if (entry === undefined) throw new Error(`there is no ${file} among ${[...tree.keys()].join(', ')}`);
  return entry.kind === 'link' ? `-> ${entry.target}` : Buffer.from(entry.content).toString('utf8');
}

void t.test('stage 1 gets the mounts, the LUKS device and the rollback as NixOS renders them', (t) => {
  const tree = makeStageOneTree(system, '/nix/store/x-unit-script-rollback-start');
  t.equal(textOf(tree, '/etc/modules-load.d/nixos.conf'), 'dm_mod\ndm_crypt\nalgif_skcipher\nbtrfs\n');
  const bound = { mountPoint: '/var/log', device: '/persist/log', fsType: 'none', options: ['bind'] };
  const withBind = {
    ...system,
    fileSystems: system.fileSystems.map((each) =>
      each.mountPoint === '/var/log' ? { ...each, ...bound } : each,
    ),
  };
  t.equal(
    textOf(makeStageOneTree(withBind, '/nix/store/x'), '/etc/modules-load.d/nixos.conf'),
    'dm_mod\ndm_crypt\nalgif_skcipher\nbtrfs\n',
    'a bind mount has no module',
  );
  const options = 'compress=zstd,noatime 0 0';
  t.equal(
    textOf(tree, '/etc/initrd-fstab'),
    [
      `/dev/mapper/cryptfs / btrfs x-initrd.mount,subvol=root,${options}\n`,
      `/dev/mapper/cryptfs /nix btrfs x-initrd.mount,subvol=nix,${options}\n`,
      `/dev/mapper/cryptfs /persist btrfs x-initrd.mount,subvol=persist,${options}\n`,
      `/dev/mapper/cryptfs /var/log btrfs x-initrd.mount,subvol=log,${options}\n`,
    ].join(''),
    'only what is needed for boot',
  );
  t.equal(textOf(tree, '/etc/crypttab'), 'cryptfs /dev/disk/by-partlabel/cryptfs - discard\n');
  t.equal(
    textOf(tree, '/etc/systemd/system/rollback.service'),
    [
      '[Unit]',
      'After=systemd-cryptsetup@cryptfs.service',
      'Before=sysroot.mount',
      'DefaultDependencies=no',
      'Description=Rollback BTRFS root subvolume to a pristine state',
      '',
      '[Service]',
      'ExecStart=/nix/store/x-unit-script-rollback-start/bin/rollback-start ',
      'Type=oneshot',
      '',
      '[Install]',
      'WantedBy=initrd.target',
      '',
    ].join('\n'),
  );
  t.equal(textOf(tree, '/etc/systemd/system/initrd.target.wants/rollback.service'), '-> ../rollback.service');
  t.match(
    textOf(tree, '/nix/store/x-unit-script-rollback-start/bin/rollback-start'),
    /^#!\/bin\/bash\nset -e\n\n/,
  );
  t.end();
});

void t.test('stage 1 gets what unlocks the LUKS devices, and the key only where a key file does', (t) => {
  const luksKey = 'secret';
  const keyed = { ...system, luks: system.luks.map((each) => ({ ...each, unlock: 'key-file' as const })) };
  const tree = makeStageOneTree(keyed, '/nix/store/x');
  t.equal(
    textOf(tree, '/etc/crypttab'),
    'cryptfs /dev/disk/by-partlabel/cryptfs /crypto_keyfile.bin discard\n',
  );
  t.strictSame(
    [...makeSecretsTree(keyed, { luksKey })],
    [['/crypto_keyfile.bin', { kind: 'file', content: luksKey, isSecret: true }]],
  );
  t.strictSame([...makeSecretsTree(system, { luksKey })], []);
  const withTpm = { ...system, luks: system.luks.map((each) => ({ ...each, unlock: 'tpm2' as const })) };
  t.equal(
    textOf(makeStageOneTree(withTpm, '/nix/store/x'), '/etc/crypttab'),
    'cryptfs /dev/disk/by-partlabel/cryptfs - tpm2-device=auto,discard\n',
  );
  for (const built of [tree, makeSystemTree(keyed, '/nix/store/base')])
    t.notOk([...built].some(([, entry]) => entry.kind === 'file' && entry.content === luksKey));
  t.end();
});

void t.test('without a rollback stage 1 has no unit of that name', (t) => {
  const { rollback, ...without } = system;
  t.ok(rollback);
  t.notOk([...makeStageOneTree(without, undefined).keys()].some((file) => file.includes('rollback')));
  t.equal(makeRollbackTree(without), undefined);
  t.end();
});

void t.test('the system gets its mounts, persistence and keys', (t) => {
  const tree = makeSystemTree(system, '/nix/store/base');
  const fstab = textOf(tree, '/etc/fstab');
  t.match(fstab, '/dev/mapper/cryptfs /home btrfs subvol=home,compress=zstd,noatime 0 0\n');
  t.match(fstab, '/dev/disk/by-partlabel/ESP /boot vfat umask=0077 0 2\n');
  t.match(fstab, '/dev/disk/by-partlabel/swap none swap defaults\n');
  t.match(
    textOf(tree, '/imperm/persistence'),
    'directory\t/persist/system/etc/nixos\t/etc/nixos\troot\troot\t0755\n',
  );
  t.match(
    textOf(tree, '/imperm/persistence'),
    'file\t/persist/system/etc/machine-id\t/etc/machine-id\tauto\n',
  );
  t.match(
    textOf(tree, '/etc/systemd/system/etc-NetworkManager-system\\x2dconnections.mount'),
    'What=/persist/system/etc/NetworkManager/system-connections\n',
  );
  t.match(
    textOf(tree, '/etc/ssh/sshd_config.d/nixos.conf'),
    'HostKey /persist/system/etc/ssh/ssh_host_ed25519_key\n',
  );
  t.end();
});

void t.test(
  'only under Secure Boot there are keys, and the boot loader and the kernel are signed',
  async (t) => {
    const images = { system: { path: '/nix/store/base' } } as GuestImages;
    const bootFiles = { kernel: 'k.efi', initrd: 'i.efi', stageOne: 's.efi', more: [] };
    const payload = { bootFiles, bootEntry: '', stageOneImage: 'x' } as unknown as Payload;
    const render = (secureBoot: boolean): string =>
      renderInstallScript(images, payload, { archive: '/archive', espMountPoint: '/boot', secureBoot });
    const plain = render(false);
    t.notMatch(plain, /openssl|sbsign|secure-boot/);
    t.match(plain, /loader\/loader\.conf/);
    const signed = render(true);
    const order = ['openssl req', 'bootctl ', 'cp ', 'sbsign '].map((command) => signed.indexOf(command));
    t.strictSame(
      [...order].sort((a, b) => a - b),
      order,
      'keys, boot loader, kernel, signatures',
    );
    t.strictSame(
      [...signed.matchAll(/^sbsign .* --output (\S+) (\S+)$/gm)].map(([, to, from]) => [to, from]),
      ['EFI/systemd/systemd-bootx64.efi', 'EFI/BOOT/BOOTX64.EFI', 'EFI/nixos/k.efi'].map((file) => [
        `'/mnt/boot/${file}'`,
        `'/mnt/boot/${file}'`,
      ]),
    );
    t.match(signed, /'?secure-boot-enroll force'?/);
    for (const script of [plain, signed]) await runProgram('bash', ['-n', '-c', script]);
    const { secureBoot: _none, ...without } = system;
    t.strictSame(imageNeeds(without), { packages: [], signedModules: false, hardware: false });
    t.strictSame(imageNeeds({ ...system, secureBoot: { place: PLACE } }), {
      packages: [],
      signedModules: true,
      hardware: false,
    });
  },
);

void t.test('services cost nothing where they are off, and are started as NixOS starts them', (t) => {
  t.strictSame(imageNeeds(system), { packages: [], signedModules: false, hardware: false });
  const plain = [...makeSystemTree(system, '/nix/store/base').keys()];
  t.notOk(
    plain.some((file) => /docker|incus|scrub|sudoers|coredump.socket|NetworkManager.service/.test(file)),
  );
  t.equal(textOf(makeSystemTree(system, '/nix/store/base'), '/imperm/etc-links'), '');

  const on = { enable: true };
  const with_ = (services: Partial<typeof system.services>): typeof system => ({
    ...system,
    services: { ...system.services, ...services },
  });
  const containers = with_({
    docker: { ...on, storageDriver: 'btrfs', settings: { bridge: 'none', group: 'wheel' } },
    incus: on,
  });
  const tree = makeSystemTree(containers, '/nix/store/base');
  t.strictSame(imageNeeds(containers).packages, ['docker-cli', 'docker.io', 'incus-base', 'incus-client']);
  t.strictSame(JSON.parse(textOf(tree, '/etc/docker/daemon.json')), {
    group: 'wheel',
    'log-driver': 'journald',
    'storage-driver': 'btrfs',
    bridge: 'none',
  });
  t.equal(
    textOf(tree, '/etc/systemd/system/multi-user.target.wants/docker.service'),
    '-> /usr/lib/systemd/system/docker.service',
  );
  t.equal(textOf(tree, '/etc/systemd/system/containerd.service'), '-> /dev/null');
  t.notOk(tree.has('/etc/subuid'), 'newuidmap reads no link');

  const scrubbed = with_({
    autoScrub: { ...on, interval: 'weekly', fileSystems: ['/', '/persist'] },
    sudo: { ...on, extraConfig: 'Defaults lecture = never' },
  });
  const scrub = makeSystemTree(scrubbed, '/nix/store/base');
  t.match(
    textOf(scrub, '/etc/systemd/system/btrfs-scrub--.service'),
    'ExecStart=/usr/bin/btrfs scrub start -B /\n',
  );
  t.match(
    textOf(scrub, '/etc/systemd/system/btrfs-scrub-persist.timer'),
    'OnCalendar=weekly\nPersistent=true\n',
  );
  t.equal(
    textOf(scrub, '/etc/systemd/system/timers.target.wants/btrfs-scrub--.timer'),
    '-> ../btrfs-scrub--.timer',
  );
  t.match(textOf(scrub, '/etc/sudoers'), /\nDefaults lecture = never\n$/);
  const all = makeSystemTree(with_({ autoScrub: { ...on, interval: 'weekly' } }), '/nix/store/base');
  t.equal(
    [...all.keys()].filter((file) => file.endsWith('.timer') && !file.includes('wants')).length,
    5,
    'every mount of btrfs',
  );

  const linked = makeSystemTree(
    {
      ...with_({ networkmanager: on }),
      links: [
        {
          path: '/etc/nixos',
          target: '/etc/static/nixos',
          source: '/persist/etc/nixos',
          by: 'etc',
          place: PLACE,
        },
        { path: '/var/lib/x', target: '/persist/x', source: '/persist/x', by: 'tmpfiles', place: PLACE },
      ],
    },
    '/nix/store/base',
  );
  t.equal(textOf(linked, '/etc/nixos'), '-> /persist/etc/nixos');
  t.equal(textOf(linked, '/imperm/etc-links'), '/etc/nixos\n');
  t.match(
    textOf(linked, '/etc/tmpfiles.d/00-nixos.conf'),
    /^d \/etc\/NetworkManager\/system-connections 0700 /,
  );
  t.match(
    textOf(linked, '/etc/systemd/system/NetworkManager.service.d/overrides.conf'),
    'StateDirectory=NetworkManager',
  );
  t.end();
});

void t.test('paths become unit names as systemd makes them', (t) => {
  t.equal(escapeUnitPath('/'), '-');
  t.equal(escapeUnitPath('/var/lib/a-b'), 'var-lib-a\\x2db');
  t.equal(escapeUnitPath('/.hidden//x/'), '\\x2ehidden-x');
  t.equal(escapeUnitPath('/a b'), 'a\\x20b');
  t.end();
});

void t.test('every shell script of the guest is well-formed', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'imperm-guest-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const debian = path.join(repositoryRoot, 'harness/guest/debian');
  const entries = await readdir(debian, { recursive: true, withFileTypes: true });
  let scripts = 0;
  for (const entry of entries.filter((each) => each.isFile())) {
    const file = path.join(entry.parentPath, entry.name);
    const shell = /^#!\/bin\/(ba)?sh\n/.exec(await readFile(file, 'utf8'));
    if (shell === null) continue;
    scripts += 1;
    await runProgram(shell[1] === undefined ? 'sh' : 'bash', ['-n', file]);
  }
  t.ok(scripts >= 5, `${String(scripts)} scripts`);
  const rollback = path.join(folder, 'rollback');
  writeFileSync(rollback, textOf(makeRollbackTree(system)?.tree ?? new Map(), '/bin/rollback-start'));
  await runProgram('bash', ['-n', rollback]);
  writeFileSync(rollback, 'if true; then\n');
  await t.rejects(runProgram('bash', ['-n', rollback]), { code: 'TOOL_FAILED' }, 'the check can fail');
});

/** Reads a "newc" archive as the kernel does: header, name, content, each filled up to four bytes. */
function readCpio(archive: Buffer): Map<string, { mode: number; content: string }> {
  const found = new Map<string, { mode: number; content: string }>();
  const round = (offset: number): number => Math.ceil(offset / 4) * 4;
  for (let offset = 0; ;) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', offset + 6 + index * 8, offset + 14 + index * 8), 16);
    if (archive.toString('latin1', offset, offset + 6) !== '070701') throw new Error('no header here');
    const [mode, sizeBytes, nameBytes] = [field(1), field(6), field(11)];
    const name = archive.toString('utf8', offset + 110, offset + 110 + nameBytes - 1);
    if (name === 'TRAILER!!!') return found;
    const start = round(offset + 110 + nameBytes);
    found.set(name, { mode, content: archive.toString('utf8', start, start + sizeBytes) });
    offset = round(start + sizeBytes);
  }
}

void t.test('the archive for stage 1 holds files, links and the folders they lie in', (t) => {
  const tree = new Map<string, TreeEntry>([
    ['/etc/a', { kind: 'file', content: 'one' }],
    ['/bin/tool', { kind: 'file', content: 'zwölf', executable: true }],
    ['/etc/b/link', { kind: 'link', target: '../a' }],
    ['/key', { kind: 'file', content: 'k', isSecret: true }],
  ]);
  t.strictSame(
    [...readCpio(makeCpio(tree))],
    [
      ['bin', { mode: 0o040755, content: '' }],
      ['etc', { mode: 0o040755, content: '' }],
      ['etc/b', { mode: 0o040755, content: '' }],
      ['etc/a', { mode: 0o100644, content: 'one' }],
      ['bin/tool', { mode: 0o100755, content: 'zwölf' }],
      ['etc/b/link', { mode: 0o120777, content: '../a' }],
      ['key', { mode: 0o100400, content: 'k' }],
    ],
  );
  t.end();
});

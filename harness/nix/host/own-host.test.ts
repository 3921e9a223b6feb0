// A host of somebody's own flake: found, described and built by real Nix, on hosts whose options have the form of the real
// modules' (../stub-hosts). What the real modules make is looked at by hand.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, HarnessError, readEnvironment, repositoryRoot, runProgram } from '../../core/index.js';
import { openToolbox } from '../../host/index.js';
import { loadScenarios, type Scenario } from '../../scenario/index.js';
import { openHostNix } from '../host-nix.js';
import type { HostDescription } from './description.js';
import { buildOwnHost, describeOwnHost, findOwnHost } from './own-host.js';
import { type HostScenario, renderHostScenario } from './render-scenario.js';

const { cacheDir, debianMirror } = readEnvironment();
const budget = Budget.start('hosts to be described', 110_000, new AbortController().signal);
const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-own-'));
t.teardown(async () => {
  await runProgram('chmod', ['-R', 'u+w', folder]);
  await rm(folder, { recursive: true, force: true });
});
const nix = await openHostNix({ toolbox, cacheDir, store: path.join(folder, 'store'), budget });
const flake = `path:${path.join(repositoryRoot, 'harness/nix/stub-hosts')}`;

// With all that it reads, and nothing else: Nix copies it into its store. Its inputs are not there, and not asked for.
const source = path.join(folder, 'source');
for (const each of ['nix', 'harness/guest/debian/overlay/agent'])
  await cp(path.join(repositoryRoot, each), path.join(source, each), { recursive: true });
const systemsFlake = `path:${source}?dir=nix`;

const errorOf = async (work: Promise<unknown>): Promise<HarnessError> => {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof HarnessError) return thrown;
  throw new Error(`no HarnessError: ${String(thrown)}`);
};

const describe = async (name: string): Promise<HostDescription> =>
  describeOwnHost(await findOwnHost(`${flake}#${name}`, { nix, budget }), { nix, systemsFlake, budget });

const INSTALL = { file: 'install.sh', text: '#!/bin/bash\ntrue\n' };

async function convert(
  description: HostDescription,
  name: string,
  install?: typeof INSTALL,
): Promise<HostScenario & { readonly scenario: Scenario; readonly ids: readonly string[] }> {
  const rendered = renderHostScenario(description, {
    reference: `.#${name}`,
    name,
    ...(install === undefined ? {} : { install }),
  });
  const file = path.join(folder, `${rendered.name}.yaml`);
  await writeFile(file, rendered.text);
  const scenario = (await loadScenarios([file]))[0]?.variants[0]?.scenario;
  if (scenario === undefined) throw new Error(`${file} holds no scenario`);
  return { ...rendered, scenario, ids: scenario.promises.map(({ id }) => id) };
}

t.test('a host is found in a flake, and whoever mistypes it is told what there is', async (t) => {
  const find = (text: string): ReturnType<typeof findOwnHost> => findOwnHost(text, { nix, budget });
  for (const text of ['tmpfs', 'nixosConfigurations.tmpfs', '"tmpfs"'])
    t.match(await find(`${flake}#${text}`), { name: 'tmpfs', flake: /^path:\// });
  const typo = await errorOf(find(`${flake}#tmpsf`));
  t.match(typo, { code: 'USAGE', hint: /^Did you mean tmpfs\? It has: hook, kept, pi,/ });
  t.match(await errorOf(find(`${flake}#workstation`)), { code: 'USAGE', hint: /^It has: hook/ });
  t.match(await errorOf(find(flake)), { message: /has several hosts; say which one/, hint: /#hook$/ });
  const write = async (body: string): Promise<string> => {
    const place = await mkdtemp(path.join(folder, 'flake-'));
    await writeFile(path.join(place, 'flake.nix'), `{ outputs = _: { ${body} }; }`);
    return `path:${place}`;
  };
  t.match(await find(await write('nixosConfigurations.only = { };')), { name: 'only' });
  t.match(await errorOf(find(await write(''))), { code: 'USAGE', message: /has no nixosConfigurations$/ });
  t.match(await errorOf(find(`path:${folder}/nowhere`)), { code: 'NIX_FAILED', details: /nowhere/ });
  t.match(await errorOf(describe('wrong')), { code: 'NIX_FAILED', details: /a mistake of somebody else/ });
});

t.test('a root in memory with impermanence', async (t) => {
  const found = await convert(await describe('tmpfs'), 'tmpfs', INSTALL);
  const { system } = found.scenario;
  t.strictSame(found.ids, [
    'root-wiped',
    'gone:/',
    'kept:/nix',
    'kept:/var/log',
    'kept:/var/lib/colord',
    'kept:/home/alice/Mail',
    'kept:/etc/machine-id',
    'kept:/etc/ssh/ssh_host_ed25519_key',
    'linked:/etc/link',
    'mounted:/',
    'mounted:/boot',
    'mounted:/nix',
    'machine-id-stable',
    'ssh-host-keys-stable',
    'generation',
    'no-failed-units',
    'unlocked',
    'esp-private:/boot',
    'swap-active',
    'swap-key-random',
    'unmounted-cleanly',
    'login:alice',
    'check:persisted-files',
    'disk-clean',
    'console-clean',
  ]);
  t.match(
    found.scenario.promises.find(({ id }) => id === 'kept:/var/lib/colord'),
    { user: 'colord', group: 'colord', mode: '0750', source: '/nix/persist/var/lib/colord' },
  );
  t.equal(system.fileSystems.length, 3, 'what impermanence binds is counted once, and nfs is left out');
  t.strictSame(found.warnings, [
    '/srv/share is nfs: it is not looked at.',
    'Swap in the file /swapfile is not looked at.',
  ]);
  t.match(found.text, /^# - \/srv\/share is nfs: it is not looked at\.$/m);
  t.match(found.scenario.install?.text, /mkpasswd .*>'\/mnt\/nix\/persist\/passwords\/alice'/);
  t.match(found.scenario.install?.text, /^#!\/bin\/bash\ntrue\n/, "the user's own script comes first");
  const [, run] = found.scenario.steps;
  t.match(run, { kind: 'run', script: { text: /^\[ -s '\/etc\/adjtime' \] \|\| echo >>/m } });
  t.match(run, { script: { text: /runuser -u 'alice' .* '\/home\/alice\/\.history'$/m } });
});

t.test('what a host does not say is not promised', async (t) => {
  const description = await describe('tmpfs');
  const ids = async (change: Partial<HostDescription>): Promise<readonly string[]> =>
    (await convert({ ...description, ...change }, 'tmpfs', INSTALL)).ids;
  const stores = description.persistence.map((store) => ({
    ...store,
    directories: store.directories.filter(({ path }) => path !== '/var/log'),
    files: store.files.filter(({ path }) => path !== '/etc/machine-id'),
  }));
  const all = await ids({});
  const gone = async (change: Partial<HostDescription>): Promise<readonly string[]> => {
    const left = await ids(change);
    t.strictSame(
      left.filter((id) => !all.includes(id)),
      [],
    );
    return all.filter((id) => !left.includes(id));
  };
  t.strictSame(await gone({ persistence: stores }), [
    'kept:/var/log',
    'kept:/etc/machine-id',
    'machine-id-stable',
  ]);
  t.strictSame(await gone({ users: [] }), ['login:alice']);
  t.strictSame(await gone({ swapDevices: [] }), ['swap-active', 'swap-key-random']);
  t.strictSame(await gone({ luks: [], fileSystems: description.fileSystems.map(onPartition) }), ['unlocked']);
});

function onPartition(each: HostDescription['fileSystems'][number]): typeof each {
  return { ...each, device: each.device.replace('/dev/mapper/', '/dev/disk/by-partlabel/') };
}

t.test('a rollback by systemd, preservation, and disko that asks', async (t) => {
  const description = await describe('rollback');
  const found = await convert(description, 'rollback');
  t.match(found.scenario.system.rollback, {
    unit: 'rollback.service',
    blankSnapshot: 'root-blank',
    after: ['systemd-cryptsetup@crypted.service'],
    script: { text: /^mount \/dev\/mapper\/crypted/ },
  });
  for (const id of [
    'root-wiped',
    'rollback-order',
    'rollback-log',
    'kept:/var/lib/nixos',
    'kept:/etc/secureboot',
    'linked:/etc/secureboot',
    'machine-id-stable',
  ])
    t.ok(found.ids.includes(id), id);
  for (const id of ['kept:/made', 'login:bob', 'check:persisted-files']) t.notOk(found.ids.includes(id), id);
  t.match(found.warnings, [
    /^sops-nix: /,
    'boot.initrd.systemd.services.harmless runs, too, but boot.initrd.systemd.services.rollback is taken for what makes the root anew.',
    /^The password of bob comes from \/run\/secrets-for-users\/bob/,
  ]);
  t.equal(found.warnings.length, 3);
  t.strictSame(
    found.scenario.disks.map(({ name, sizeMiB }) => [name, sizeMiB]),
    [['disk-1', 57 * 1024]],
    'no serial number is called NVMe; it has room for 25 GiB of partitions',
  );

  const log = path.join(folder, 'asked');
  const disko = path.join(folder, 'disko');
  const passphrase = path.join(folder, 'passphrase');
  await writeFile(passphrase, 'long words');
  await writeFile(disko, `#!/bin/bash\nread -r one; read -r two; echo "$one|$two" >${log}\n`, {
    mode: 0o755,
  });
  await runProgram('bash', ['-c', found.scenario.install?.text ?? 'false'], {
    env: { DISKO_SCRIPT: disko, LUKS_PASSPHRASE_FILE: passphrase },
    budget,
  });
  t.equal(
    await readFile(log, 'utf8'),
    'long words|long words\n',
    'disko gets its answers, and the script ends well',
  );
});

t.test('commands in a hook, disko that reads files, a key in stage 1', async (t) => {
  const found = await convert(await describe('hook'), 'hook');
  t.match(found.scenario.system.rollback, {
    blankSnapshot: 'blank',
    scripted: { hook: 'postDeviceCommands', order: 'after', script: { text: /^MNT=\/mnt/ } },
  });
  t.equal(found.scenario.system.luks[0]?.unlock, 'key-file');
  t.strictSame(
    found.scenario.disks.map(({ name, sizeMiB }) => [name, sizeMiB]),
    [
      ['a', 57 * 1024],
      ['b', 80 * 1024],
    ],
    'the one with the boot loader is the first',
  );
  t.strictSame(found.warnings, [
    '/data is persisted in /nix/persist and is a file system of its own, too; only the file system is looked at.',
  ]);
  t.equal(
    found.scenario.system.fileSystems.find(({ mountPoint }) => mountPoint === '/data')?.device,
    '/dev/pool/my-data',
  );
  const install = found.scenario.install?.text ?? '';
  t.match(install, /^install -D -m 0400 "\$LUKS_PASSPHRASE_FILE" '\/tmp\/secret\.key'$/m);
  t.match(install, /^install .* '\/tmp\/more keys'$/m);
  t.match(install, /^"\$DISKO_SCRIPT" <\/dev\/null$/m);
  t.match(install, /LUKS_PASSPHRASE_FILE" '\/mnt\/persist\/luks\.key'$/m);
  await runProgram('bash', ['-n', '-c', install], { budget });
});

t.test('a root that nothing wipes is promised to be wiped all the same, with a warning', async (t) => {
  const found = await convert(await describe('kept'), 'kept', INSTALL);
  t.strictSame(found.ids.slice(0, 2), ['root-wiped', 'gone:/']);
  t.match(found.warnings, [/^Nothing wipes the root of kept: .*root-wiped is made all the same/]);
});

t.test('what cannot be tested is refused with the reason', async (t) => {
  const refuse = (name: string, install?: typeof INSTALL): Promise<HarnessError> =>
    errorOf(describe(name).then((description) => convert(description, name, install)));
  t.match(await refuse('kept'), { code: 'USAGE', message: /kept has no disko/, hint: /--install/ });
  t.match(await refuse('zfs', INSTALL), { code: 'USAGE', message: /^zfs cannot be tested: its \/ is zfs$/ });
  t.match(await refuse('pi', INSTALL), { code: 'USAGE', message: /pi is for aarch64-linux/ });
});

t.test('a host is built as it runs in the virtual machine', async (t) => {
  const build = async (name: string): ReturnType<typeof buildOwnHost> =>
    buildOwnHost(await findOwnHost(`${flake}#${name}`, { nix, budget }), {
      nix,
      systemsFlake,
      cacheDir: path.join(folder, 'cache'),
      budget,
    });
  const { toplevel, diskoScript = '' } = await build('rollback');
  t.match(await readFile(nix.realPath(toplevel), 'utf8'), '"fsType":"btrfs"');
  const disko = await readFile(nix.realPath(diskoScript), 'utf8');
  t.match(
    disko,
    '"device":"/dev/disk/by-id/virtio-disk-1"',
    'the virtual disk takes the place of the real one',
  );
  t.notMatch(disko, 'nvme0n1');
  t.equal((await build('tmpfs')).diskoScript, undefined);
});

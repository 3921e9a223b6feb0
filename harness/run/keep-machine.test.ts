// What is left of a machine when its run is over, and what is read of it again.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { HarnessError } from '../core/index.js';
import { loadScenarios } from '../scenario/index.js';
import { AT_ONCE, NO_FAULTS } from './fault-state.js';
import { keepMachine } from './keep-machine.js';
import { readKept, readKeptSecrets } from './kept-machine.js';
import type { MachineParts } from './machine-parts.js';

const dir = await mkdtemp(path.join(os.tmpdir(), 'imperm-test-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
const [scenario] = await loadScenarios(['scenarios/btrfs-luks-rollback/scenario.yaml']);
const variant = scenario?.variants.find(({ axes }) => axes.luks === 'tpm2');
if (variant === undefined) throw new Error('no variant with a TPM');

const secrets = { passphrase: 'open sesame 123', luksKey: 'a-key-of-a-file', password: 'of-all-accounts' };

type KeepContext = Parameters<typeof keepMachine>[2];

/** As much of a run as keeping needs; `qemu-img` knows who shows through whom. */
function contextOf(folder: string, chains: Record<string, string[]> = {}): KeepContext {
  const toolbox = {
    run: (program: string, args: readonly string[]): Promise<string> => {
      t.equal(program, 'qemu-img');
      const file = args.at(-1) ?? '';
      const behind = chains[path.basename(file)] ?? [];
      return Promise.resolve(JSON.stringify([file, ...behind].map((filename) => ({ filename }))));
    },
  };
  const { signal } = new AbortController();
  return { folder, signal, host: { toolbox }, guest: { name: 'debian' } } as unknown as KeepContext;
}

async function makeParts(name: string): Promise<{ parts: MachineParts; work: string; folder: string }> {
  const work = path.join(dir, name, 'work');
  const folder = path.join(dir, name, 'variant');
  await mkdir(path.join(work, 'tpm'), { recursive: true });
  await mkdir(folder, { recursive: true });
  for (const file of ['main.qcow2', 'main-resumed.qcow2', 'clone1.qcow2', 'nvram.fd', 'tpm/state'])
    await writeFile(path.join(work, file), file);
  // A hole of 1 GiB: nothing on the disk.
  await truncate(path.join(work, 'main.qcow2'), 2 ** 30);
  await writeFile(path.join(work, 'payload.tar'), 'no part of the machine');
  const main = { name: 'main', bus: 'virtio', sectorBytes: 512, format: 'qcow2', bootIndex: 1 } as const;
  const file = path.join(work, 'main-resumed.qcow2');
  const parts: MachineParts = {
    ...secrets,
    disks: [{ ...main, file, backingFile: path.join(work, 'main.qcow2') }],
    nvramFile: path.join(work, 'nvram.fd'),
    tpmDir: path.join(work, 'tpm'),
    faults: {
      ...NO_FAULTS,
      absent: new Set(['main']),
      clones: [{ name: 'clone1', bus: 'virtio', format: 'qcow2', file: path.join(work, 'clone1.qcow2') }],
      rates: new Map([['clone1', { bytesPerSecond: 5 }]]),
      clock: { shiftMs: -1000 },
      typing: { ...AT_ONCE, wrong: 3 },
    },
  };
  return { parts, work, folder };
}

t.test('everything that the machine needs is moved, and nothing else; it is read as it was', async (t) => {
  const { parts, work, folder } = await makeParts('whole');
  const chains = { 'main-resumed.qcow2': ['main.qcow2'] };
  const { sizeBytes } = await keepMachine(variant, parts, contextOf(folder, chains));
  t.ok(sizeBytes > 0 && sizeBytes < 2 ** 20, `${String(sizeBytes)} bytes: the hole is still one`);
  t.strictSame(await readdir(work), ['payload.tar'], 'moved, not doubled');
  const kept = await readKept(folder);
  if (kept === undefined) throw new Error('not kept');
  t.strictSame((await readdir(kept.folder)).sort(), [
    'clone1.qcow2',
    'kept.json',
    'main-resumed.qcow2',
    'main.qcow2',
    'nvram.fd',
    'secrets.json',
    'tpm',
  ]);
  t.equal(await readFile(path.join(kept.folder, 'tpm/state'), 'utf8'), 'tpm/state');
  t.match(kept, {
    variant: variant.id,
    guest: 'debian',
    stage1: 'systemd',
    hasTpm: true,
    secureBoot: false,
    clock: { shiftMs: -1000 },
    disks: [
      { name: 'main', file: 'main-resumed.qcow2', bootIndex: 1, isAbsent: true },
      { name: 'clone1', file: 'clone1.qcow2', isAbsent: false, rate: { bytesPerSecond: 5 } },
    ],
    secrets,
  });
});

t.test('the secrets are for the owner alone, and in no other file', async (t) => {
  const { parts, folder } = await makeParts('secret');
  await keepMachine(variant, parts, contextOf(folder));
  const kept = path.join(folder, 'kept');
  const modeOf = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;
  t.equal(await modeOf(kept), 0o700);
  t.equal(await modeOf(path.join(kept, 'secrets.json')), 0o600);
  const description = await readFile(path.join(kept, 'kept.json'), 'utf8');
  for (const secret of Object.values(secrets)) t.notOk(description.includes(secret));
  t.strictSame(await readKeptSecrets(folder), Object.values(secrets));
});

t.test('what cannot be kept leaves nothing half done', async (t) => {
  const { parts, folder } = await makeParts('broken');
  const lost = { ...parts, nvramFile: path.join(dir, 'is not there') };
  await t.rejects(keepMachine(variant, lost, contextOf(folder)), { code: 'TOOL_FAILED' });
  t.strictSame(await readdir(folder), []);
  t.equal(await readKept(folder), undefined);
  t.strictSame(await readKeptSecrets(folder), []);
});

t.test('a kept folder that is damaged is told, not half used', async (t) => {
  const { parts, folder } = await makeParts('damaged');
  await keepMachine(variant, parts, contextOf(folder));
  const description = path.join(folder, 'kept', 'kept.json');
  const good = await readFile(description, 'utf8');
  for (const bad of ['{', '{}', good.replace('"version": 1', '"version": 2'), good.replace('main-', '../')]) {
    await writeFile(description, bad);
    await t.rejects(
      readKept(folder),
      { code: 'USAGE', message: /kept machine cannot be read/ },
      bad.slice(0, 30),
    );
  }
  await writeFile(description, good);
  await writeFile(path.join(folder, 'kept', 'secrets.json'), '{"passphrase": "x"}');
  await t.rejects(readKeptSecrets(folder), HarnessError, 'nobody knows what to look for');
});

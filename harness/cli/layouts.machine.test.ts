// The real command line on real machines: the correct layout passes, each broken one fails for its reason, and
// nothing is left behind however a run ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import type { VariantRecord } from '../record/index.js';
import { Cli, readOnlyRecord, withFolder } from './cli-process.js';

/** Ids of the promises that were broken, and everything said about them. */
function brokenBy(variant: VariantRecord | undefined): { ids: string[]; said: string } {
  const bad = (variant?.checks ?? []).filter(({ status }) => status !== 'pass');
  return {
    ids: [...new Set(bad.map(({ id }) => id))],
    said: bad.map(({ found, cause }) => `${found} ${cause ?? ''}`).join('\n'),
  };
}

/** What stopped a run, with all that its error says: from a log alone it must be possible to understand it. */
function stopOf({ error }: VariantRecord): string {
  return error === undefined ? '' : `${error.message}\n${error.details ?? ''}`;
}

/** Command lines of running processes that mention a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(folder)) found.push(line.replaceAll('\0', ' '));
  }
  return found;
}

/** Layouts that fail, each in a way of its own; the others of broken/ have a bug report below bugs/ that does the same. */
const BROKEN = [
  'broken/rollback-removed',
  'broken/path-misspelt',
  'broken/service-script-in-hook',
  'broken/tpm2-cleared',
  'broken/damaged',
  'broken/secure-boot-unsigned',
];
/** What is done to a machine from outside: a fault that destroys a layout, and one that a good layout lives through. */
const BUGS = ['bugs/blank-missing', 'bugs/root-is-directory-corrected'];

// In one run, so that the processors are never idle; whoever looks for one thing finds the record below.
const folder = mkdtempSync(path.join(os.tmpdir(), 'imperm-layouts-'));
t.teardown(() => {
  rmSync(folder, { recursive: true });
});
const all = new Cli(['run', 'scenarios', ...BROKEN, ...BUGS, '--once', '--tap', '--reports', folder]).result;

async function variantsOf(names: (name: string) => boolean): Promise<VariantRecord[]> {
  await all;
  const { variants } = await readOnlyRecord(folder);
  return variants.filter(({ scenario }) => names(scenario.name));
}

const isBroken = (name: string): boolean => BROKEN.includes(`broken/${name}`);
const isBug = (name: string): boolean => BUGS.includes(`bugs/${name}`);

t.test(
  'each layout is as declared: the correct ones pass, the published ones fail in their known way',
  async (t) => {
    const { stdout } = await all;
    t.match(stdout, /^TAP version 14/);
    const variants = await variantsOf((name) => !isBroken(name) && !isBug(name));
    const folders = await readdir(path.join(repositoryRoot, 'scenarios'));
    for (const variant of variants) {
      const { name } = variant.scenario;
      const expected = name.endsWith('-as-published') ? 'known-bug' : 'pass';
      t.equal(variant.verdict, expected, `${name}: ${stopOf(variant)}${brokenBy(variant).said}`);
      t.ok(folders.includes(name));
    }
    t.equal(new Set(variants.map(({ scenario }) => scenario.name)).size, variants.length, 'each once');

    const occurs = (axis: string): string[] =>
      [...new Set(variants.flatMap(({ axes }) => axes[axis] ?? []))].sort();
    t.strictSame(occurs('stage1'), ['scripted', 'systemd']);
    t.strictSame(occurs('disk'), ['nvme', 'virtio']);
    t.strictSame(occurs('sectorSize'), ['4096', '512']);
    for (const luks of ['key-file', 'none', 'passphrase', 'tpm2']) t.ok(occurs('luks').includes(luks), luks);
    // Stage 1 asks for a passphrase only where there is one to type, and while the TPM is not enrolled yet.
    const prompts = (name: string): string[] =>
      variants
        .filter(({ scenario }) => scenario.name === name)
        .flatMap(({ checks }) => checks.filter(({ id }) => id === 'unlocked').map(({ found }) => found));
    const silent = 'nothing was asked for';
    t.strictSame(prompts('networkmanager'), ['the passphrase was asked for 1 time', silent], 'by a TPM');
    t.strictSame(prompts('small-services'), [silent, silent], 'by a key file');

    const rollback = variants.find(({ scenario }) => scenario.name === 'btrfs-luks-rollback');
    t.strictSame(
      rollback?.boots.map(({ number, how }) => `${String(number)} ${how}`),
      ['1 power-on', '2 reboot', '3 power-cut'],
    );
    t.equal(new Set(rollback?.boots.map(({ bootId }) => bootId)).size, 3, 'three different boots');
    const looks = (id: string): number | undefined =>
      rollback?.checks.filter((check) => check.id === id).length;
    t.equal(looks('root-wiped'), 3, 'the wipe is proved in every boot');
    t.equal(looks('gone:/'), 3, 'twice in the running system and once on the powered-off disk');
    for (const id of ['kept:/home', 'kept:/nix', 'kept:/persist', 'kept:/var/log', 'kept:/etc/nixos']) {
      t.equal(looks(id), 4, `${id}: three times in the running system and once on the powered-off disk`);
    }
    for (const id of [
      'rollback-order',
      'rollback-log',
      'machine-id-stable',
      'ssh-host-keys-stable',
      'no-failed-units',
      'esp-private:/boot',
    ]) {
      t.equal(looks(id), 3, id);
    }
    t.equal(looks('login:root'), 2, 'after each wipe');
    t.equal(looks('disk-clean'), 1);
    t.equal(looks('console-clean'), 1);
    // Saved at every shut-down, and the recipe does not keep it. Nothing else is: not even what the harness did.
    t.match(rollback?.leaks, { remade: [], orphans: [], missing: [] });
    t.strictSame(rollback?.leaks?.lost, ['/var/lib/systemd/random-seed']);
  },
);

t.test('what is done to a machine from outside shows as declared', async (t) => {
  const [destroyed, survived] = await variantsOf(isBug);
  t.match(destroyed, { scenario: { name: 'blank-missing' }, verdict: 'known-bug' }, brokenBy(destroyed).said);
  t.match(brokenBy(destroyed).said, /deleted it, and there is no root-blank to take its place/);
  t.match(
    survived,
    { scenario: { name: 'root-is-directory-corrected' }, verdict: 'pass' },
    brokenBy(survived).said,
  );
});

t.test('each broken layout fails, and the message names the cause', async (t) => {
  const { exitCode, stderr } = await all;
  t.equal(exitCode, 1, stderr.slice(-4000));
  const variants = await variantsOf(isBroken);
  t.strictSame(
    variants.map(({ verdict }) => verdict),
    BROKEN.map(() => 'fail'),
    variants.map(stopOf).join('\n'),
  );
  const [removed, misspelt, copied, cleared, damaged, unsigned] = variants.map(brokenBy);
  t.strictSame(removed?.ids.sort(), ['gone:/', 'root-wiped']);
  t.match(removed?.said, /declares no rollback/);
  t.match(removed?.said, /still the subvolume of boot 1/);
  t.strictSame(misspelt?.ids, ['kept:/etc/nixos']);
  t.match(misspelt?.said, /Declared is \/etc\/nixo: is it misspelt/);
  t.strictSame(copied?.ids.sort(), ['gone:/', 'rollback-log', 'root-wiped']);
  t.match(copied?.said, /has no "set -e": it goes on after a command that fails/);
  t.strictSame(cleared?.ids, ['unlocked']);
  t.match(cleared?.said, /The TPM did not give the key/);
  t.strictSame(damaged?.ids.sort(), [
    'console-clean',
    'disk-clean',
    'esp-private:/boot',
    'kept:/etc/machine-id',
    'kept:/etc/nixos',
    'kept:/home',
    'login:itsdrike',
    'machine-id-stable',
    'mounted:/home',
    'no-failed-units',
    'ssh-host-keys-stable',
    'swap-active',
    'unmounted-cleanly',
    'untouched:other',
  ]);
  t.strictSame(unsigned?.ids.sort(), ['boots', 'console-clean']);
  t.match(unsigned?.said, /Error loading \\EFI\\nixos\\.*: Access denied/);
  t.match(unsigned?.said, /not signed with a key that the firmware was given/);
  const signed = variants.at(-1)?.checks.filter(({ id }) => id === 'secure-boot');
  t.match(
    signed,
    [{ boot: 1, status: 'pass', found: /^SecureBoot=1, SetupMode=0/ }],
    'the signed one starts',
  );
  t.match(stderr, /Exit code 1: a layout broke a promise/);
});

/** When each signal comes: while a machine is restored, installed or booting, it leaves as little. */
const INTERRUPTIONS = [
  { signal: 'SIGINT', when: 'boot 1, stage 1' },
  { signal: 'SIGTERM', when: ']: deploy' },
] as const;

t.test('however a run ends, nothing is left behind', (t) => {
  // One machine each: together they leave no processor idle.
  t.jobs = INTERRUPTIONS.length + 1;
  for (const { signal, when } of INTERRUPTIONS) {
    t.test(`a run that gets ${signal} puts everything away and says so`, (t) =>
      withFolder(async (folder) => {
        const workDir = path.join(folder, 'w');
        const reports = path.join(folder, 'reports');
        const cli = new Cli(['run', '--once', '--reports', reports], { IMPERM_WORK: workDir });
        await cli.sees(when);
        t.not((await processesOf(workDir)).length, 0, 'a machine runs');
        cli.child.kill(signal);
        const { exitCode } = await cli.result;
        t.equal(exitCode, 130);
        t.strictSame(await processesOf(workDir), [], 'no process is left');
        t.strictSame(await readdir(workDir), [], 'no file is left');
        const record = await readOnlyRecord(reports);
        t.equal(record.interrupted, true);
        t.equal(record.variants[0]?.error?.code, 'INTERRUPTED');
      }),
    );
  }

  t.test('a killed run leaves no machine, and reap removes its files', (t) =>
    withFolder(async (folder) => {
      const workDir = path.join(folder, 'w');
      const env = { IMPERM_WORK: workDir };
      const cli = new Cli(['run', '--once', '--reports', path.join(folder, 'reports')], env);
      await cli.sees(']: install');
      t.not((await processesOf(workDir)).length, 0, 'a machine runs');
      cli.child.kill('SIGKILL');
      await cli.result;
      const { exitCode, stdout } = await new Cli(['reap'], env).result;
      t.equal(exitCode, 0);
      t.match(stdout, /[1-9]\d* folders removed/);
      t.strictSame(await processesOf(workDir), [], 'no process is left');
      t.strictSame(await readdir(workDir), [], 'no file is left');
    }),
  );
  t.end();
});

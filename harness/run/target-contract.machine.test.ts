// What a run needs of a target, the same for each: whatever passes here can run every scenario that its limits allow.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import t, { type Test } from 'tap';

import {
  Budget,
  HarnessError,
  readEnvironment,
  reapLeases,
  Redactor,
  runProgram,
  tryTakeLock,
} from '../core/index.js';
import {
  Machine,
  type MachineDisk,
  type MachineShell,
  makeMachineKeys,
  makeNonce,
  type OpenTarget,
  openTarget,
  LibvirtHost,
  reapDomains,
  type TargetChoice,
  Virsh,
} from '../target/index.js';
import type { RunContext } from './context.js';
import { attachDisk } from './install.js';
import { openInstaller } from './installer.js';
import { prepareRun } from './prepare.js';

const LIMIT_MS = 900_000;
/** All that one machine is asked for. */
const STEPS_MS = 300_000;
/** What is there in a moment, or never. */
const MOMENT_MS = 60_000;
/** That of this user: root's libvirt refuses sessions. */
const URI = process.getuid?.() === 0 ? 'qemu:///system' : 'qemu:///session';
const { testLibvirt } = readEnvironment();
/** A real machine is no hypervisor: its own test is real-machine.machine.test.ts. */
type VirtualChoice = Exclude<TargetChoice, { readonly kind: 'hardware' }>;
const TARGETS: readonly VirtualChoice[] = [
  { kind: 'qemu' },
  { kind: 'libvirt', uri: URI },
  ...(testLibvirt === undefined ? [] : [{ kind: 'libvirt' as const, uri: testLibvirt }]),
];

/** Command lines of running processes that mention a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const lines = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(folder)).map((line) => line.replaceAll('\0', ' '));
}

class Bench {
  readonly folder: string;
  readonly workDir: string;
  readonly open: OpenTarget;
  readonly context: RunContext;
  readonly budget: Budget;
  readonly choice: VirtualChoice;
  #files = 0;

  constructor(parts: {
    readonly folder: string;
    readonly workDir: string;
    readonly open: OpenTarget;
    readonly context: RunContext;
    readonly budget: Budget;
    readonly choice: VirtualChoice;
  }) {
    this.folder = parts.folder;
    this.workDir = parts.workDir;
    this.open = parts.open;
    this.context = parts.context;
    this.budget = parts.budget;
    this.choice = parts.choice;
  }

  static async make(choice: VirtualChoice, folder: string): Promise<Bench> {
    const workDir = path.join(folder, 'w');
    await mkdir(workDir, { mode: 0o700 });
    const { signal } = new AbortController();
    const budget = Budget.start('the contract of a target', LIMIT_MS, signal);
    const open = await openTarget(choice, { workDir, budget });
    const context = await prepareRun({
      environment: { ...readEnvironment(), workDir },
      tools: 'private',
      accelerator: 'auto',
      target: open,
      signal,
      emit: () => undefined,
      scenarios: [],
    });
    return new Bench({ folder, workDir, open, context, budget, choice });
  }

  get logs(): { consoleFile: string; journalFile: string; redactor: Redactor } {
    this.#files += 1;
    const file = (name: string): string => path.join(this.folder, `${name}-${String(this.#files)}.log`);
    return { consoleFile: file('console'), journalFile: file('journal'), redactor: new Redactor() };
  }

  async makeDisk(disk: Pick<MachineDisk, 'name' | 'bus' | 'sectorBytes'>): Promise<MachineDisk> {
    const file = path.join(this.folder, `${disk.name}.qcow2`);
    await this.context.host.toolbox.run(
      'qemu-img',
      ['create', '-q', '-f', 'qcow2', file, '64M'],
      this.budget,
    );
    return { ...disk, file, format: 'qcow2' };
  }

  async restore(logs = this.logs): Promise<{ machine: Machine; shell: MachineShell }> {
    const { host, guest } = this.context;
    return openInstaller({
      ...logs,
      host,
      installer: guest.installer,
      budget: this.budget.part('the installer to be restored', 120_000),
      onConsoleLine: () => undefined,
      onCleanupError: (what, error) => {
        throw new Error(what, { cause: error });
      },
    });
  }

  /** What is left of machines: folders, processes, domains. */
  async leftOvers(): Promise<string[]> {
    const { choice } = this;
    const local = [...(await readdir(this.workDir)), ...(await processesOf(this.workDir))];
    if (choice.kind === 'qemu') return local;
    const list = await runProgram('virsh', ['--quiet', '-c', choice.uri, 'list', '--all', '--title']);
    const there = await new LibvirtHost(choice.uri).run(
      'ls -d /var/tmp/imperm.* 2>/dev/null || :',
      this.budget,
    );
    return [...local, ...`${list.stdout}\n${there}`.split('\n').filter((line) => line.includes('imperm'))];
  }

  reap(): ReturnType<typeof reapLeases> {
    return reapLeases(this.workDir, (uri) => reapDomains(new Virsh(uri), this.budget));
  }
}

for (const choice of TARGETS) {
  t.test(choice.kind === 'qemu' ? 'qemu' : choice.uri, async (t) => {
    const folder = await mkdtemp('/var/tmp/imperm-t-');
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    let bench: Bench;
    try {
      bench = await Bench.make(choice, folder);
    } catch (error) {
      const isAsked = choice.kind === 'qemu' || choice.uri !== URI;
      if (isAsked || !(error instanceof HarnessError) || error.code !== 'HOST_UNFIT') throw error;
      t.comment(error.message);
      t.pass('no libvirt here', { skip: `${error.message}: nothing is said about this target` });
      return;
    }
    await checkRestored(t, bench);
    await checkCold(t, bench);
    await checkKilled(t, bench);
  });
}

function checkRestored(t: Test, bench: Bench): Promise<unknown> {
  return t.test('a restored installer with disks of its own', async (t) => {
    const { open } = bench;
    const budget = bench.budget.part('a restored machine', STEPS_MS);
    const logs = bench.logs;
    const { machine, shell } = await bench.restore(logs);
    const disk = await bench.makeDisk({ name: 'first', bus: 'virtio' });
    const more: MachineDisk[] = [
      ...(open.limits['large-sectors'] === undefined
        ? [await bench.makeDisk({ name: 'second', bus: 'virtio', sectorBytes: 4096 })]
        : []),
      ...(open.limits.nvme === undefined ? [await bench.makeDisk({ name: 'third', bus: 'nvme' })] : []),
    ];
    if (open.limits.nvme !== undefined) t.match(open.limits.nvme, /^libvirt \S+ .*NVMe/, 'refused by name');
    const moment = (): Budget => budget.part('what takes a moment', MOMENT_MS);
    const said = randomBytes(8).toString('hex');
    try {
      const device = await attachDisk(machine, shell, disk, moment());
      for (const other of more) {
        const name = await attachDisk(machine, shell, other, moment());
        const sectors = await shell.run(`blockdev --getss ${name}`, budget);
        t.equal(sectors.trim(), String(other.sectorBytes ?? 512), `${other.name} has sectors as wanted`);
        if (other.bus === 'nvme') t.match(name, /nvme/);
      }
      t.equal(
        (await shell.run(`tr -d '\\0' <${device} | wc -c`, budget)).trim(),
        '0',
        'a fresh disk is empty',
      );
      for (const { name } of more) await machine.detachDisk(name, moment());
      t.equal(
        (await shell.run('ls /dev/disk/by-id | grep -c -E "second|third" || true', budget)).trim(),
        '0',
      );

      await shell.run(`echo ${said} >/dev/ttyS0; echo j-${said} >/dev/hvc0`, budget);
      await machine.console.waitFor(new RegExp(said), moment());
      const answer = shell.run(
        `exec </dev/ttyS0; stty -echo; echo re''ady >/dev/ttyS0; read -r line; echo "$line"`,
        budget,
      );
      await machine.console.waitFor(/ready/, moment());
      machine.console.type('typed\n');
      t.equal((await answer).trim(), 'typed', 'what is typed arrives');

      const picture = path.join(bench.folder, 'screen.png');
      await machine.screenshot(picture, budget);
      t.equal((await readFile(picture)).subarray(1, 4).toString(), 'PNG');
      t.match(await machine.describeProcessors(budget), /RIP=/);

      const reaped = await bench.reap();
      t.match(reaped, { folders: 0, machines: 0, inUse: 1 }, 'a living owner is left alone');
      if (bench.choice.kind === 'libvirt')
        t.equal(await reapDomains(new Virsh(bench.choice.uri), budget), 0, 'also by its label alone');
      await shell.run('true', budget);

      await shell.run(
        `sysctl -q vm.dirty_writeback_centisecs=0
         echo synced | dd of=${device} conv=fsync,notrunc status=none
         echo unsynced | dd of=${device} seek=8 bs=1M conv=notrunc status=none`,
        budget,
      );
    } finally {
      await machine.stop();
    }
    t.ok(machine.processorMs > 0, 'its processor time is known');
    t.match(await readFile(logs.consoleFile, 'utf8'), said, 'the console is in its file');
    t.match(await readFile(logs.journalFile, 'utf8'), `j-${said}`, 'and the journal in its own');
    t.strictSame(await bench.leftOvers(), [], 'nothing is left of it');

    const again = await bench.restore();
    try {
      const device = await attachDisk(again.machine, again.shell, disk, moment());
      const read = (skip: number): Promise<string> =>
        again.shell.run(
          `dd if=${device} bs=1M skip=${String(skip)} count=1 status=none | tr -d '\\0'`,
          budget,
        );
      t.equal((await read(0)).trim(), 'synced', 'the power cut left what was synced');
      t.equal((await read(8)).trim(), '', 'and took what was not');
      t.ok(await again.machine.endAtReset(moment()));
      const off = again.machine.waitForPowerOff(moment());
      await Promise.race([off, again.machine.sendCommand('reboot --force', budget)]);
      await off;
      t.pass('a reset can end a machine');
    } finally {
      await again.machine.stop();
    }
  });
}

function checkCold(t: Test, bench: Bench): Promise<unknown> {
  return t.test('a machine that boots', async (t) => {
    const { context, open } = bench;
    const budget = bench.budget.part('a machine that boots', STEPS_MS);
    const { installer } = context.guest;
    if (installer.medium === 'real') throw new TypeError('a saved installer is needed');
    const { medium, stateFile } = installer;
    const hasTpm = open.limits.tpm === undefined;
    const machine = await Machine.start(
      context.host,
      {
        memoryMiB: 2048,
        boot: medium.boot,
        disks: [await bench.makeDisk({ name: 'fixed', bus: 'virtio' })],
        nonce: makeNonce(),
        ...(hasTpm ? { tpmDir: path.join(bench.folder, 'tpm') } : {}),
      },
      {
        ...bench.logs,
        budget,
        keys: makeMachineKeys(),
        onCleanupError: (what, error) => {
          throw new Error(what, { cause: error });
        },
      },
    );
    const bootId = (shell: MachineShell): Promise<string> =>
      shell.run('cat /proc/sys/kernel/random/boot_id', budget);
    try {
      await machine.console.waitFor(/Linux version|systemd\[1\]/, budget);
      await machine.waitForAgent(budget.part('the machine to boot', 240_000));
      const shell = await machine.openShell(budget);
      const first = await bootId(shell);
      await shell.run('udevadm wait --timeout=60 /dev/disk/by-id/virtio-fixed', budget);
      if (hasTpm)
        t.equal(
          (await shell.run('cat /sys/class/tpm/tpm0/tpm_version_major', budget)).trim(),
          '2',
          'so is a TPM',
        );
      const reset = machine.waitForReset(budget.part('the reset', 60_000));
      await Promise.race([reset, machine.sendCommand('systemctl reboot', budget)]);
      await reset;
      await machine.waitForAgent(budget.part('the machine to boot again', 240_000));
      const second = await bootId(await machine.openShell(budget));
      t.not(second, first, 'a reset is another boot');
      const off = machine.waitForPowerOff(budget.part('the machine to be off', 60_000));
      await Promise.race([off, machine.sendCommand('systemctl poweroff', budget)]);
      await off;
    } finally {
      await machine.stop();
    }
    t.strictSame(await bench.leftOvers(), [], 'nothing is left of it');
    if (context.host.target.reserveState === undefined) return;
    const held = await tryTakeLock(`${stateFile}.lock`, budget);
    t.equal(await context.host.target.reserveState(stateFile, budget), undefined, 'one at a time');
    await held?.release();
  });
}

function checkKilled(t: Test, bench: Bench): Promise<unknown> {
  return t.test('a machine whose owner was killed', async (t) => {
    const { choice } = bench;
    const source = `
      import { Budget, Redactor } from ${JSON.stringify(new URL('../core/index.js', import.meta.url).href)};
      import { openTarget } from ${JSON.stringify(new URL('../target/index.js', import.meta.url).href)};
      import { openToolbox } from ${JSON.stringify(new URL('../host/index.js', import.meta.url).href)};
      import { openInstaller } from ${JSON.stringify(new URL('./installer.js', import.meta.url).href)};
      const { choice, workDir, accelerator, installer, folder, cacheDir } = JSON.parse(process.argv[1]);
      const budget = Budget.start('the owner', 300_000, new AbortController().signal);
      const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: undefined, budget });
      const target = (await openTarget(choice, { workDir, budget })).make(toolbox, accelerator);
      await openInstaller({
        host: { target, toolbox, accelerator, workDir }, installer, budget, redactor: new Redactor(),
        consoleFile: folder + '/killed.log', journalFile: folder + '/killed-journal.log',
        onConsoleLine: () => {}, onCleanupError: () => {},
      });
      process.stdout.write('up\\n');
      setInterval(() => {}, 60_000);`;
    const { host, guest } = bench.context;
    const facts = {
      choice,
      workDir: bench.workDir,
      accelerator: host.accelerator,
      installer: guest.installer,
      folder: bench.folder,
      cacheDir: readEnvironment().cacheDir,
    };
    const owner = spawn(process.execPath, ['--input-type=module', '-e', source, JSON.stringify(facts)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await bench.budget.race(
      Promise.race([once(owner.stdout, 'data'), once(owner, 'exit')]),
    )) as [unknown];
    t.equal(String(said).trim(), 'up');
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const isLibvirt = choice.kind === 'libvirt';
    t.match(await bench.reap(), { folders: 1, machines: isLibvirt ? 1 : 0, inUse: 0, unreachable: 0 });
    // What dies by a signal takes a moment.
    const gone = await bench.budget
      .part('nothing to be left', 20_000)
      .poll(async () => ((await bench.leftOvers()).length === 0 ? true : undefined), 100);
    t.ok(gone);
  });
}

// A TPM beside a machine. In place of swtpm a program that takes the same arguments; the real one runs in every variant
// with luks=tpm2.
import { access, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, type Lease, takeLease } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import { qemuArguments, type QemuArgumentOptions } from './qemu-arguments.js';
import { startTpm } from './tpm.js';

const budget = Budget.start('the test', 20_000, new AbortController().signal);

/** @param script Bash; `$pid_file` is the file that tells of readiness. */
async function withSwtpm(
  script: string,
  work: (parts: { toolbox: Toolbox; lease: Lease; stateDir: string; argumentsFile: string }) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-tpm-'));
  await chmod(folder, 0o700);
  try {
    const lease = await takeLease(folder);
    const argumentsFile = path.join(folder, 'arguments');
    const program = path.join(folder, 'swtpm');
    await writeFile(
      program,
      `#!/bin/bash\nprintf '%s\\n' "$@" >${argumentsFile}\npid_file=\${*: -1}\npid_file=\${pid_file#file=}\n${script}\n`,
      { mode: 0o755 },
    );
    const command: Toolbox['command'] = (_name, args = []) => ({ args: [program, ...args], env: {} });
    await work({
      toolbox: { command } as Toolbox,
      lease,
      stateDir: path.join(folder, 'state'),
      argumentsFile,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

void t.test('it is on when its socket is there, and off when it is stopped; what it keeps stays', (t) =>
  withSwtpm('echo $$ >"$pid_file"; exec sleep 60', async ({ toolbox, lease, stateDir, argumentsFile }) => {
    const tpm = await startTpm(toolbox, { stateDir, lease, budget });
    const args = await readFile(argumentsFile, 'utf8');
    t.match(args, `dir=${stateDir},mode=0600`);
    t.match(args, `path=${tpm.socket},`);
    const pid = Number(await readFile(path.join(lease.dir, 'tpm.pid'), 'utf8'));
    await access(path.join(lease.dir, 'processes', String(pid)));
    await tpm.stop();
    t.throws(() => process.kill(pid, 0), 'it has ended');
    await access(stateDir);
  }),
);

void t.test('one that does not start says why', (t) =>
  withSwtpm('echo "Need read/write rights on statedir"; exit 1', async ({ toolbox, lease, stateDir }) => {
    await t.rejects(startTpm(toolbox, { stateDir, lease, budget }), {
      code: 'MACHINE_DIED',
      message: 'The TPM (swtpm) ended: exit code 1',
      details: 'Need read/write rights on statedir',
    });
  }),
);

void t.test('one that is never ready is given up and ended', (t) =>
  withSwtpm('echo $$ >"$pid_file.other"; exec sleep 60', async ({ toolbox, lease, stateDir }) => {
    const short = budget.part('the test', 500);
    await t.rejects(startTpm(toolbox, { stateDir, lease, budget: short }), {
      code: 'TIMEOUT',
      message: /waiting for the TPM to start/,
    });
    const pid = Number(await readFile(path.join(lease.dir, 'tpm.pid.other'), 'utf8'));
    t.throws(() => process.kill(pid, 0));
  }),
);

void t.test('one that ends while the machine runs is told of', (t) =>
  withSwtpm('echo $$ >"$pid_file"; sleep 0.2; exit 3', async ({ toolbox, lease, stateDir }) => {
    const tpm = await startTpm(toolbox, { stateDir, lease, budget });
    t.match((await tpm.ended).message, /exit code 3/);
  }),
);

const spec = {
  memoryMiB: 2048,
  cpus: 2,
  boot: { from: 'disk' },
  disks: [{ name: 'main', bus: 'nvme', sectorBytes: 4096, file: '/main.qcow2', format: 'qcow2' }],
  nonce: 'n',
} as const;
const options: QemuArgumentOptions = {
  accelerator: { kind: 'tcg', timeScale: 10, reason: '' },
  firmwareCode: '/code.fd',
  nvramFile: '/vars.fd',
  sockets: { qmp: '/q', serial: '/s', journal: '/j', agent: '/a' },
  firmwareStrings: [],
};

void t.test('only a machine that is to have a TPM has one', (t) => {
  const words = qemuArguments(spec, { ...options, tpmSocket: '/t,1' }).join(' ');
  t.match(
    words,
    '-chardev socket,id=tpm,path=/t,,1 -tpmdev emulator,id=tpm,chardev=tpm -device tpm-crb,tpmdev=tpm',
  );
  t.notMatch(qemuArguments(spec, options).join(' '), 'tpm');
  t.end();
});

void t.test('a disk has the sectors that it is to have', (t) => {
  const words = qemuArguments(spec, options).join(' ');
  t.match(words, '"logical_block_size":4096,"physical_block_size":4096');
  t.end();
});

import { access, constants, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { type Budget, digestOf, startProgram, takeLease } from '../core/index.js';
import type { Toolbox } from '../host/index.js';
import { ListeningSocket } from './socket.js';

/** How a machine's processor is made. */
export interface Accelerator {
  /** `none`: a real machine. */
  readonly kind: 'kvm' | 'tcg' | 'none';
  /** Why this one, as a sentence for people. */
  readonly reason: string;
  /** Every time budget is multiplied by this, the guest's own time-outs included. */
  readonly timeScale: number;
}

/** The firmware prints its first byte after 0.3 s under KVM and after 1 to 3 s in emulation. */
const FIRST_BYTE_LIMIT_MS = 8000;
const TCG_TIME_SCALE = 4;

export interface ChooseAcceleratorOptions {
  readonly wanted: 'auto' | 'kvm' | 'tcg';
  readonly toolbox: Toolbox;
  readonly cacheDir: string;
  readonly workDir: string;
  readonly budget: Budget;
  /** Another host runs the machines. Default false. */
  readonly isRemote?: boolean;
}

/**
 * KVM if it is *proved* to work, else emulation (TCG), with the reason. /dev/kvm may open, create machines and even
 * run a few instructions and still be unable to run a guest: only a firmware that prints something proves it. The
 * verdict is kept until the host boots again or QEMU, the processor or the kvm module changes.
 */
export async function chooseAccelerator(options: ChooseAcceleratorOptions): Promise<Accelerator> {
  if (options.wanted === 'tcg') return tcg('Emulation was asked for.');
  if (options.isRemote === true) return onAnotherHost(options.wanted);
  const proof = await proveKvm(options);
  if (proof.works) return { kind: 'kvm', reason: proof.reason, timeScale: 1 };
  return tcg(proof.reason);
}

/** What cannot be proved from here is not taken for granted, unless somebody says that it may be. */
function onAnotherHost(wanted: 'auto' | 'kvm'): Accelerator {
  if (wanted === 'auto')
    return tcg(
      'Another host runs the machines, and whether its KVM works is not seen from here; --accel kvm takes it on trust.',
    );
  return { kind: 'kvm', reason: 'Asked for; KVM of another host is taken on trust.', timeScale: 1 };
}

function tcg(reason: string): Accelerator {
  return { kind: 'tcg', reason, timeScale: TCG_TIME_SCALE };
}

interface KvmProof {
  readonly works: boolean;
  readonly reason: string;
}

async function proveKvm(options: ChooseAcceleratorOptions): Promise<KvmProof> {
  const accessible = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => undefined,
    (error: unknown) => (error as NodeJS.ErrnoException).code,
  );
  if (accessible === 'ENOENT') return { works: false, reason: 'This host has no /dev/kvm.' };
  if (accessible !== undefined) {
    return {
      works: false,
      reason:
        'This user may not open /dev/kvm (join the group kvm: `sudo usermod -aG kvm $USER`, then log in again).',
    };
  }
  const file = path.join(options.cacheDir, `kvm-${await hostKey(options.toolbox)}.json`);
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return JSON.parse(known) as KvmProof;
  const proof = await tryFirmware(options);
  await mkdir(options.cacheDir, { recursive: true });
  // Complete from the first moment: another run may read it at any time.
  const part = `${file}.${String(process.pid)}`;
  await writeFile(part, JSON.stringify(proof));
  await rename(part, file);
  return proof;
}

async function hostKey(toolbox: Toolbox): Promise<string> {
  const read = (name: string): Promise<string> => readFile(name, 'utf8').catch(() => '');
  const modules = (await read('/proc/modules'))
    .split('\n')
    .filter((line) => line.startsWith('kvm'))
    .map((line) => line.split(' ')[0]);
  return digestOf(
    '2',
    await read('/proc/sys/kernel/random/boot_id'),
    toolbox.qemuVersion,
    os.cpus()[0]?.model ?? '',
    modules.join(),
  );
}

/** QEMU's words without its own name and without the places in its source. */
function shorten(words: string): string {
  const plain = words
    .replace(/^\S*qemu-system-\S+: /, '')
    .replace(/^\S+\.c:\d+: /, '')
    .replace(/\.+$/, '');
  return plain.length > 90 ? `${plain.slice(0, 90)}…` : plain;
}

/** Starts a machine that has only firmware and waits for its first byte. */
async function tryFirmware(options: ChooseAcceleratorOptions): Promise<KvmProof> {
  const lease = await takeLease(options.workDir);
  const serial = await ListeningSocket.listen(path.join(lease.dir, 'serial'));
  const logFile = path.join(lease.dir, 'qemu.log');
  const { args, env } = options.toolbox.command('qemu-system-x86_64', [
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    '-machine',
    'q35,accel=kvm',
    '-cpu',
    'host',
    '-m',
    '256',
    '-drive',
    `if=pflash,format=raw,unit=0,readonly=on,file=${options.toolbox.firmwareCode}`,
    '-drive',
    `if=pflash,format=raw,unit=1,snapshot=on,file=${options.toolbox.firmwareVars}`,
    '-chardev',
    `socket,id=serial,path=${serial.path}`,
    '-serial',
    'chardev:serial',
  ]);
  const qemu = startProgram(args, { logFile, env });
  await lease.noteProcess(qemu.pid);
  try {
    const budget = options.budget.part('the first byte of the firmware under KVM', FIRST_BYTE_LIMIT_MS);
    const firstByte = serial.accept(budget).then((socket) =>
      budget.race(
        new Promise<boolean>((resolve) =>
          socket.once('data', () => {
            resolve(true);
          }),
        ),
      ),
    );
    const outcome = await Promise.race([
      firstByte.catch(() => {
        options.budget.check();
        return 'silent' as const;
      }),
      qemu.ended.then(() => 'ended' as const),
    ]);
    if (outcome === true) return { works: true, reason: 'KVM ran the firmware.' };
    const words = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').at(-1) ?? '';
    return {
      works: false,
      reason:
        outcome === 'silent'
          ? `/dev/kvm opens, but a machine under KVM printed nothing within ${String(FIRST_BYTE_LIMIT_MS / 1000)} s (nested or restricted virtualisation).`
          : `/dev/kvm opens, but QEMU ended at once under KVM${words === '' ? '' : ` (${shorten(words)})`}.`,
    };
  } finally {
    qemu.kill('SIGKILL');
    await qemu.ended;
    await serial.close();
    await lease.release();
  }
}

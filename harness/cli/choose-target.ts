import path from 'node:path';

import { Budget, HarnessError, type Lock, reapLeases, type ReapResult, tryTakeLock } from '../core/index.js';
import type { TargetFacts } from '../plan/index.js';
import type { HardwareHost } from '../scenario/index.js';
import { openTarget, type OpenTarget, reapDomains, type TargetChoice, Virsh } from '../target/index.js';
import type { TargetOptions } from './options.js';

const DEFAULT_URI = 'qemu:///system';
/** Asking what it can do. */
const OPEN_MS = 60_000;
/** One libvirt, asked for what it has left of us. */
const REAP_MS = 60_000;

/**
 * The targets that the command line asks for: one, or the libvirts of several hosts.
 *
 * @returns At least one.
 * @throws {HarnessError} USAGE when there is an address and nobody to ask at it, when one is given twice, or nobody is named.
 */
export function chooseTargets({ target = 'qemu', connect, host }: TargetOptions): readonly TargetChoice[] {
  if (connect !== undefined && target !== 'libvirt')
    throw new HarnessError('USAGE', '--connect is the address of libvirt, and goes with --target libvirt');
  if (target === 'hardware') {
    if (host !== undefined) return [{ kind: 'hardware', file: host }];
    throw new HarnessError('USAGE', '--target hardware needs --host, the file that describes the machine', {
      hint: '`imperm hardware check --help` explains it; run-on-hardware.md leads there.',
    });
  }
  if (host !== undefined)
    throw new HarnessError('USAGE', '--host describes a real machine, and goes with --target hardware');
  if (target === 'qemu') return [{ kind: 'qemu' }];
  const uris = connect ?? [DEFAULT_URI];
  const twice = uris.find((uri, index) => uris.indexOf(uri) !== index);
  if (twice !== undefined)
    throw new HarnessError('USAGE', `--connect ${twice} is given twice`, {
      hint: 'Of one host more machines are run at once with --jobs.',
    });
  return uris.map((uri) => ({ kind: 'libvirt', uri }));
}

/**
 * The target that the command line asks for.
 *
 * @throws {HarnessError} USAGE as `chooseTargets`, and when it asks for several.
 */
export function chooseTarget(options: TargetOptions): TargetChoice {
  const [choice, ...others] = chooseTargets(options);
  if (choice === undefined) throw new HarnessError('INTERNAL', 'Internal error: there is no target');
  if (others.length > 0)
    throw new HarnessError('USAGE', 'Only imperm run takes several libvirts', {
      hint: 'Give --connect once.',
    });
  return choice;
}

/**
 * The target that the command line asks for, asked what it can do.
 *
 * @throws As `openTarget` and `chooseTarget`.
 */
export function openChosenTarget(
  options: TargetOptions,
  surroundings: { readonly workDir: string; readonly signal: AbortSignal },
): Promise<OpenTarget> {
  return askTarget(chooseTarget(options), surroundings);
}

/**
 * Asks a target what it can do.
 *
 * @throws As `openTarget`.
 */
export function askTarget(
  choice: TargetChoice,
  { workDir, signal }: { readonly workDir: string; readonly signal: AbortSignal },
): Promise<OpenTarget> {
  const budget = Budget.start('the target to say what it can do', OPEN_MS, signal);
  return openTarget(choice, { workDir, budget });
}

/** What the plan has to know of a target. */
export function describeTarget({
  limits,
  hardware,
  capacity,
}: OpenTarget): Pick<TargetFacts, 'limits' | 'disks'> & Partial<Pick<TargetFacts, 'memoryMiB'>> {
  if (capacity !== undefined) return { limits, memoryMiB: capacity.availableMiB };
  if (hardware === undefined) return { limits };
  const disks = new Map([...hardware.host.disks].map(([name, { sizeBytes }]) => [name, sizeBytes]));
  return { limits, disks, memoryMiB: hardware.facts.memoryMiB };
}

/**
 * Keeps other runs of this host away from a real machine.
 *
 * @throws {HarnessError} HOST_UNFIT when one is at it.
 */
export async function reserveHardware(
  { address, port }: HardwareHost,
  { workDir, signal }: { readonly workDir: string; readonly signal: AbortSignal },
): Promise<Lock> {
  const file = path.join(workDir, `machine-${address.replaceAll(/[^A-Za-z0-9.-]/g, '_')}-${String(port)}`);
  const lock = await tryTakeLock(file, Budget.start('the machine to be free', OPEN_MS, signal));
  if (lock !== undefined) return lock;
  throw new HarnessError('HOST_UNFIT', `Another imperm is at work on ${address}`);
}

/** The options with which a target is asked for again. */
export function renderTarget(choice: TargetChoice): string[] {
  if (choice.kind === 'qemu') return [];
  if (choice.kind === 'hardware') return ['--target hardware', `--host ${choice.file}`];
  return ['--target libvirt', ...(choice.uri === DEFAULT_URI ? [] : [`--connect ${choice.uri}`])];
}

/** Ends and removes what dead runs of this user left, at libvirts too, and only that. */
export function reap(workDir: string, signal: AbortSignal): Promise<ReapResult> {
  return reapLeases(workDir, (uri) => reapLibvirt(uri, signal));
}

/**
 * Ends what dead runs of this user left at a libvirt, also when nothing of them is left on the disk.
 *
 * @returns How many machines it has ended.
 */
export function reapLibvirt(uri: string, signal: AbortSignal): Promise<number> {
  return reapDomains(new Virsh(uri), Budget.start(`libvirt at ${uri}`, REAP_MS, signal));
}

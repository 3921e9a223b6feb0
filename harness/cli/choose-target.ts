import { Budget, HarnessError, reapLeases, type ReapResult } from '../core/index.js';
import { openTarget, type OpenTarget, reapDomains, type TargetChoice, Virsh } from '../target/index.js';
import type { TargetOptions } from './options.js';

const DEFAULT_URI = 'qemu:///system';
/** Asking what it can do. */
const OPEN_MS = 60_000;
/** One libvirt, asked for what it has left of us. */
const REAP_MS = 60_000;

/**
 * The target that the command line asks for.
 *
 * @throws {HarnessError} USAGE when there is an address and nobody to ask at it.
 */
export function chooseTarget({ target = 'qemu', connect }: TargetOptions): TargetChoice {
  if (target === 'libvirt') return { kind: 'libvirt', uri: connect ?? DEFAULT_URI };
  if (connect === undefined) return { kind: 'qemu' };
  throw new HarnessError('USAGE', '--connect is the address of libvirt, and goes with --target libvirt');
}

/**
 * The target that the command line asks for, asked what it can do.
 *
 * @throws As `openTarget` and `chooseTarget`.
 */
export function openChosenTarget(
  options: TargetOptions,
  { workDir, signal }: { readonly workDir: string; readonly signal: AbortSignal },
): Promise<OpenTarget> {
  const budget = Budget.start('the target to say what it can do', OPEN_MS, signal);
  return openTarget(chooseTarget(options), { workDir, budget });
}

/** The options with which that target is asked for again. */
export function renderTarget(options: TargetOptions): string[] {
  const choice = chooseTarget(options);
  if (choice.kind === 'qemu') return [];
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

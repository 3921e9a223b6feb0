import type { ConsoleAllowance } from '../scenario/index.js';

/** A kind of failure that shows on a console. */
export interface ConsoleClass {
  readonly name: string;
  /** For people: what has happened. */
  readonly description: string;
  readonly pattern: RegExp;
  /** `fatal`: the machine will not come up any more, and nobody needs to wait. `fail`: it shows something broken. */
  readonly severity: 'fatal' | 'fail';
}

const fatal = (name: string, description: string, pattern: RegExp): ConsoleClass => ({
  name,
  description,
  pattern,
  severity: 'fatal',
});
const fail = (name: string, description: string, pattern: RegExp): ConsoleClass => ({
  name,
  description,
  pattern,
  severity: 'fail',
});

/** In the order in which they are tried: the first that fits names the line. */
export const CONSOLE_CLASSES: readonly ConsoleClass[] = [
  fatal('kernel-panic', 'the kernel panicked', /Kernel panic - not syncing/),
  fatal(
    'emergency-shell',
    'the boot ended in an emergency shell',
    /You are in emergency mode|Reached target emergency\.target|Press Enter for emergency shell|Entering emergency mode/i,
  ),
  fatal(
    'stage1-failed',
    "NixOS's scripted stage 1 gave up",
    /An error occurred in stage 1 of the boot process/,
  ),
  fatal(
    'switch-root-failed',
    'the new root cannot be started',
    /Failed to switch root|Switch root target contains no usable init|Failed to start initrd-switch-root/,
  ),
  fatal(
    'no-boot-option',
    'the firmware found nothing to boot',
    /BdsDxe: (?:failed to load|No bootable option)|^Shell> |EFI Internal Shell/,
  ),
  fatal(
    'boot-loader',
    'the boot loader could not load its entry',
    /^(?:Error (?:loading|opening|reading)|Failed to (?:load|open) )[^\n]*(?:efi|EFI|initrd|linux)/,
  ),
  fail('kernel-oops', 'the kernel hit a bug', /\b(?:Oops|BUG): |general protection fault/),
  fail('kernel-warning', 'the kernel warned about itself', /WARNING: CPU: \d+ PID: \d+/),
  fail('out-of-memory', 'memory ran out', /invoked oom-killer|Out of memory: Killed process/),
  fail(
    'btrfs-error',
    'btrfs found damage',
    /BTRFS (?:error|critical|warning)[^\n]*(?:checksum|csum|transid|corrupt|error)|BTRFS critical/i,
  ),
  fail('ext4-error', 'ext4 found damage', /EXT4-fs error|EXT4-fs \([^)]*\): delayed block allocation failed/),
  fail('io-error', 'a disk does not answer', /I\/O error, dev |rejecting I\/O to offline device/),
  fail(
    'luks-failed',
    'a LUKS device was not unlocked',
    /Failed to (?:activate|unlock) |No key available with this passphrase|Too many attempts to activate/,
  ),
  fail('device-timeout', 'a device did not appear', /Timed out waiting for device/),
  fail(
    'dependency-failed',
    'something could not start because what it needs failed',
    /\[DEPEND\]|Dependency failed for/,
  ),
  fail(
    'unmount-failed',
    'a file system could not be unmounted',
    /\[FAILED\][^\n]*Failed unmounting|Failed unmounting /,
  ),
  fail('unit-failed', 'a unit failed', /\[FAILED\]/),
  fail('ordering-cycle', 'units wait for each other', /ordering cycle/i),
  fail('crash', 'a program crashed', /segfault at |dumped core|status=11\/SEGV/),
];

export interface ConsoleFinding {
  readonly class: string;
  readonly severity: ConsoleClass['severity'];
  /** "the kernel panicked: <line>" */
  readonly text: string;
  readonly atMs: number;
  /** The reason why the scenario allows it. */
  readonly allowed?: string;
}

/** Looks at every line of a machine's console and keeps what is a failure. */
export class ConsoleWatch {
  readonly findings: ConsoleFinding[] = [];
  readonly #allow: readonly ConsoleAllowance[];

  constructor(allow: readonly ConsoleAllowance[]) {
    this.#allow = allow;
  }

  /** @returns What the line shows, if it shows a failure. */
  see(line: { readonly atMs: number; readonly text: string }): ConsoleFinding | undefined {
    const found = CONSOLE_CLASSES.find(({ pattern }) => pattern.test(line.text));
    if (found === undefined) return undefined;
    const allowed = this.#allow.find(
      (entry) => entry.class === found.name && (entry.match === undefined || line.text.includes(entry.match)),
    );
    const finding = {
      class: found.name,
      severity: found.severity,
      text: `${found.description}: ${line.text}`,
      atMs: line.atMs,
      ...(allowed === undefined ? {} : { allowed: allowed.reason }),
    };
    this.findings.push(finding);
    return finding;
  }
}

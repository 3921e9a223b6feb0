import type { ConsoleAllowance, ConsoleClassName } from '../scenario/index.js';

/** A kind of failure that shows on a console. */
export interface ConsoleClass {
  readonly name: ConsoleClassName;
  /** For people: what has happened. */
  readonly description: string;
  readonly pattern: RegExp;
  /** `fatal`: the machine will not come up any more, and nobody needs to wait. `fail`: it shows something broken. */
  readonly severity: 'fatal' | 'fail';
}

function fatal(name: ConsoleClassName, description: string, pattern: RegExp): ConsoleClass {
  return { name, description, pattern, severity: 'fatal' };
}

function fail(name: ConsoleClassName, description: string, pattern: RegExp): ConsoleClass {
  return { name, description, pattern, severity: 'fail' };
}

/**
 * The kernel's own words: right behind its time stamp, or at the beginning of a line when it prints none. Programs
 * whose output goes through the kernel's log have their name in between, units their status.
 */
function kernel(words: string): RegExp {
  return new RegExp(String.raw`(?:^|^.*\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? )(?:${words})`);
}

/** systemd's words: behind the status of a unit, or in the kernel's log before there is a journal. */
function systemd(status: string, words: string): RegExp {
  return new RegExp(String.raw`(?:\[${status}\]|systemd\[1\]:) (?:${words})`);
}

/**
 * In the order in which they are tried: the first that fits names the line. All are bound to the place where the words
 * stand in a real line, for units may be called after any failure there is. What only shows a slow machine (lockups,
 * stalls, jobs that take their time) is not among them: it says nothing about a layout.
 */
export const CONSOLE_CLASSES: readonly ConsoleClass[] = [
  fatal('kernel-panic', 'the kernel panicked', kernel('Kernel panic - not syncing')),
  fatal(
    'emergency-shell',
    'the boot ended in an emergency shell',
    /^(?:Please enter .*\((?:press TAB for )?no echo\) )?You are in (?:emergency|rescue) mode|^Press Enter for (?:emergency shell|maintenance)|^Entering emergency mode\.|\[ {2}OK {2}\] (?:Reached target|Started) (?:(?:emergency|rescue)\.(?:target|service)(?: |$)|(?:Emergency|Rescue) (?:Mode|Shell)\.?$)|^ALERT! .*Dropping to a shell!|^\(initramfs\)/,
  ),
  fatal(
    'stage1-failed',
    "NixOS's scripted stage 1 gave up",
    /^An error occurred in stage 1 of the boot process/,
  ),
  fatal(
    'switch-root-failed',
    'the new root cannot be started',
    /\[FAILED\] Failed to start (?:initrd-switch-root\.service|Switch Root\.?$)|systemctl\[\d+\]: Failed to switch root|(?:\[!{4,}\]|systemd\[1\]:) (?:Switch root target contains no usable init|Failed to switch root|Failed to execute \/\S+, giving up)/,
  ),
  fatal('systemd-froze', 'systemd gave up', /\[!{4,}\] |systemd\[1\]: Freezing execution/),
  fatal(
    'no-boot-option',
    'the firmware found nothing to boot',
    /^BdsDxe: No bootable option|^BdsDxe: starting Boot[0-9A-F]{4} "EFI Internal Shell"|^UEFI Interactive Shell v|^Shell>/,
  ),
  fatal('firmware-crash', 'the firmware crashed', /^!!!! \w+ Exception Type - |^Synchronous Exception at 0x/),
  fatal(
    'boot-loader',
    'the boot loader could not load its entry',
    /^(?:[\w./-]+:\d+@\w+: )?(?:Error (?:loading \\|preparing initrd|registering initrd|opening root path)|Failed to execute .* \(\\|No loader found\.)|^(?:\S+: )?systemd-boot: .*halting|^grub(?: rescue)?>/,
  ),
  // Not the end: the firmware goes on to its next entry.
  fail('boot-option', 'an entry of the firmware cannot be booted', /^BdsDxe: failed to (?:load|start) Boot/),
  fail(
    'kernel-oops',
    'the kernel hit a bug',
    kernel('Oops: |BUG: |kernel BUG at |general protection fault[,:]'),
  ),
  fail(
    'kernel-warning',
    'the kernel warned about itself',
    kernel(String.raw`WARNING: (?:CPU: \d+ PID: |\S+:\d+ at )`),
  ),
  fail(
    'kernel-hang',
    'something in the kernel does not go on',
    kernel(String.raw`INFO: task .+ blocked for more than \d+ seconds`),
  ),
  fail(
    'out-of-memory',
    'memory ran out',
    kernel(
      String.raw`[^\s[\]:][^[\]:]* invoked oom-killer: |(?:Memory cgroup out|Out) of memory: Killed process`,
    ),
  ),
  fail(
    'btrfs-error',
    'btrfs found damage',
    kernel(
      String.raw`BTRFS(?:: error \(| (?:error|critical|alert|emergency)\b|: Transaction aborted|: .*forced readonly)|BTRFS info \([^)]*\): (?:forced readonly|bdev .* errs: )|BTRFS warning \([^)]*\): .*(?:csum|checksum|transid|corrupt|failed)`,
    ),
  ),
  fail(
    'ext4-error',
    'ext4 found damage',
    kernel(
      String.raw`EXT4-fs error |EXT4-fs \([^)]*\): (?:error count|delayed block allocation failed|Remounting filesystem read-only|VFS: Can't find)|JBD2: .*(?:error|[Aa]bort)|Aborting journal on device`,
    ),
  ),
  fail('fat-error', 'a FAT file system has damage', kernel(String.raw`FAT-fs \([^)]*\): error, `)),
  fail(
    'io-error',
    'a disk does not answer',
    kernel(
      String.raw`(?:blk_update_request: )?(?:I/O|critical \w+) error, dev |Buffer I/O error on dev|\w+(?: [\d:]+)?: rejecting I/O to (?:offline|dead) device|nvme nvme\d+: (?:controller is down|Removing after probe failure)`,
    ),
  ),
  fail(
    'luks-failed',
    'a LUKS device was not unlocked',
    /systemd-cryptsetup(?:@\S+)?\[\d+\]: (?:Failed to activate|Too many attempts to activate)|\[FAILED\] Failed to start (?:systemd-cryptsetup@|Cryptography Setup for )|^(?:Verifying passphrase for \S+\.\.\.)?(?:No key available with this passphrase| - failure$|Key File \S+ failed!|cryptsetup: ERROR: |Device \S+ is not a valid LUKS device)/,
  ),
  fail(
    'device-timeout',
    'a device did not appear',
    /(?:^|\[ TIME \] |systemd\[1\]: )Timed out waiting for device/,
  ),
  fail(
    'dependency-failed',
    'something could not start because what it needs failed',
    systemd('DEPEND', 'Dependency failed for '),
  ),
  fail(
    'unmount-failed',
    'a file system could not be unmounted',
    /(?:\[FAILED\]|systemd\[1\]:) Failed unmounting |\[ TIME \] Timed out unmounting |systemd-shutdown\[1\]: (?:Failed to unmount|Could not unmount|Unable to finalize remaining file systems)/,
  ),
  fail(
    'stop-timeout',
    'something did not end when it was told to',
    /\[ TIME \] Timed out stopping |systemd\[1\]: \S+: State '(?:stop|final)-\w+' timed out/,
  ),
  fail(
    'ordering-cycle',
    'units wait for each other, and one was left out',
    /\[ SKIP \] Ordering cycle found|systemd\[1\]: \S+: (?:Found ordering cycle|Job \S+ deleted to break ordering cycle)/,
  ),
  // The one that is left out fails on every machine without AF_VSOCK, and nobody misses what it makes.
  fail(
    'generator-failed',
    'a systemd generator failed',
    /\/(?:system|user)-generators\/(?!systemd-ssh-generator )\S+ (?:failed with exit status|terminated by signal)/,
  ),
  fail(
    'unit-failed',
    'a unit failed',
    /\[FAILED\] |\[ASSERT\] |\[ TIME \] |systemd\[1\]: Failed to (?:start|mount) /,
  ),
  fail(
    'crash',
    'a program crashed',
    /\[\d+\]: segfault at [0-9a-f]+ ip |\btraps: .+\[\d+\] (?:trap |general protection)|systemd-coredump\[\d+\]: .*dumped core|systemd\[1\]: \S+: Main process exited, code=dumped/,
  ),
];

/** A line that shows a failure. */
export interface ConsoleFinding {
  readonly class: ConsoleClassName;
  readonly severity: ConsoleClass['severity'];
  /** "the kernel panicked: <line>" */
  readonly text: string;
  /** The reason why the scenario allows it. */
  readonly allowed?: string;
}

/**
 * Whether a line of a console shows a failure.
 *
 * @param line Without time and control characters.
 * @param allow What the scenario declares to be harmless.
 * @returns Nothing for a line that shows none.
 */
export function judgeConsoleLine(
  line: string,
  allow: readonly ConsoleAllowance[],
): ConsoleFinding | undefined {
  const found = CONSOLE_CLASSES.find(({ pattern }) => pattern.test(line));
  if (found === undefined) return undefined;
  const allowed = allow.find(
    (entry) => entry.class === found.name && (entry.match === undefined || line.includes(entry.match)),
  );
  return {
    class: found.name,
    severity: found.severity,
    text: `${found.description}: ${line}`,
    ...(allowed === undefined ? {} : { allowed: allowed.reason }),
  };
}

/** Looks at every line of a machine's console and keeps what is a failure. */
export class ConsoleWatch {
  readonly findings: ConsoleFinding[] = [];
  readonly #allow: readonly ConsoleAllowance[];

  constructor(allow: readonly ConsoleAllowance[]) {
    this.#allow = allow;
  }

  /** @returns What the line shows, if it shows a failure. */
  see(line: { readonly text: string }): ConsoleFinding | undefined {
    const finding = judgeConsoleLine(line.text, this.#allow);
    if (finding !== undefined) this.findings.push(finding);
    return finding;
  }
}

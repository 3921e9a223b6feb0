// Every class with lines as machines print them, and lines that only look like a failure.
import t from 'tap';

import { CONSOLE_CLASS_NAMES, type ConsoleAllowance } from '../scenario/index.js';
import { CONSOLE_CLASSES, ConsoleWatch, judgeConsoleLine } from './console-classes.js';

const REAL: Readonly<Record<string, readonly string[]>> = {
  'kernel-panic': [
    '[    4.121837] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
    '[    9.873001][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100',
    'Kernel panic - not syncing: No working init found.',
    'Please enter passphrase for disk cryptfs: (press TAB for no echo) [   11.2] Kernel panic - not syncing: hung_task: blocked tasks',
  ],
  'emergency-shell': [
    'You are in emergency mode. Cannot open access to console, the root account is locked.',
    'Please enter passphrase for disk cryptfs: (press TAB for no echo) You are in emergency mode. Cannot open access to console',
    'Please enter passphrase for disk cryptfs:                         (no echo) You are in emergency mode. Cannot open access to console',
    'You are in emergency mode. After logging in, type "journalctl -xb" to view',
    'You are in rescue mode. After logging in, type "journalctl -xb" to view',
    '[  OK  ] Reached target emergency.target - Emergency Mode.',
    '[  OK  ] Reached target Emergency Mode.',
    '[  OK  ] Started emergency.service - Emergency Shell.',
    'Press Enter for maintenance',
    'Entering emergency mode. Exit the shell to continue.',
    'ALERT!  /dev/mapper/enc does not exist.  Dropping to a shell!',
    '(initramfs)',
  ],
  'stage1-failed': [
    'An error occurred in stage 1 of the boot process, which must mount the',
    'An error occurred in stage 1 of the boot process, which has to mount the',
  ],
  'switch-root-failed': [
    '[FAILED] Failed to start initrd-switch-root.service - Switch Root.',
    '[FAILED] Failed to start Switch Root.',
    '[!!!!!!] Switch root target contains no usable init.',
    "[   12.004411] systemctl[381]: Failed to switch root: Specified switch root path '/sysroot' does not seem to be an OS tree. os-release file is missing.",
    '[   12.3] systemd[1]: Failed to execute /bin/sh, giving up: No such file or directory',
  ],
  'systemd-froze': [
    '[!!!!!!] Failed to mount API filesystems.',
    '[    2.310000] systemd[1]: Freezing execution.',
  ],
  'no-boot-option': [
    'BdsDxe: No bootable option or device was found.',
    'BdsDxe: starting Boot0003 "EFI Internal Shell" from Fv(7CB8BDC9-F8EB-4F34-AAEA-3EE4AF6516A1)/FvFile(7C04A583-9E3E-4F1C-AD65-E05268D0B4D1)',
    'UEFI Interactive Shell v2.2',
    'Shell>',
  ],
  'firmware-crash': ['!!!! X64 Exception Type - 0E(#PF - Page-Fault)  CPU Apic ID - 00000000 !!!!'],
  'boot-loader': [
    'src/boot/boot.c:2456@image_start: Error loading \\EFI\\nixos\\abc-linux.efi: Not found',
    '../src/boot/boot.c:2448@image_start: Error preparing initrd: Not found',
    'Error loading \\EFI\\nixos\\6126kaj2jq-linux-bzImage.efi: Unsupported',
    'src/boot/boot.c:2871@run: No loader found. Configuration files in \\loader\\entries\\*.conf are needed.',
    'systemd-boot: Unknown error, halting.',
    'grub rescue>',
  ],
  'boot-option': [
    'BdsDxe: failed to load Boot0001 "Linux Boot Manager" from HD(1,GPT,54CD066D-879C-4AF3-A83C-D8AD40D944C2,0x800,0x100000)/\\EFI\\systemd\\systemd-bootx64.efi: Not Found',
  ],
  'kernel-oops': [
    '[   20.1] Oops: 0000 [#1] PREEMPT SMP PTI',
    '[   20.1] BUG: kernel NULL pointer dereference, address: 0000000000000008',
    '[   20.1] kernel BUG at fs/btrfs/inode.c:3120!',
    '[   20.1] general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1]',
  ],
  'kernel-warning': [
    '[   31.004] WARNING: CPU: 1 PID: 431 at fs/btrfs/transaction.c:144 btrfs_put_transaction+0x121/0x130 [btrfs]',
    '[   31.004] WARNING: fs/btrfs/transaction.c:144 at btrfs_put_transaction+0x121/0x130, CPU#1: umount/431',
  ],
  'kernel-hang': ['[  246.1] INFO: task btrfs-transacti:312 blocked for more than 120 seconds.'],
  'out-of-memory': [
    '[   88.8] nix-daemon invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0',
    '[   88.8] Out of memory: Killed process 812 (nix-daemon) total-vm:912312kB, anon-rss:0kB',
  ],
  'btrfs-error': [
    '[   10.2] BTRFS error (device dm-0): parent transid verify failed on logical 30621696 mirror 1 wanted 10 found 9',
    '[   10.2] BTRFS critical (device dm-0): corrupt leaf: root=5 block=30408704 slot=0, invalid key',
    '[   10.2] BTRFS warning (device dm-0): csum failed root 256 ino 257 off 0 csum 0x98f94189 expected csum 0x00000000 mirror 1',
    '[   10.2] BTRFS: error (device dm-0) in btrfs_commit_transaction:2523: errno=-5 IO failure',
    '[   10.2] BTRFS info (device dm-0 state E): forced readonly',
    '[   10.2] BTRFS info (device dm-0): bdev /dev/mapper/cryptfs errs: wr 0, rd 0, flush 0, corrupt 2, gen 0',
  ],
  'ext4-error': [
    '[    9.1] EXT4-fs error (device dm-0): ext4_lookup:1858: inode #2: comm systemd: deleted inode referenced: 12',
    "[    9.1] EXT4-fs (dm-0): VFS: Can't find ext4 filesystem",
    '[    9.1] EXT4-fs (dm-0): error count since last fsck: 3',
    '[    9.1] Aborting journal on device dm-0-8.',
  ],
  'fat-error': ['[   15.0] FAT-fs (vda1): error, fat_get_cluster: invalid cluster chain (i_pos 1234)'],
  'io-error': [
    '[    7.7] I/O error, dev vda, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2',
    '[    7.7] blk_update_request: I/O error, dev vda, sector 2048',
    '[    7.7] Buffer I/O error on dev dm-0, logical block 0, async page read',
    '[    7.7] sd 0:0:0:0: rejecting I/O to offline device',
  ],
  'luks-failed': [
    '[FAILED] Failed to start systemd-cryptsetup@cryptfs.service - Cryptography Setup for cryptfs.',
    '[FAILED] Failed to start systemd-cryptsetup@cry…e - Cryptography Setup for cryptfs.',
    '[    9.9] systemd-cryptsetup[310]: Failed to activate with specified passphrase. (Passphrase incorrect?)',
    '[    9.9] systemd-cryptsetup[310]: Too many attempts to activate; giving up.',
    'No key available with this passphrase.',
    'Verifying passphrase for /dev/disk/by-partlabel/cryptfs...No key available with this passphrase.',
    'Verifying passphrase for /dev/vda3... - failure',
    'Key File /crypto_keyfile.bin failed!',
    'cryptsetup: ERROR: enc: maximum number of tries exceeded',
  ],
  'device-timeout': [
    '[ TIME ] Timed out waiting for device dev-disk-by\\x2dpar… - /dev/disk/by-partlabel/cryptfs.',
    '[   90.1] systemd[1]: Timed out waiting for device dev-mapper-enc.device - /dev/mapper/enc.',
    'Timed out waiting for device /dev/mapper/enc, trying to mount anyway.',
  ],
  'dependency-failed': [
    '[DEPEND] Dependency failed for initrd.target - Initrd Default Target.',
    '[DEPEND] Dependency failed for sysroot.mount - /sysroot.',
    '[   90.1] systemd[1]: Dependency failed for persist.mount - /persist.',
  ],
  'unmount-failed': [
    '[FAILED] Failed unmounting nix.mount - /nix.',
    '[FAILED] Failed unmounting /nix.',
    '[ TIME ] Timed out unmounting persist.mount - /persist.',
    '[   61.3] systemd-shutdown[1]: Failed to unmount /oldroot/nix: Device or resource busy',
    '[   61.3] systemd-shutdown[1]: Unable to finalize remaining file systems, DM devices, ignoring.',
  ],
  'stop-timeout': [
    '[ TIME ] Timed out stopping user@1000.service - User Manager for UID 1000.',
    "[  150.1] systemd[1]: sshd.service: State 'stop-sigterm' timed out. Killing.",
  ],
  'ordering-cycle': [
    '[ SKIP ] Ordering cycle found, skipping rollback.service - Rollback.',
    '[    5.1] systemd[1]: sysroot.mount: Found ordering cycle on rollback.service/start',
    '[    5.1] systemd[1]: sysroot.mount: Job rollback.service/start deleted to break ordering cycle starting with sysroot.mount/start',
  ],
  'generator-failed': [
    '[    5.3] (sd-exec-[175]: /usr/lib/systemd/system-generators/systemd-fstab-generator failed with exit status 1.',
  ],
  'unit-failed': [
    '[FAILED] Failed to start initrd-nixos-activation.service - NixOS Activation.',
    '[FAILED] Failed to mount persist.mount - /persist.',
    '[FAILED] Failed to activate swap dev-disk-by\\x2dpart…swap - /dev/disk/by-partlabel/swap.',
    '[ TIME ] Timed out starting rollback.service - Rollback.',
    '[ASSERT] Assertion failed for etc-nixos.mount - /etc/nixos.',
    '[    9.2] systemd[1]: Failed to start rollback.service - Rollback BTRFS root subvolume to a pristine state.',
  ],
  crash: [
    '[   40.1] sshd[501]: segfault at 0 ip 000055d0c0a4 sp 00007ffd error 4 in sshd[55d0c0+1000]',
    '[   40.1] traps: btrfs[320] trap invalid opcode ip:55d0c0 sp:7ffd error:0 in btrfs[55d0+1000]',
    '[   40.1] systemd-coredump[611]: Process 501 (sshd) of user 0 dumped core.',
    '[   40.1] systemd[1]: sshd.service: Main process exited, code=dumped, status=11/SEGV',
  ],
};

/** From boots in which nothing went wrong, and lines that hold the words of a failure and are none. */
const HARMLESS = [
  'BdsDxe: loading Boot0001 "Linux Boot Manager" from HD(1,GPT,54CD066D-879C-4AF3-A83C-D8AD40D944C2,0x800,0x100000)/\\EFI\\systemd\\systemd-bootx64.efi',
  'BdsDxe: starting Boot0001 "Linux Boot Manager" from HD(1,GPT,54CD066D-879C-4AF3-A83C-D8AD40D944C2,0x800,0x100000)/\\EFI\\systemd\\systemd-bootx64.efi',
  'EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path',
  '[    0.2] random: crng reseeded due to virtual machine fork',
  '[    9.9] BTRFS info (device dm-0): using crc32c (crc32c-intel) checksum algorithm',
  '[    9.9] BTRFS: device fsid 62ed6d71-44d5-4bb9-94f0-74dacf648ac4 devid 1 transid 12 /dev/mapper/cryptfs (254:0) scanned by mount (400)',
  '[    9.9] BTRFS info (device dm-0): checking UUID tree',
  '[    9.9] EXT4-fs (dm-0): mounted filesystem 62ed6d71-44d5-4bb9-94f0-74dacf648ac4 r/w with ordered data mode. Quota mode: none.',
  '[    9.9] EXT4-fs (dm-0): recovery complete',
  '[    9.9] FAT-fs (vda1): Volume was not properly unmounted. Some data may be corrupt. Please run fsck.',
  '[   34.818321] systemd-shutdown[1]: Unable to finalize remaining DM devices, ignoring.',
  '[    5.3] (sd-exec-[175]: /usr/lib/systemd/system-generators/systemd-ssh-generator failed with exit status 1.',
  '[   60.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [kworker/0:1:12]',
  '[   60.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
  'Please enter passphrase for disk cryptfs: (press TAB for no echo)',
  '         Starting emergency-notes.service - Notes for those in emergency mode...',
  '[  OK  ] Started emergency.service-watch.service - Watches the emergency shell.',
  '[  OK  ] Stopped target initrd-root-device.target - Initrd Root Device.',
  '[  OK  ] Finished systemd-fsck@dev-disk-by\\…heck on /dev/disk/by-partlabel/ESP.',
  '[  OK  ] Unmounted nix.mount - /nix.',
  '[   23.1] rollback-start[330]: Deleting subvolume /mnt/root',
  '[   23.1] logger[400]: BTRFS error (device dm-0): quoted from somewhere else',
  'Debian GNU/Linux 13 imperm ttyS0',
  'imperm login:',
  '',
];

void t.test('every class names its own lines', (t) => {
  t.strictSame(Object.keys(REAL).sort(), CONSOLE_CLASSES.map(({ name }) => name).sort(), 'each has lines');
  for (const [name, lines] of Object.entries(REAL)) {
    for (const line of lines) t.equal(judgeConsoleLine(line, [])?.class, name, line);
  }
  t.end();
});

void t.test('what is no failure is not taken for one', (t) => {
  for (const line of HARMLESS) t.equal(judgeConsoleLine(line, []), undefined, line);
  t.end();
});

void t.test('a unit may be called after any failure', (t) => {
  const words = Object.values(REAL)
    .flat()
    .map((line) => line.replace(/^(?:\[[^\]]*\](?: \S+\[\d+\]:)? ?)+/, ''))
    .filter(
      (text) => !/\[[ !A-Z]{6}\]|\[\s*[\d.]+\]|\[\d+\]:|-generators\/|systemd\[1\]|^segfault/.test(text),
    );
  t.ok(words.length > 40, 'there is something to call it after');
  for (const text of words) {
    for (const line of [
      `         Starting report.service - ${text}...`,
      `[  OK  ] Started report.service - ${text}.`,
      `[   12.345678] systemd[1]: Finished report.service - ${text}.`,
      `[   12.345678] report[123]: ${text}`,
    ]) {
      t.equal(judgeConsoleLine(line, []), undefined, line);
    }
  }
  t.end();
});

void t.test('a wait ends at once only for a machine that will not come up', (t) => {
  const severities = (severity: string): string[] =>
    CONSOLE_CLASSES.filter((each) => each.severity === severity).map(({ name }) => name);
  t.strictSame(severities('fatal'), [
    'kernel-panic',
    'emergency-shell',
    'stage1-failed',
    'switch-root-failed',
    'systemd-froze',
    'no-boot-option',
    'firmware-crash',
    'boot-loader',
  ]);
  t.equal(severities('fail').length, CONSOLE_CLASSES.length - 8);
  t.end();
});

void t.test('every class can be named in a scenario, and only once', (t) => {
  t.strictSame(
    CONSOLE_CLASSES.map(({ name }) => name),
    [...CONSOLE_CLASS_NAMES],
  );
  t.end();
});

void t.test('a scenario allows a class, or the lines of it that hold a text', (t) => {
  const place = { file: 'scenario.yaml', line: 1, col: 1 };
  const nix: ConsoleAllowance = {
    class: 'unmount-failed',
    match: ' /nix.',
    reason: 'busy until the end',
    place,
  };
  const watch = new ConsoleWatch([nix]);
  const see = (text: string): string | undefined => watch.see({ text })?.allowed;
  t.equal(see('[FAILED] Failed unmounting nix.mount - /nix.'), 'busy until the end');
  t.equal(see('[FAILED] Failed unmounting persist.mount - /persist.'), undefined);
  t.equal(see('[FAILED] Failed to mount nix.mount - /nix.'), undefined, 'another class');
  t.equal(see('[  OK  ] Unmounted nix.mount - /nix.'), undefined);
  t.match(watch.findings, [
    { class: 'unmount-failed', allowed: 'busy until the end' },
    {
      class: 'unmount-failed',
      severity: 'fail',
      text: 'a file system could not be unmounted: [FAILED] Failed unmounting persist.mount - /persist.',
    },
    { class: 'unit-failed' },
  ]);
  t.equal(watch.findings.filter(({ allowed }) => allowed === undefined).length, 2);
  const all: ConsoleAllowance = { class: 'kernel-panic', reason: 'on purpose', place };
  t.match(judgeConsoleLine('Kernel panic - not syncing: sysrq', [all]), {
    severity: 'fatal',
    allowed: 'on purpose',
  });
  t.end();
});

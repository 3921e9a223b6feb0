import type { SystemModel } from '../scenario/index.js';

/** Units of systemd's own that stage 1 has, and that something else in it starts. */
const STARTED_UNITS = [
  'initrd.target',
  'initrd-root-device.target',
  'initrd-root-fs.target',
  'initrd-usr-fs.target',
  'initrd-fs.target',
  'initrd-switch-root.target',
  'initrd-cleanup.service',
  'initrd-parse-etc.service',
  'initrd-switch-root.service',
  'initrd-nixos-activation.service',
  'initrd-find-nixos-closure.service',
  'default.target',
  'basic.target',
  'sysinit.target',
  'local-fs.target',
  'cryptsetup.target',
  'swap.target',
  'sockets.target',
  'paths.target',
  'slices.target',
  'timers.target',
  'systemd-udevd.service',
  'systemd-udev-trigger.service',
  'systemd-journald.service',
  'systemd-modules-load.service',
  'systemd-tmpfiles-setup-sysroot.service',
] as const;

/** Others that stage 1 knows: they order, or start only when something asks. */
const OTHER_UNITS = [
  'local-fs-pre.target',
  'cryptsetup-pre.target',
  'remote-fs.target',
  'remote-fs-pre.target',
  'network.target',
  'network-online.target',
  'network-pre.target',
  'remote-cryptsetup.target',
  'veritysetup.target',
  'integritysetup.target',
  'emergency.target',
  'emergency.service',
  'rescue.target',
  'shutdown.target',
  'umount.target',
  'final.target',
  'systemd-hibernate-resume.service',
  'systemd-udev-settle.service',
  'systemd-fsck-root.service',
  'systemd-ask-password-console.service',
  'systemd-ask-password-console.path',
  'systemd-pcrphase-initrd.service',
] as const;

/** Names that something in systemd stage 1 may be ordered by; for near misses. */
export const KNOWN_UNITS: readonly string[] = ['sysroot.mount', ...STARTED_UNITS, ...OTHER_UNITS];

/** Whether something in stage 1 starts a unit, so that what it wants is started, too. */
export function isStartedInStageOne(unit: string, system: SystemModel): boolean {
  return (
    (STARTED_UNITS as readonly string[]).includes(unit) ||
    /^sysroot(-.*)?\.mount$/.test(unit) ||
    unit.endsWith('.device') ||
    system.luks.some((each) => each.unit === unit)
  );
}

/** Mounting the root is over, or the units are part of what comes after it. */
export const AFTER_ROOT_MOUNT: readonly string[] = [
  'sysroot.mount',
  'initrd-root-fs.target',
  'initrd-usr-fs.target',
  'initrd-fs.target',
  'initrd.target',
  'initrd-parse-etc.service',
  'initrd-find-nixos-closure.service',
  'initrd-nixos-activation.service',
  'initrd-cleanup.service',
  'initrd-switch-root.target',
  'initrd-switch-root.service',
];

const COREUTILS =
  '[ arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm coreutils cp csplit cut date dd df dir ' +
  'dircolors dirname du echo env expand expr factor false fmt fold groups head hostid hostname id install join kill link ln ' +
  'logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd ' +
  'readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf ' +
  'stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink uptime users vdir wc who ' +
  'whoami yes';

const BUILTINS =
  '. : [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs disown echo enable eval exec ' +
  'exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd read readarray ' +
  'readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait';

/** What NixOS puts into /bin of systemd stage 1 besides: bash, kmod, systemd's tools, less, mount, umount, fsck. */
const SYSTEMD_STAGE_ONE =
  'bash sh less mount umount fsck kmod lsmod modprobe insmod rmmod depmod modinfo systemctl journalctl udevadm reboot poweroff halt ' +
  'shutdown init swapon swapoff';

const SYSTEMD_TOOLS = new Set(`${COREUTILS} ${BUILTINS} ${SYSTEMD_STAGE_ONE}`.split(' '));

/** Programs of recipes and habits that busybox has no applet for, and that NixOS does not add to scripted stage 1. */
const NOT_IN_SCRIPTED = new Set(
  (
    'findmnt lsblk wipefs sfdisk parted sgdisk jq rsync perl python python3 git nix nixos-enter bash zsh fish gawk ' +
    'systemctl journalctl systemd-cat systemd-run systemd-escape systemd-notify systemd-tmpfiles systemd-cryptsetup systemd-id128 ' +
    'loginctl networkctl bootctl busctl numfmt shuf stdbuf runuser curl fzf rg fd zfs zpool bcachefs'
  ).split(' '),
);

/** Options that the applet of busybox does not know, and for which it refuses to work. */
const NOT_IN_BUSYBOX: Readonly<Record<string, RegExp>> = {
  mount: /^--(mkdir|bind|rbind|move|source|target|types|options|make-\w+)\b/,
  umount: /^--/,
  find: /^-(printf|fprintf|ls|newermt|newerct|regextype)$/,
  stat: /^--(format|printf)\b/,
};

/**
 * Why a command cannot work in stage 1.
 *
 * @param words The command and its arguments, as far as they are known.
 * @returns A part of a sentence whose subject is the command; undefined when nothing is known against it.
 */
export function whyNotThere(words: readonly string[], system: SystemModel): string | undefined {
  const [name = '', ...args] = words;
  // A path or a variable says nothing.
  if (!/^[a-zA-Z[.:][\w.+[-]*$/.test(name)) return undefined;
  const early = system.fileSystems.filter(({ neededForBoot }) => neededForBoot);
  if (/^(btrfs(ck)?|mkfs\.btrfs|btrfs-\w+|btrfstune)$/.test(name)) {
    if (early.some(({ fsType }) => fsType === 'btrfs')) return undefined;
    return 'is brought by NixOS only where a file system that stage 1 mounts is btrfs';
  }
  if (system.stage1 === 'systemd') {
    // Also brought along by file systems and devices.
    if (SYSTEMD_TOOLS.has(name) || /^(systemd-|mount\.|fsck\.|mkfs\.|e2)/.test(name)) return undefined;
    return 'is not in the PATH of systemd stage 1: NixOS puts bash, coreutils, kmod, mount, umount and systemd there, and nothing else';
  }
  if (name === 'cryptsetup')
    return system.luks.length > 0 ? undefined : 'is brought by NixOS only where stage 1 opens a LUKS device';
  if (NOT_IN_SCRIPTED.has(name))
    return 'is not in scripted stage 1: NixOS has busybox there, and few programs besides';
  const option = args.find((arg) => NOT_IN_BUSYBOX[name]?.test(arg) === true);
  return option === undefined ? undefined : `of scripted stage 1 is that of busybox, and knows no ${option}`;
}

import { quote } from '../core/index.js';
import type { GuestImages } from './images.js';
import type { Payload } from './payload.js';
import { renderSecureBootScript } from './secure-boot-script.js';

/** Where the installer keeps what the harness gives it. */
export const INSTALLER_DIR = '/run/imperm';

/** NixOS reads scripted stage 1 with both shells when it is built, commands of the configuration included. */
const CHECK_STAGE_ONE = `for shell in bash 'busybox ash'; do
  complaint=$(cpio --quiet --to-stdout -i init <${INSTALLER_DIR}/stage-one | $shell -n 2>&1) || fail "scripted stage 1 is no script that $shell can read, with the commands of the configuration in it: $complaint"
done
`;

/** The boot entry's file, below loader/entries. */
export const ENTRY_FILE = 'nixos-generation-1.conf';
/** Settings of systemd-boot. */
export const LOADER_CONF = `timeout 0\ndefault ${ENTRY_FILE}\neditor 0\nconsole-mode keep\n`;

/**
 * What `nixos-install` does, for the system made of Debian packages: checks the mounts below /mnt, fills the store,
 * sets the profile, installs systemd-boot with its entry in the firmware's variables. Runs in the installer after the
 * scenario's own script. `payload.tar` and `stage-one` lie in the installer's
 * folder.
 *
 * @param options.archive The archive of the base, in the installer.
 * @param options.espMountPoint Where the scenario mounts the EFI system partition.
 * @param options.secureBoot The firmware is to start only what is signed.
 */
export function renderInstallScript(
  images: GuestImages,
  payload: Payload,
  options: { readonly archive: string; readonly espMountPoint: string; readonly secureBoot: boolean },
): string {
  const esp = `/mnt${options.espMountPoint}`;
  const signed = options.secureBoot
    ? renderSecureBootScript({ folder: INSTALLER_DIR, esp, kernel: `EFI/nixos/${payload.bootFiles.kernel}` })
    : undefined;
  const bootctl = ['bootctl', `--esp-path=${quote(esp)}`, '--no-pager', '--make-entry-directory=no'];
  bootctl.push('--random-seed=no', ...(signed?.bootctlOptions ?? []));
  return `set -eu
fail() { echo "imperm: $*" >&2; exit 1; }
[ -d /mnt/nix ] && [ "$(findmnt -no TARGET --target /mnt/nix)" != / ] || fail "nothing is mounted at /mnt: the install script has to mount the new system there"
case $(stat -c '%U:%G %A' /mnt) in 'root:root drwx'??x*x) ;; *) fail "/mnt must belong to root:root and be open to others (mode 755)";; esac
${payload.stageOneIsScript ? CHECK_STAGE_ONE : ''}[ "$(findmnt -no FSTYPE ${quote(esp)})" = vfat ] || fail "the EFI system partition is not mounted at ${esp}"
mkdir -p /mnt/nix/store /mnt/etc ${quote(`/mnt${images.system.path}`)}
tar -xf ${options.archive} -C ${quote(`/mnt${images.system.path}`)}
tar -xf ${INSTALLER_DIR}/payload.tar -C /mnt
touch /mnt/etc/NIXOS
mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
${signed?.makeKeys ?? ''}${bootctl.join(' ')} install 2>&1
mkdir -p ${quote(`${esp}/EFI/nixos`)} ${quote(`${esp}/loader/entries`)}
cp ${quote(`/mnt${images.system.path}/boot/vmlinuz`)} ${quote(`${esp}/EFI/nixos/${payload.bootFiles.kernel}`)}
cp ${quote(`/mnt${images.system.path}/boot/${payload.stageOneImage}`)} ${quote(`${esp}/EFI/nixos/${payload.bootFiles.initrd}`)}
${payload.bootFiles.more.map(({ source, name }) => `cp ${quote(`/mnt${images.system.path}/boot/${source}`)} ${quote(`${esp}/EFI/nixos/${name}`)}\n`).join('')}cp ${INSTALLER_DIR}/stage-one ${quote(`${esp}/EFI/nixos/${payload.bootFiles.stageOne}`)}
printf %s ${quote(payload.bootEntry)} >${quote(`${esp}/loader/entries/${ENTRY_FILE}`)}
printf %s ${quote(`${LOADER_CONF}${signed?.loaderConf ?? ''}`)} >${quote(`${esp}/loader/loader.conf`)}
${signed?.sign ?? ''}`;
}

/** Lets go of the disk in good order: everything that the install script mounted or opened. */
export const CLOSE_DISK_SCRIPT = `set -u
sync
umount -R /mnt 2>/dev/null || umount -R -l /mnt 2>/dev/null || true
swapoff -a
# Without any, it says so in a line that has no tab.
for mapped in $(dmsetup ls --target crypt 2>/dev/null | sed -n 's/\\t.*//p'); do cryptsetup close "$mapped" || exit 1; done
sync
`;

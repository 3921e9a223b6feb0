import { quote } from '../core/index.js';

/** Commands for the installer, which put the boot loader and what it starts on the EFI system partition. */
export interface SecureBootScript {
  /** Makes the keys; comes first. */
  readonly makeKeys: string;
  /** Options of `bootctl install`: the keys go to the EFI system partition, in the form that firmware takes. */
  readonly bootctlOptions: readonly string[];
  /** Signs the boot loader and the kernel; comes when both are in place. */
  readonly sign: string;
  /** More of loader.conf: systemd-boot gives the keys to a firmware that has none, and resets the machine. */
  readonly loaderConf: string;
}

/**
 * What lanzaboote does in the place of NixOS's own systemd-boot (`boot.lanzaboote.autoEnrollKeys`): keys of one's own,
 * given to the firmware in the first boot, and a signed boot loader. One pair of keys is owner's, exchange and signing
 * key, as `bootctl` makes them; it lives in the installer's memory and is gone with it. Signed are the boot loader and
 * the kernel; lanzaboote's stub knows the digest of the initrd besides.
 *
 * @param options.folder Of the installer's, in memory.
 * @param options.esp Where the EFI system partition is mounted in the installer.
 * @param options.kernel Path of the kernel on it, from its root.
 */
export function renderSecureBootScript(options: {
  readonly folder: string;
  readonly esp: string;
  readonly kernel: string;
}): SecureBootScript {
  const { esp, kernel } = options;
  const key = quote(`${options.folder}/secure-boot.key`);
  const certificate = quote(`${options.folder}/secure-boot.pem`);
  const files = ['EFI/systemd/systemd-bootx64.efi', 'EFI/BOOT/BOOTX64.EFI', kernel];
  return {
    makeKeys: `(umask 077; openssl req -quiet -new -x509 -newkey rsa:2048 -noenc -days 3650 -subj '/CN=imperm Secure Boot' -keyout ${key} -out ${certificate})\n`,
    bootctlOptions: ['--secure-boot-auto-enroll=yes', `--certificate=${certificate}`, `--private-key=${key}`],
    sign: files
      .map((file) => quote(`${esp}/${file}`))
      .map((file) => `sbsign --key ${key} --cert ${certificate} --output ${file} ${file}\n`)
      .join(''),
    loaderConf: 'secure-boot-enroll force\n',
  };
}

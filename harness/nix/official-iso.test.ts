// What the driver reads of a medium that others made.
import t from 'tap';

import { parseGrubConfig } from './official-iso.js';

/** In the form of NixOS's media: a menu, hidden entries, serial consoles in a submenu. */
const CONFIG = `set timeout=10
search --set=root --file /EFI/nixos-installer-image
if [ "\${grub_platform}" = "efi" ]; then set x=1; fi
menuentry 'NixOS 26.05 Installer (Linux 6.18)'  --class installer {
  # Fallback to UEFI console for boot.
  terminal_output console
  linux /boot/nix/store/a-linux-6.18/bzImage \${isoboot} init=/nix/store/b-nixos-system/init  root=LABEL=nixos-minimal-26.05-x86_64 boot.shell_on_fail loglevel=4
  initrd /boot/nix/store/c-initrd-linux/initrd
}
submenu "Serial console=ttyS0,115200n8" --class serial {
  menuentry 'NixOS serial' { linux /boot/other console=ttyS0,115200n8
  initrd /boot/otherrd
  }
}
`;

t.test('the first entry of a medium, without the words that GRUB fills in', (t) => {
  t.strictSame(parseGrubConfig(CONFIG), {
    kernel: '/boot/nix/store/a-linux-6.18/bzImage',
    initrd: '/boot/nix/store/c-initrd-linux/initrd',
    commandLine:
      'init=/nix/store/b-nixos-system/init root=LABEL=nixos-minimal-26.05-x86_64 boot.shell_on_fail loglevel=4',
  });
  t.equal(parseGrubConfig(CONFIG.replaceAll('linux /', 'chainloader /')), undefined, 'nothing to boot');
  t.equal(parseGrubConfig(CONFIG.replaceAll(/^ *initrd .*$/gm, '')), undefined, 'no initrd');
  t.end();
});

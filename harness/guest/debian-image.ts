import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, runProgram } from '../core/index.js';
import type { SystemModel } from '../scenario/index.js';
import { type EspFile, type ImageContent, inImage } from './disk-image.js';
import type { GuestImages } from './images.js';
import { ENTRY_FILE, LOADER_CONF } from './install-script.js';
import type { Payload } from './payload.js';

/** Where the base has the boot loader. */
const SYSTEMD_BOOT = 'usr/lib/systemd/boot/efi/systemd-bootx64.efi';

/** A system made of Debian packages, as a disk image holds it. */
export function debianImageContent(images: GuestImages, payload: Payload): ImageContent {
  const { bootFiles } = payload;
  return {
    fillNix: async (folder, { scratch, runAsRoot }) => {
      const base = path.join(folder, path.relative('/nix', images.system.path));
      await runAsRoot(['mkdir', base]);
      const extract = ['tar', '--extract', '--same-owner', '--same-permissions', '--numeric-owner'];
      await runAsRoot([...extract, '--file', images.systemTar, '--directory', base]);
      const store = path.join(scratch, 'store.tar');
      await writeFile(store, payload.storeTar);
      await runAsRoot([...extract, '--file', store, '--directory', folder, '--strip-components=1']);
    },
    esp: new Map<string, EspFile>([
      ['EFI/BOOT/BOOTX64.EFI', { storePath: path.join(images.system.path, SYSTEMD_BOOT) }],
      [`EFI/nixos/${bootFiles.kernel}`, { storePath: `${payload.system}/kernel` }],
      [`EFI/nixos/${bootFiles.initrd}`, { storePath: `${payload.system}/initrd` }],
      [`EFI/nixos/${bootFiles.stageOne}`, { content: payload.stageOne }],
      [`loader/entries/${ENTRY_FILE}`, { content: payload.bootEntry }],
      ['loader/loader.conf', { content: LOADER_CONF }],
    ]),
  };
}

/**
 * What the base itself gives to others than root, on NixOS nothing: programs that are run as a group of the system, and
 * password files.
 *
 * @returns Paths from the top level of the image's btrfs, with owners as numbers.
 */
export async function listForeignOwners(
  system: SystemModel,
  images: GuestImages,
  budget: Budget,
): Promise<readonly { readonly path: string; readonly uid: number; readonly gid: number }[]> {
  const words = ['--list', '--verbose', '--numeric-owner', '--file', images.systemTar];
  const { stdout } = await runProgram('tar', words, { budget });
  const base = inImage(system, images.system.path);
  // -rwxr-sr-x 0/42 113848 2023-11-14 22:13 usr/bin/chage
  return [...stdout.matchAll(/^\S+ (\d+)\/(\d+) +\d+ \S+ \S+ (.+)$/gm)].flatMap(([, uid, gid, file = '']) =>
    Number(uid) + Number(gid) === 0
      ? []
      : [{ path: path.join(base, file), uid: Number(uid), gid: Number(gid) }],
  );
}

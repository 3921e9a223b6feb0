import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { cachedFolder, digestOf, quote } from '../../core/index.js';
import { type GuestImages, makeCpio, readSources, renderRegistration } from '../../guest/index.js';
import { runMmdebstrap } from '../../host/index.js';
import { openTestTools } from '../test-tools.js';
import { type MakeContractOptions, padded, type Place, RELEASE, SOURCES } from './place.js';

const EPOCH = '1700000000';
/** What the medium has beyond the installer, and what its boot loader is made with. */
const PACKAGES = [
  'cpio',
  'dosfstools',
  'grub-common',
  'grub-efi-amd64-bin',
  'mtools',
  'nix-bin',
  'sudo',
  'zstd',
];

/** What all media have in common. @returns A folder with `overlay.cpio.zst` and `efi.img`. */
export async function buildParts(base: GuestImages, options: MakeContractOptions): Promise<string> {
  const { dir } = await cachedFolder({
    cacheDir: options.cacheDir,
    name: 'contract',
    key: digestOf('1', base.installer.key, EPOCH, ...PACKAGES, ...(await readSources(SOURCES))),
    budget: options.budget,
    build: async (part) => {
      const hooks = [
        'mkdir -p "$1/imperm/in"',
        `sync-in ${quote(path.join(SOURCES, 'overlay'))} /imperm/in`,
        `upload ${quote(path.join(SOURCES, 'build-medium.sh'))} /imperm/build-medium.sh`,
        `upload ${quote(path.join(path.dirname(base.installer.initrd), 'packages.txt'))} /imperm/base-packages.txt`,
        'chroot "$1" bash /imperm/build-medium.sh',
        `sync-out /imperm/out ${quote(part)}`,
      ];
      await runMmdebstrap({
        args: [
          ...['--quiet', '--variant=minbase', '--format=null', `--include=${PACKAGES.join(',')}`],
          ...['locale', 'man', 'doc', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
          ...hooks.map((hook) => `--customize-hook=${hook}`),
          ...['trixie', '/dev/null'],
        ],
        mirror: options.mirror,
        budget: options.budget,
        env: { SOURCE_DATE_EPOCH: EPOCH },
      });
    },
  });
  return dir;
}

/** The installer and what makes a medium of NixOS's shape of it, as one initrd. */
export async function joinInitrds(base: GuestImages, parts: string): Promise<Buffer> {
  const installer = await readFile(base.installer.initrd);
  const overlay = await readFile(path.join(parts, 'overlay.cpio.zst'));
  return Buffer.concat([...padded(installer), ...padded(overlay)]);
}

/** The store of a medium: paths with all that Nix has to know of them. */
export async function makeSquashfs(file: string, { paths, store, options }: Place): Promise<string> {
  const registration = path.join(options.folder, 'nix-path-registration');
  await writeFile(registration, renderRegistration([...paths.values()]));
  const sources = [...[...paths.keys()].map((each) => path.join(store, each)), registration];
  const words = ['-all-root', '-no-progress', '-quiet', '-keep-as-directory'];
  const packed = ['-comp', 'zstd', '-Xcompression-level', '1'];
  const tools = await openTestTools(options.budget);
  await tools.run('mksquashfs', [...sources, file, ...words, ...packed]);
  return file;
}

/** What media are made of. */
export interface Medium {
  readonly base: GuestImages;
  readonly initrd: Buffer;
  readonly parts: string;
  readonly options: MakeContractOptions;
  readonly squashfs: string;
}

/** Makes kernel, initrd with the store in it, and command line, as nix/ offers them. */
export async function makeNetboot(folder: string, { base, initrd, squashfs }: Medium): Promise<void> {
  await mkdir(folder);
  await copyFile(base.installer.kernel, path.join(folder, 'kernel'));
  const content = await readFile(squashfs);
  const store = makeCpio(new Map([['/nix-store.squashfs', { kind: 'file', content }]]));
  await writeFile(path.join(folder, 'initrd'), Buffer.concat([initrd, store]));
  await writeFile(path.join(folder, 'command-line'), `init=${toplevelOf('netboot')}/init loglevel=4\n`);
}

/** A store path as media have it on their command line; there is nothing at it. */
function toplevelOf(label: string): string {
  return `/nix/store/${digestOf(label).padEnd(32, '0')}-nixos-system-nixos-${RELEASE}`;
}

/** Makes an ISO image with the layout of NixOS's: GRUB, kernel and initrd below boot/nix/store, the store as a squashfs. */
export async function makeIso(
  file: string,
  medium: Medium & { readonly label: string; readonly parameters: string },
): Promise<void> {
  const { base, label } = medium;
  const { folder, toolbox, budget } = medium.options;
  const tree = path.join(folder, 'medium');
  const hash = digestOf(label).padEnd(32, '0');
  const kernel = `/boot/nix/store/${hash}-linux-${base.kernelRelease}/bzImage`;
  const initrd = `/boot/nix/store/${hash}-initrd-linux-${base.kernelRelease}/initrd`;
  const put = async (target: string, content: string | Buffer): Promise<void> => {
    await mkdir(path.dirname(path.join(tree, target)), { recursive: true });
    await writeFile(path.join(tree, target), content);
  };
  const grub = `search --set=root --file /EFI/nixos-installer-image
set timeout=1
menuentry 'NixOS ${RELEASE} Installer' --class installer {
  # The firmware's console.
  terminal_output console
  linux ${kernel} \${isoboot} init=${toplevelOf(label)}/init root=LABEL=${label} boot.shell_on_fail nohibernate loglevel=4 ${medium.parameters}
  initrd ${initrd}
}
`;
  await put('EFI/nixos-installer-image', '');
  await put('EFI/BOOT/grub.cfg', grub);
  await put('version.txt', RELEASE);
  await put(kernel, await readFile(base.installer.kernel));
  await put(initrd, medium.initrd);
  await put('boot/efi.img', await readFile(path.join(medium.parts, 'efi.img')));
  await copyFile(medium.squashfs, path.join(tree, 'nix-store.squashfs'));
  const [image, config] = ['boot/efi.img', 'EFI/BOOT/grub.cfg'].map((name) => path.join(tree, name));
  await toolbox.run('mcopy', ['-i', image ?? '', config ?? '', '::EFI/BOOT/grub.cfg'], budget);
  await mkdir(path.dirname(file), { recursive: true });
  await toolbox.run(
    'xorriso',
    [
      ...['-as', 'mkisofs', '-quiet', '-iso-level', '3', '-volid', label, '-joliet', '-joliet-long'],
      ...['-rational-rock', '-eltorito-alt-boot', '-e', 'boot/efi.img', '-no-emul-boot'],
      ...['-output', file, tree],
    ],
    budget,
  );
  await rm(tree, { recursive: true, force: true });
}

import { mkdir, mkdtemp, open, readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError, runProgram } from '../core/index.js';
import { type Toolbox, wordsAsRoot } from '../host/index.js';
import type { DiskImage, SystemModel } from '../scenario/index.js';
import type { GuestImages } from './images.js';
import { ENTRY_FILE, LOADER_CONF } from './install-script.js';
import type { Payload } from './payload.js';

/** The first mkfs.btrfs that makes subvolumes. */
const NEEDED_BTRFS = [6, 11] as const;
const MIB = 1024 * 1024;
/** Before the first partition; and behind the last one, for the second table. */
const MARGIN_MIB = 1;
/** Where the base has the boot loader. */
const SYSTEMD_BOOT = 'usr/lib/systemd/boot/efi/systemd-bootx64.efi';

export interface MakeDiskImageOptions {
  readonly images: GuestImages;
  readonly payload: Payload;
  readonly toolbox: Toolbox;
  /** For some hundred megabytes that are gone afterwards. */
  readonly workDir: string;
  /** The disk, qcow2; overwritten. */
  readonly file: string;
  readonly diskMiB: number;
  readonly budget: Budget;
}

/**
 * Makes the disk of a system that comes as an image, on the host, mounting nothing: a btrfs whose subvolumes mkfs itself
 * makes, and an EFI system partition whose boot loader lies where firmware without variables looks for it. The disk
 * then gets larger than the image, as it does for everybody who writes an image to a disk.
 *
 * @throws {HarnessError} HOST_UNFIT when files cannot be given to root here, or btrfs-progs is too old; TOOL_FAILED.
 */
export async function makeDiskImage(
  system: SystemModel & { readonly image: DiskImage },
  options: MakeDiskImageOptions,
): Promise<void> {
  const { toolbox, budget } = options;
  await requireBtrfsProgs(toolbox, budget);
  const asRoot = await wordsAsRoot(budget);
  const runAsRoot = async (
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    const [file = '', ...args] = [...asRoot, ...words];
    await runProgram(file, args, { budget, env });
  };
  await mkdir(options.workDir, { recursive: true });
  const scratch = await mkdtemp(path.join(options.workDir, 'image-'));
  const context = { ...options, system, scratch, runAsRoot };
  try {
    const tree = await fillTree(context);
    const esp = await makeEsp(context, tree);
    const btrfs = await makeBtrfs(context, tree);
    await assemble(context, esp, btrfs);
  } finally {
    // What lies there may belong to ids that only the namespace can remove.
    const words = [...asRoot, 'rm', '-rf', path.join(scratch, 'tree')];
    await runProgram(words[0] ?? '', words.slice(1));
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Making extends MakeDiskImageOptions {
  readonly system: SystemModel & { readonly image: DiskImage };
  readonly scratch: string;
  readonly runAsRoot: (words: readonly string[], env?: Readonly<Record<string, string>>) => Promise<void>;
}

async function requireBtrfsProgs(toolbox: Toolbox, budget: Budget): Promise<void> {
  const said = await toolbox.run('mkfs.btrfs', ['--version'], budget);
  const [, major, minor] = /v(\d+)\.(\d+)/.exec(said) ?? [];
  const [neededMajor, neededMinor] = NEEDED_BTRFS;
  if (Number(major) > neededMajor || (Number(major) === neededMajor && Number(minor) >= neededMinor)) return;
  throw new HarnessError(
    'HOST_UNFIT',
    `mkfs.btrfs makes subvolumes from version ${NEEDED_BTRFS.join('.')} on, and this is: ${said.trim()}`,
    { hint: 'Run without `--tools host`: imperm then brings its own.' },
  );
}

/** Where a path of the store lies in the tree: below the subvolume that is mounted at /nix. */
function inTree(tree: string, system: SystemModel, storePath: string): string {
  const nix = system.fileSystems.find(({ mountPoint }) => mountPoint === '/nix')?.subvolume ?? '';
  return path.join(tree, nix, path.relative('/nix', storePath));
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
  const base = inTree('', system, images.system.path);
  // -rwxr-sr-x 0/42 113848 2023-11-14 22:13 usr/bin/chage
  return [...stdout.matchAll(/^\S+ (\d+)\/(\d+) +\d+ \S+ \S+ (.+)$/gm)].flatMap(([, uid, gid, file = '']) =>
    Number(uid) + Number(gid) === 0
      ? []
      : [{ path: path.join(base, file), uid: Number(uid), gid: Number(gid) }],
  );
}

/** The top level of the btrfs as a folder. */
async function fillTree({ system, images, payload, scratch, runAsRoot }: Making): Promise<string> {
  const { subvolumes, owner } = system.image;
  const tree = path.join(scratch, 'tree');
  const base = inTree(tree, system, images.system.path);
  const folders = subvolumes.map((subvolume) => path.join(tree, subvolume));
  await runAsRoot([
    'install',
    '-d',
    '-m',
    '0755',
    tree,
    ...folders,
    inTree(tree, system, '/nix/store'),
    base,
  ]);
  const extract = ['tar', '--extract', '--same-owner', '--same-permissions', '--numeric-owner'];
  await runAsRoot([...extract, '--file', images.systemTar, '--directory', base]);
  const store = path.join(scratch, 'store.tar');
  await writeFile(store, payload.storeTar);
  await runAsRoot([
    ...extract,
    '--file',
    store,
    '--directory',
    inTree(tree, system, '/nix'),
    '--strip-components=1',
  ]);
  if (owner.uid + owner.gid > 0)
    await runAsRoot(['chown', '-hR', `${String(owner.uid)}:${String(owner.gid)}`, tree]);
  return tree;
}

async function makeEsp(making: Making, tree: string): Promise<string> {
  const { system, payload, images, scratch, toolbox, budget, runAsRoot } = making;
  const folder = path.join(scratch, 'esp');
  const [boot, nixos, entries] = ['EFI/BOOT', 'EFI/nixos', 'loader/entries'].map((name) =>
    path.join(folder, name),
  );
  for (const each of [boot, nixos, entries]) await mkdir(each ?? '', { recursive: true });
  // Kernel and stage 1 are those of the system, found as the installer of a boot loader finds them.
  const ofSystem = async (name: string): Promise<string> =>
    inTree(tree, system, await readlink(inTree(tree, system, `${payload.system}/${name}`)));
  const copies: [string, string][] = [
    [path.join(inTree(tree, system, images.system.path), SYSTEMD_BOOT), `${boot ?? ''}/BOOTX64.EFI`],
    [await ofSystem('kernel'), `${nixos ?? ''}/${payload.bootFiles.kernel}`],
    [await ofSystem('initrd'), `${nixos ?? ''}/${payload.bootFiles.initrd}`],
  ];
  for (const [from, to] of copies) await runAsRoot(['cp', '--no-preserve=mode', from, to]);
  await writeFile(`${nixos ?? ''}/${payload.bootFiles.stageOne}`, payload.stageOne);
  await writeFile(`${entries ?? ''}/${ENTRY_FILE}`, payload.bootEntry);
  await writeFile(path.join(folder, 'loader/loader.conf'), LOADER_CONF);

  const file = path.join(scratch, 'esp.img');
  await makeSparse(file, system.image.esp.sizeMiB);
  await toolbox.run('mkfs.vfat', ['-F', '32', '-n', 'BOOT', file], budget);
  await toolbox.run('mcopy', ['-s', '-i', file, `${folder}/EFI`, `${folder}/loader`, '::'], budget);
  return file;
}

async function makeBtrfs({ system, scratch, toolbox, runAsRoot }: Making, tree: string): Promise<string> {
  const file = path.join(scratch, 'btrfs.img');
  await makeSparse(file, system.image.btrfs.sizeMiB);
  const subvolumes = system.image.subvolumes.flatMap((subvolume) => ['--subvol', `rw:${subvolume}`]);
  const { args, env } = toolbox.command('mkfs.btrfs', [
    '--quiet',
    '--force',
    '--rootdir',
    tree,
    ...subvolumes,
    file,
  ]);
  await runAsRoot(args, env);
  return file;
}

/** Puts the partitions into a disk of their own size, and then the disk into a larger one. */
async function assemble(making: Making, espFile: string, btrfsFile: string): Promise<void> {
  const { system, scratch, toolbox, budget } = making;
  const { esp, btrfs } = system.image;
  const raw = path.join(scratch, 'disk.img');
  await makeSparse(raw, MARGIN_MIB + esp.sizeMiB + btrfs.sizeMiB + MARGIN_MIB);
  const btrfsStartMiB = MARGIN_MIB + esp.sizeMiB;
  await toolbox.run(
    'sgdisk',
    [
      `--new=1:${String(MARGIN_MIB)}M:+${String(esp.sizeMiB)}M`,
      '--typecode=1:ef00',
      `--change-name=1:${esp.partLabel}`,
      `--new=2:${String(btrfsStartMiB)}M:+${String(btrfs.sizeMiB)}M`,
      '--typecode=2:8300',
      `--change-name=2:${btrfs.partLabel}`,
      raw,
    ],
    budget,
  );
  for (const [file, seekMiB] of [
    [espFile, MARGIN_MIB],
    [btrfsFile, btrfsStartMiB],
  ] as const) {
    const words = [`if=${file}`, `of=${raw}`, 'bs=1M', `seek=${String(seekMiB)}`, 'conv=notrunc,sparse'];
    await runProgram('dd', words, { budget });
  }
  await toolbox.run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, making.file], budget);
  await toolbox.run('qemu-img', ['resize', '-q', making.file, `${String(making.diskMiB)}M`], budget);
}

async function makeSparse(file: string, sizeMiB: number): Promise<void> {
  await using handle = await open(file, 'w');
  await handle.truncate(sizeMiB * MIB);
}

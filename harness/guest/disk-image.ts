import { lstat, mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError, runProgram } from '../core/index.js';
import { type Toolbox, wordsAsRoot } from '../host/index.js';
import type { DiskImage, SystemModel } from '../scenario/index.js';
import { makeSparse, putPartition } from './raw-disk.js';

/** The first mkfs.btrfs that makes subvolumes. */
const NEEDED_BTRFS = [6, 11] as const;
/** Before the first partition; and behind the last one, for the second table. */
const MARGIN_MIB = 1;
/** What btrfs itself needs: a part of the content (two copies of its metadata), and some chunks. */
const BTRFS_FACTOR = 1.15;
const BTRFS_SPARE_MIB = 192;

/** Runs a program with files belonging to whom it says, root included. @returns Its standard output. */
export type RunAsRoot = (words: readonly string[], env?: Readonly<Record<string, string>>) => Promise<string>;

/** A file of the EFI system partition: a text, or what a path of the system's store leads to. */
export type EspFile = { readonly content: string | Buffer } | { readonly storePath: string };

/** What is in a disk image: a system that is made of whatever. */
export interface ImageContent {
  /**
   * Fills the folder that is going to be /nix. Its `store` is there, and empty.
   *
   * @param making.scratch A folder for files that are gone afterwards.
   */
  fillNix(folder: string, making: { readonly scratch: string; readonly runAsRoot: RunAsRoot }): Promise<void>;
  /** By path on the EFI system partition. */
  readonly esp: ReadonlyMap<string, EspFile>;
}

export interface MakeDiskImageOptions {
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
 * then gets larger than the image, as it does for everybody who writes an image to a disk. The btrfs is as large as the
 * scenario says, or as its content needs.
 *
 * @throws {HarnessError} HOST_UNFIT when files cannot be given to root here, or btrfs-progs is too old; INSTALL_FAILED
 * when it is not smaller than the disk; TOOL_FAILED.
 */
export async function makeDiskImage(
  system: SystemModel & { readonly image: DiskImage },
  content: ImageContent,
  options: MakeDiskImageOptions,
): Promise<void> {
  const { toolbox, budget } = options;
  await requireBtrfsProgs(toolbox, budget);
  const asRoot = await wordsAsRoot(budget);
  const runAsRoot: RunAsRoot = async (words, env = {}) => {
    const [file = '', ...args] = [...asRoot, ...words];
    return (await runProgram(file, args, { budget, env })).stdout;
  };
  await mkdir(options.workDir, { recursive: true });
  const scratch = await mkdtemp(path.join(options.workDir, 'image-'));
  const making = { ...options, system, content, scratch, runAsRoot };
  try {
    const tree = await fillTree(making);
    const esp = await makeEsp(making, tree);
    const btrfs = await makeBtrfs(making, tree);
    await assemble(making, esp, btrfs);
  } finally {
    // What lies there may belong to ids that only the namespace can remove.
    const words = [...asRoot, 'rm', '-rf', path.join(scratch, 'tree')];
    await runProgram(words[0] ?? '', words.slice(1));
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Making extends MakeDiskImageOptions {
  readonly system: SystemModel & { readonly image: DiskImage };
  readonly content: ImageContent;
  readonly scratch: string;
  readonly runAsRoot: RunAsRoot;
}

/** A partition as a file. */
interface Part {
  readonly file: string;
  readonly sizeMiB: number;
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

/** Where a path of the store lies in the btrfs: below the subvolume that is mounted at /nix. */
export function inImage(system: SystemModel, storePath: string): string {
  const nix = system.fileSystems.find(({ mountPoint }) => mountPoint === '/nix')?.subvolume ?? '';
  return path.join(nix, path.relative('/nix', storePath));
}

/** The top level of the btrfs as a folder. */
async function fillTree({ system, content, scratch, runAsRoot }: Making): Promise<string> {
  const { subvolumes, owner } = system.image;
  const tree = path.join(scratch, 'tree');
  const nix = path.join(tree, inImage(system, '/nix'));
  const folders = [tree, ...subvolumes.map((each) => path.join(tree, each)), path.join(nix, 'store')];
  await runAsRoot(['install', '-d', '-m', '0755', ...folders]);
  await content.fillNix(nix, { scratch, runAsRoot });
  if (owner.uid + owner.gid > 0)
    await runAsRoot(['chown', '-hR', `${String(owner.uid)}:${String(owner.gid)}`, tree]);
  return tree;
}

async function makeEsp(making: Making, tree: string): Promise<Part> {
  const { system, content, scratch, toolbox, budget, runAsRoot } = making;
  const folder = path.join(scratch, 'esp');
  for (const [name, entry] of content.esp) {
    const target = path.join(folder, name);
    await mkdir(path.dirname(target), { recursive: true });
    if ('content' in entry) await writeFile(target, entry.content);
    else {
      const source = await followLinks(tree, system, entry.storePath);
      await runAsRoot(['cp', '--no-preserve=mode', source, target]);
    }
  }
  const file = path.join(scratch, 'esp.img');
  const { sizeMiB } = system.image.esp;
  await makeSparse(file, sizeMiB);
  await toolbox.run('mkfs.vfat', ['-F', '32', '-n', 'BOOT', file], budget);
  const names = [...new Set([...content.esp.keys()].map((name) => name.split('/')[0] ?? name))];
  await toolbox.run(
    'mcopy',
    ['-s', '-i', file, ...names.map((name) => path.join(folder, name)), '::'],
    budget,
  );
  return { file, sizeMiB };
}

/** Kernel and stage 1 are found as the installer of a boot loader finds them: links lead from one store path to another. */
async function followLinks(tree: string, system: SystemModel, storePath: string): Promise<string> {
  const file = path.join(tree, inImage(system, storePath));
  if (!(await lstat(file)).isSymbolicLink()) return file;
  return followLinks(tree, system, path.resolve(path.dirname(storePath), await readlink(file)));
}

async function makeBtrfs(making: Making, tree: string): Promise<Part> {
  const { system, scratch, toolbox, runAsRoot } = making;
  const file = path.join(scratch, 'btrfs.img');
  const sizeMiB = await chooseBtrfsMiB(making, tree);
  await makeSparse(file, sizeMiB);
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
  return { file, sizeMiB };
}

/** @throws {HarnessError} INSTALL_FAILED when the disk is no larger than the image would be. */
async function chooseBtrfsMiB({ system, diskMiB, runAsRoot }: Making, tree: string): Promise<number> {
  const usedMiB = Number.parseInt(await runAsRoot(['du', '--summarize', '--block-size=1M', tree]), 10);
  const sizeMiB = Math.max(system.image.btrfs.sizeMiB, Math.ceil(usedMiB * BTRFS_FACTOR) + BTRFS_SPARE_MIB);
  const imageMiB = sizeMiB + system.image.esp.sizeMiB + 2 * MARGIN_MIB;
  if (imageMiB < diskMiB) return sizeMiB;
  throw new HarnessError(
    'INSTALL_FAILED',
    `The image of this system has ${String(imageMiB)} MiB, and the disk of the scenario ${String(diskMiB)} MiB: it has to be larger, or nothing could grow`,
    { hint: 'Give the disk a larger `size`; it takes no more of the host than what is written to it.' },
  );
}

/** Puts the partitions into a disk of their own size, and then the disk into a larger one. */
async function assemble(making: Making, esp: Part, btrfs: Part): Promise<void> {
  const { system, scratch, toolbox, budget } = making;
  const raw = path.join(scratch, 'disk.img');
  await makeSparse(raw, MARGIN_MIB + esp.sizeMiB + btrfs.sizeMiB + MARGIN_MIB);
  const btrfsStartMiB = MARGIN_MIB + esp.sizeMiB;
  const labels = [system.image.esp.partLabel, system.image.btrfs.partLabel] as const;
  await toolbox.run(
    'sgdisk',
    [
      `--new=1:${String(MARGIN_MIB)}M:+${String(esp.sizeMiB)}M`,
      '--typecode=1:ef00',
      `--change-name=1:${labels[0]}`,
      `--new=2:${String(btrfsStartMiB)}M:+${String(btrfs.sizeMiB)}M`,
      '--typecode=2:8300',
      `--change-name=2:${labels[1]}`,
      raw,
    ],
    budget,
  );
  for (const [file, startMiB] of [
    [esp.file, MARGIN_MIB],
    [btrfs.file, btrfsStartMiB],
  ] as const) {
    await putPartition(file, { disk: raw, startMiB, budget });
  }
  await toolbox.run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, making.file], budget);
  await toolbox.run('qemu-img', ['resize', '-q', making.file, `${String(making.diskMiB)}M`], budget);
}

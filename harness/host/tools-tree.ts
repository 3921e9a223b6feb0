import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, cachedFolder, digestOf } from '../core/index.js';
import { runMmdebstrap } from './mmdebstrap.js';

const DEFAULT_SUITE = 'trixie';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
/** Until Debian 12 packages have the loader and the libraries next to it outside /usr. */
const OLD_LIBRARIES = 'lib/x86_64-linux-gnu';
/** Until Debian 12 the last two are folders of their own. */
const PROGRAMS = ['usr/sbin', 'usr/bin', 'sbin', 'bin'];
const LOADER = 'ld-linux-x86-64.so.2';

/** How a program of a tree is started. */
export interface ToolCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Debian packages in the cache, whose programs run on any host. */
export interface ToolsTree {
  readonly dir: string;
  /** Where its libraries lie. */
  readonly libraries: string;
  /**
   * The words to start a program with.
   *
   * @param program A name, or a path below the tree: `usr/lib/systemd/systemd-fsck`.
   */
  words(program: string): readonly string[];
}

export interface OpenToolsTreeOptions {
  /** Name of its folder in the cache. */
  readonly name: string;
  /** The release of Debian. Default `trixie`. */
  readonly suite?: string;
  /** Unpacked with all they depend on, never configured. */
  readonly packages: readonly string[];
  /** Folders of libraries that a package has for itself, relative to the common one. */
  readonly libraryFolders: readonly string[];
  readonly cacheDir: string;
  readonly mirror: string | undefined;
  readonly budget: Budget;
  readonly onBuild?: () => void;
}

/**
 * Opens a tree of Debian packages: the same versions on every host. Programs are started by the tree's own loader, so
 * neither root nor a namespace is needed. It is unpacked when it is not in the cache.
 *
 * @throws {HarnessError} TOOL_FAILED when it cannot be unpacked.
 */
export async function openToolsTree(options: OpenToolsTreeOptions): Promise<ToolsTree> {
  const { suite = DEFAULT_SUITE } = options;
  const { dir } = await cachedFolder({
    cacheDir: options.cacheDir,
    name: options.name,
    key: digestOf('1', suite, ...options.packages),
    budget: options.budget,
    build: async (part) => {
      options.onBuild?.();
      await runMmdebstrap({
        args: [
          '--variant=extract',
          '--format=directory',
          `--include=${options.packages.join(',')}`,
          suite,
          part,
        ],
        mirror: options.mirror,
        budget: options.budget,
      });
    },
  });
  const libraries = path.join(dir, LIBRARIES);
  const oldLibraries = path.join(dir, OLD_LIBRARIES);
  const isOld = (await readdir(oldLibraries).catch((): string[] => [])).includes(LOADER);
  const libraryPath = [
    ...['', ...options.libraryFolders].map((folder) => path.join(libraries, folder)),
    ...(isOld ? [oldLibraries] : []),
  ].join(':');
  const folderOf = new Map<string, string>();
  for (const folder of PROGRAMS) {
    for (const name of await readdir(path.join(dir, folder)).catch((): string[] => []))
      if (!folderOf.has(name)) folderOf.set(name, folder);
  }
  const find = (program: string): string =>
    program.includes('/') ? program : path.join(folderOf.get(program) ?? 'usr/bin', program);
  return {
    dir,
    libraries,
    words: (program) => [
      path.join(isOld ? oldLibraries : libraries, LOADER),
      '--library-path',
      libraryPath,
      path.join(dir, find(program)),
    ],
  };
}

import {
  type Budget,
  type ProgramResult,
  readEnvironment,
  runProgram,
  type RunProgramOptions,
} from '../core/index.js';
import { openToolsTree, type OpenToolsTreeOptions, type ToolsTree } from '../host/index.js';

/**
 * What texts for a machine are read with, and what a medium is made with. Only tests need it, so it is no part of
 * everybody's tools (85 MB).
 */
const PACKAGES = ['busybox', 'shellcheck', 'squashfs-tools', 'systemd', 'systemd-cryptsetup'];
/** The oldest Nix that nix/ is for, and the release of Debian that has it. */
const OLD_NIX = { version: '2.8', suite: 'bookworm' };

/** Programs from packages that only tests need. */
export interface TestTools {
  readonly tree: ToolsTree;
  /** Runs a program to its end, as `runProgram`. */
  run(
    program: string,
    args: readonly string[],
    options?: Pick<RunProgramOptions, 'env' | 'okExitCodes'>,
  ): Promise<ProgramResult>;
}

/**
 * Opens the programs of the tests, the same on every host. Unpacks them when they are not in the cache.
 *
 * @throws {HarnessError} TOOL_FAILED when they cannot be unpacked.
 */
export function openTestTools(budget: Budget): Promise<TestTools> {
  return openTree({ name: 'test-tools', packages: PACKAGES, libraryFolders: ['systemd'] }, budget);
}

/** The oldest Nix that nix/ is for. Else as `openTestTools`. */
export function openOldNix(budget: Budget): Promise<TestTools> {
  const { version, suite } = OLD_NIX;
  return openTree(
    { name: `nix-${version}`, suite, packages: ['nix-bin'], libraryFolders: ['../nix'] },
    budget,
  );
}

async function openTree(
  what: Pick<OpenToolsTreeOptions, 'name' | 'suite' | 'packages' | 'libraryFolders'>,
  budget: Budget,
): Promise<TestTools> {
  const { cacheDir, debianMirror: mirror } = readEnvironment();
  const tree = await openToolsTree({ ...what, cacheDir, mirror, budget });
  return {
    tree,
    run: async (program, args, options = {}) => {
      const [file = '', ...words] = tree.words(program);
      return runProgram(file, [...words, ...args], { budget, ...options });
    },
  };
}

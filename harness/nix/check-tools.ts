import {
  type Budget,
  type ProgramResult,
  readEnvironment,
  runProgram,
  type RunProgramOptions,
} from '../core/index.js';
import { openToolsTree, type ToolsTree } from '../host/index.js';

/** What texts for a machine are checked with. Only tests need it, so it is no part of everybody's tools (85 MB). */
const PACKAGES = ['busybox', 'shellcheck', 'systemd', 'systemd-cryptsetup'];

/** Programs that read what is meant for a machine, and say what is wrong with it. */
export interface CheckTools {
  readonly tree: ToolsTree;
  /** Runs a program to its end, as `runProgram`. */
  run(
    program: string,
    args: readonly string[],
    options?: Pick<RunProgramOptions, 'env' | 'okExitCodes'>,
  ): Promise<ProgramResult>;
}

/**
 * Opens the programs of the checks, the same on every host. Unpacks them when they are not in the cache.
 *
 * @throws {HarnessError} TOOL_FAILED when they cannot be unpacked.
 */
export async function openCheckTools(budget: Budget): Promise<CheckTools> {
  const { cacheDir, debianMirror: mirror } = readEnvironment();
  const tree = await openToolsTree({
    name: 'check-tools',
    packages: PACKAGES,
    libraryFolders: ['systemd'],
    cacheDir,
    mirror,
    budget,
  });
  return {
    tree,
    run: async (program, args, options = {}) => {
      const [file = '', ...words] = tree.words(program);
      return runProgram(file, [...words, ...args], { budget, ...options });
    },
  };
}

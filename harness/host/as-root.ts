import { type Budget, HarnessError, runProgram } from '../core/index.js';
import { checkUserNamespaces } from './user-namespaces.js';

/** Root of a namespace, with the user's own range of ids for everybody else. */
const IN_NAMESPACE = [
  'unshare',
  '--user',
  '--map-root-user',
  '--map-auto',
  '--setuid',
  '0',
  '--setgid',
  '0',
  '--',
];

/**
 * What has to stand before a command that gives files to other users: nothing for root, else a user namespace with the
 * ids of /etc/subuid. Files made so can only be removed so.
 *
 * @param options.isRoot Default: whether this process is root.
 * @throws {HarnessError} HOST_UNFIT when neither is possible, with the cure.
 */
export async function wordsAsRoot(
  budget: Budget,
  options: { readonly isRoot?: boolean; readonly run?: typeof runProgram } = {},
): Promise<readonly string[]> {
  const { isRoot = process.getuid?.() === 0, run = runProgram } = options;
  if (isRoot) return [];
  const [file = '', ...args] = IN_NAMESPACE;
  try {
    await run(file, [...args, 'true'], { budget });
    return IN_NAMESPACE;
  } catch (error) {
    budget.check();
    const { cure, found } = await checkUserNamespaces({ isRoot, root: '/', run, budget });
    throw new HarnessError(
      'HOST_UNFIT',
      `A disk image in which files belong to root can only be made by root or in a user namespace: ${found}`,
      { hint: cure ?? 'Run imperm as root.', cause: error },
    );
  }
}

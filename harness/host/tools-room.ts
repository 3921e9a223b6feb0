import type { ToolsTree } from './tools-tree.js';

/**
 * Run by a shell in a mount namespace of its own: the tree's programs and settings, the host's devices, processes of its
 * own, and what was asked for, on an empty root that is gone with the last process. The folder of the tree is what
 * that root is mounted on; its own content is then reached from the working directory alone.
 */
const SCRIPT = `set -eu
tree=$1; shift
cd "$tree"
mount -t tmpfs -o mode=755 tmpfs "$tree"
mkdir "$tree/dev" "$tree/proc" "$tree/usr" "$tree/etc" "$tree/tmp"
mount --no-canonicalize --bind usr "$tree/usr"
mount --no-canonicalize --bind etc "$tree/etc"
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$tree/$name"; done
while [ "$1" != -- ]; do
  mkdir -p "$tree$1"
  mount --bind "$1" "$tree$1"
  shift
done
shift
cd /
exec chroot "$tree" "$@"`;

export interface ToolsRoomOptions {
  /** Folders of the host that are there, under the same names. */
  readonly folders: readonly string[];
  /** Default: whether this process is root. */
  readonly isRoot?: boolean;
}

/**
 * The words to start a program of a tree with that has to find the tree's files below `/`, which the tree's loader cannot
 * give it: a browser, a shell with its functions. It runs in namespaces of its own and takes its whole family with it when
 * it ends; what it writes outside the folders is nowhere. Neither root nor a package of the host is needed.
 *
 * @param tree Of a release of Debian in which everything lies below /usr.
 */
export function toolsRoomWords(tree: Pick<ToolsTree, 'dir'>, options: ToolsRoomOptions): readonly string[] {
  const { isRoot = process.getuid?.() === 0, folders } = options;
  return [
    'unshare',
    ...(isRoot ? [] : ['--user', '--map-root-user']),
    ...['--mount', '--pid', '--fork', '--kill-child', '--'],
    ...['sh', '-c', SCRIPT, 'tools-room', tree.dir, ...folders, '--'],
  ];
}

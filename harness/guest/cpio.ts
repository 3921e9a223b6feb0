import path from 'node:path';

/** A file to put into an archive or a folder. */
export type TreeEntry =
  | {
      readonly kind: 'file';
      readonly content: string | Uint8Array;
      readonly executable?: boolean;
      /** For root's eyes only: 0400. */
      readonly isSecret?: boolean;
    }
  | { readonly kind: 'link'; readonly target: string };

export function file(content: string, executable = false): TreeEntry {
  return { kind: 'file', content, executable };
}

export function link(target: string): TreeEntry {
  return { kind: 'link', target };
}

/** Files by absolute path. */
export type Tree = ReadonlyMap<string, TreeEntry>;

/**
 * An archive that the kernel unpacks into stage 1 (cpio, "newc"): a few kilobytes beside the generic image, so that no
 * scenario ever needs an image of its own. All files belong to root; folders are made as needed.
 */
export function makeCpio(tree: Tree): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  const add = (name: string, mode: number, content: Uint8Array): void => {
    const fields = [inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, Buffer.byteLength(name) + 1, 0];
    const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}${name}\0`;
    parts.push(pad(Buffer.from(header)), pad(content));
  };
  const folders = new Set<string>();
  for (const file of tree.keys()) {
    for (let dir = path.dirname(file); dir !== '/'; dir = path.dirname(dir)) folders.add(dir);
  }
  for (const dir of [...folders].sort()) add(dir.slice(1), 0o040755, Buffer.alloc(0));
  for (const [file, entry] of tree) {
    if (entry.kind === 'link') add(file.slice(1), 0o120777, Buffer.from(entry.target));
    else add(file.slice(1), 0o100000 | modeOf(entry), Buffer.from(entry.content));
  }
  add('TRAILER!!!', 0, Buffer.alloc(0));
  return Buffer.concat(parts);
}

function modeOf({ executable, isSecret }: Extract<TreeEntry, { kind: 'file' }>): number {
  return isSecret === true ? 0o400 : executable === true ? 0o755 : 0o644;
}

function pad(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

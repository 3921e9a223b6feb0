import { isUtf8 } from 'node:buffer';

import { quote } from '../core/index.js';

/** One file as `find` sees it. */
export interface FileFacts {
  readonly path: string;
  /** `f`, `d`, `l` … */
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Seconds with fraction. */
  readonly mtime: string;
  readonly target: string;
  readonly links: number;
  /** Device and inode. */
  readonly inode: string;
  /** SHA-256; regular files only. */
  readonly digest?: string;
  /** Extended attributes, `name=value` in hex, sorted; absent ones are an empty list. */
  readonly attributes: readonly string[];
}

export type Listing = ReadonlyMap<string, FileFacts>;

/** What `find -printf` tells of a file: `FIELD_COUNT` fields, a NUL after each. */
export const FIELDS = String.raw`%p\0%y\0%m\0%U\0%G\0%s\0%T@\0%l\0%n\0%D:%i\0`;
const FIELD_COUNT = 10;

/** Commands that print everything about the files in the shell's array `present` and what lies below them. */
const LIST_PRESENT = {
  find: `find "\${present[@]}" -printf '${FIELDS}'`,
  digests: `find "\${present[@]}" -type f -print0 | xargs -0 -r sha256sum -z`,
  attributes: `getfattr --recursive --physical --no-dereference --absolute-names --match=- --encoding=hex --dump -- "\${present[@]}" 2>/dev/null; true`,
};

/** Commands that list files and what lies below them, for `parseListing`; paths that do not exist are left out. */
export function listingCommands(paths: readonly string[]): typeof LIST_PRESENT {
  const words = paths.map(quote).join(' ');
  return listAfter(
    `present=(); for path in ${words}; do [ -e "$path" ] || [ -L "$path" ] && present+=("$path"); done`,
  );
}

/** @param fill Fills the array `present`. */
export function listAfter(fill: string): typeof LIST_PRESENT {
  const guard = `${fill}; [ \${#present[@]} -eq 0 ]`;
  return {
    find: `${guard} || ${LIST_PRESENT.find}`,
    digests: `${guard} || ${LIST_PRESENT.digests}`,
    attributes: `${guard} || ${LIST_PRESENT.attributes}`,
  };
}

/** @param outputs What the three commands printed. */
export function parseListing(outputs: {
  readonly find: Buffer;
  readonly digests: Buffer;
  readonly attributes: Buffer;
}): Listing {
  const digests = readDigests(splitNul(outputs.digests));
  const attributes = parseAttributes(outputs.attributes.toString('utf8'));
  return readFields(splitNul(outputs.find), digests, attributes);
}

/**
 * @param fields What `find` printed with `FIELDS`.
 * @param digests Lines of `sha256sum -z`, by path.
 * @param attributes By path.
 */
export function readFields(
  fields: readonly string[],
  digests: ReadonlyMap<string, string>,
  attributes: ReadonlyMap<string, readonly string[]> = new Map(),
): Listing {
  const listing = new Map<string, FileFacts>();
  for (let index = 0; index + FIELD_COUNT <= fields.length; index += FIELD_COUNT) {
    const [path = '', type = '', mode = '', uid, gid, size, mtime = '', target = '', links, inode = ''] =
      fields.slice(index, index + FIELD_COUNT);
    const digest = digests.get(path);
    listing.set(path, {
      path,
      type,
      mode,
      uid: Number(uid),
      gid: Number(gid),
      sizeBytes: Number(size),
      mtime,
      target,
      links: Number(links),
      inode,
      ...(digest === undefined ? {} : { digest }),
      attributes: attributes.get(path) ?? [],
    });
  }
  return listing;
}

/** @returns Digest by path. */
export function readDigests(lines: readonly string[]): Map<string, string> {
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)] as const));
}

/** What stands before each NUL. Bytes of a name that are no UTF-8 stay apart from each other, as `\\xff`. */
export function splitNul(bytes: Buffer): string[] {
  const parts = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1').split('\0');
  // What follows the last NUL is the frame's own newline.
  parts.pop();
  return isUtf8(bytes) ? parts : parts.map(decodeName);
}

function decodeName(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return latin1.replaceAll(
    /[\x80-\xff]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function parseAttributes(text: string): Map<string, string[]> {
  const attributes = new Map<string, string[]>();
  for (const block of text.split('\n\n')) {
    const [head = '', ...lines] = block.trimStart().split('\n');
    if (!head.startsWith('# file: ')) continue;
    // getfattr writes unusual characters of a name in octal.
    const path = head
      .slice('# file: '.length)
      .replaceAll(/\\(\d{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    attributes.set(path, lines.filter((line) => line !== '').sort());
  }
  return attributes;
}

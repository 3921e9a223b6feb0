import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** A piece of a document, with the line that it begins in. */
export interface Piece {
  readonly text: string;
  readonly line: number;
}

export interface Markdown {
  /** Blocks of code in a shell, and blocks without a language that are indented. */
  readonly shell: readonly Piece[];
  /** Blocks of scenarios. */
  readonly yaml: readonly Piece[];
  /** Code in the text. */
  readonly inline: readonly Piece[];
  /** Targets of links and pictures. */
  readonly links: readonly Piece[];
  /** Headings as addresses: `#two-commands`. */
  readonly anchors: ReadonlySet<string>;
}

const SHELLS = ['sh', 'bash', 'console'];
const NOT_OURS = ['node_modules', '.git', '.build', '.tap'];

/** Every Markdown file of a checkout, relative to it, sorted. Reports of runs are none. */
export async function findMarkdown(root: string, folder = '.'): Promise<readonly string[]> {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory() && !NOT_OURS.includes(entry.name) && folder !== 'reports')
      found.push(...(await findMarkdown(root, name)));
    else if (entry.isFile() && entry.name.endsWith('.md')) found.push(name);
  }
  return found.sort();
}

/** Takes a document apart. Of Markdown it knows what our documents use. */
export function readMarkdown(text: string): Markdown {
  const shell: Piece[] = [];
  const yaml: Piece[] = [];
  const inline: Piece[] = [];
  const links: Piece[] = [];
  const anchors = new Set<string>();
  let block: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
  const endBlock = (): void => {
    if (block === undefined) return;
    const { language, line, lines } = block;
    const own = language === 'console' ? lines.flatMap((each) => /^\$ (.*)/.exec(each)?.[1] ?? []) : lines;
    const piece = { text: own.join('\n'), line };
    if (language === 'yaml') yaml.push(piece);
    else if (SHELLS.includes(language) || language === 'indented') shell.push(piece);
    block = undefined;
  };
  let before = '';
  for (const [index, content] of text.split('\n').entries()) {
    const line = index + 1;
    const fence = /^```(\S*)/.exec(content);
    if (fence !== null && block?.language !== 'indented') {
      if (block === undefined)
        block = { language: fence[1] === '' ? 'text' : (fence[1] ?? ''), line, lines: [] };
      else endBlock();
    } else if (block !== undefined && block.language !== 'indented') block.lines.push(content);
    else if (/^ {4}/.test(content) && (block !== undefined || before.trim() === '')) {
      block ??= { language: 'indented', line, lines: [] };
      block.lines.push(content.slice(4));
    } else {
      endBlock();
      const heading = /^#+ (.*)/.exec(content)?.[1];
      if (heading !== undefined) anchors.add(anchorOf(heading));
      for (const [, code = ''] of content.matchAll(/`([^`]+)`/g)) inline.push({ text: code, line });
      for (const [, target = ''] of content.matchAll(/\]\(([^)\s]+)\)/g)) links.push({ text: target, line });
    }
    before = content;
  }
  endBlock();
  return { shell, yaml, inline, links, anchors };
}

/** As GitHub makes it. */
function anchorOf(heading: string): string {
  return `#${heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')}`;
}

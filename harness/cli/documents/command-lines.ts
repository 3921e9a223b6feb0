import { readShell } from '../../lint/index.js';
import type { Markdown, Piece } from './markdown.js';

/** A call of one of our programs, as a document shows it. */
export interface CommandLine {
  readonly program: 'imperm' | 'npm';
  readonly words: readonly string[];
  readonly line: number;
  /** It stands in a sentence, which may name an option without its value. */
  readonly isInline: boolean;
  /** As it stands there. */
  readonly text: string;
}

/** What stands for something of the reader's: `<file>` becomes a word that begins so. */
export const PLACEHOLDER = 'some-';

/**
 * Every command line of a document that calls imperm or npm: in blocks of a shell, and as code in the text.
 *
 * @throws {Error} for a block that no shell can read.
 */
export function findCommandLines({ shell, inline }: Markdown): readonly CommandLine[] {
  return [
    ...shell.flatMap((piece) => readPiece(piece)),
    ...inline
      .filter(({ text }) => /^(?:npx )?imperm \S|^npm \S/.test(text))
      .flatMap((piece) => readPiece({ ...piece, text: piece.text.replaceAll(/\[[^\]]*\]/g, '') }, true)),
  ];
}

/** The examples of a text of help: lines that begin with the program, what follows after several spaces explains. */
export function findExamples(help: string): readonly CommandLine[] {
  return help
    .split('\n')
    .map((text, index) => ({ text, line: index + 1 }))
    .filter(({ text }) => /^ {2}(?:npx )?imperm \S/.test(text))
    .flatMap(({ text, line }) => readPiece({ text: text.trim().replace(/ {2,}.*/, ''), line }));
}

function readPiece({ text, line }: Piece, isInline = false): readonly CommandLine[] {
  const known = text.replaceAll(/<([\w.…-]+)>/g, `${PLACEHOLDER}$1`).replaceAll('…', '');
  const place = { file: 'document', line, col: 1 };
  const script = readShell({ file: 'document', text: known, place });
  if (script === undefined) throw new Error(`line ${String(line)}: no shell can read ${text}`);
  return script.commands.flatMap(({ name, args }) => {
    const isNpx = name === 'npx' && args[0] === 'imperm';
    if (name !== 'imperm' && name !== 'npm' && !isNpx) return [];
    const words = isNpx ? args.slice(1) : args;
    const program = name === 'npm' ? ('npm' as const) : ('imperm' as const);
    return [{ program, words, line, isInline, text: [name, ...args].join(' ') }];
  });
}

import { stripVTControlCharacters } from 'node:util';

/** Control characters but line feed, lone surrogates, what XML cannot hold, and what changes the direction of text. */
const UNSAFE = /(?!\n)[\p{Cc}\p{Cs}\ufffe\uffff\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const DOUBLE_WIDTH =
  /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

/**
 * Text from a machine under test, made safe for terminals, TAP and XML: colours and cursor movements are taken
 * out, other control characters are shown as `\x1b`. Line feeds stay.
 */
export function makePrintable(text: string): string {
  return stripVTControlCharacters(text.replaceAll('\r\n', '\n').replaceAll('\t', '    ')).replace(
    UNSAFE,
    (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code > 0xff ? `\\u${code.toString(16)}` : `\\x${code.toString(16).padStart(2, '0')}`;
    },
  );
}

/** As `makePrintable`, on one line: line feeds are shown as `\n`. */
export function makeOneLine(text: string): string {
  return makePrintable(text.trimEnd()).replaceAll('\n', '\\n');
}

/** Columns that a text without control characters takes on a terminal. */
export function measureWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (ZERO_WIDTH.test(character)) continue;
    width += DOUBLE_WIDTH.test(character) ? 2 : 1;
  }
  return width;
}

/** The text cut to `columns` columns; what is missing is marked with `…`. */
export function cutToWidth(text: string, columns: number): string {
  if (measureWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += measureWidth(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return columns > 0 ? `${kept}…` : '';
}

/**
 * Breaks text at spaces into lines of at most `columns` columns. Words are never broken, so that a path or a
 * command can be copied; line feeds in the text stay.
 */
export function wrapText(text: string, columns: number): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let line = '';
    for (const word of paragraph.split(' ')) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (line !== '' && measureWidth(longer) > columns) {
        lines.push(line);
        line = word;
      } else {
        line = longer;
      }
    }
    return [...lines, line];
  });
}

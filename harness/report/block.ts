import type { Paint } from './paint.js';
import { makePrintable, wrapText } from './text.js';

type Format = Parameters<Paint>[0];

export interface BlockOptions {
  readonly paint: Paint;
  /** Columns of the whole line. */
  readonly width: number;
  /** Columns left free at the left. */
  readonly indent: number;
  readonly format?: Format;
}

const LABEL_WIDTH = 12;
const LABEL_GAP = 2;

/** A paragraph, wrapped. */
export function renderParagraph(text: string, options: BlockOptions): string[] {
  const blanks = ' '.repeat(options.indent);
  return wrapText(makePrintable(text), options.width - options.indent).map(
    (line) => blanks + (options.format === undefined ? line : options.paint(options.format, line)),
  );
}

/** A label and its text beside it, wrapped under itself. `format` is the label's; default dim. */
export function renderLabelled(label: string, text: string, options: BlockOptions): string[] {
  const labelWidth = Math.max(LABEL_WIDTH, label.length) + LABEL_GAP;
  const head = options.paint(options.format ?? 'dim', label) + ' '.repeat(labelWidth - label.length);
  const lines = wrapText(makePrintable(text), options.width - options.indent - labelWidth);
  return lines.map((line, index) =>
    `${' '.repeat(options.indent)}${index === 0 ? head : ' '.repeat(labelWidth)}${line}`.trimEnd(),
  );
}

/** Evidence as it is, neither cut nor wrapped, behind a bar. */
export function renderQuote(lines: readonly string[], options: BlockOptions): string[] {
  return lines
    .flatMap((line) => makePrintable(line).split('\n'))
    .map((line) => `${' '.repeat(options.indent)}${options.paint('dim', '|')} ${line}`.trimEnd());
}

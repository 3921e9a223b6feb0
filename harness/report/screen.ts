import { stripVTControlCharacters } from 'node:util';

import { measureWidth } from './text.js';

export interface OutputStream {
  write(text: string): unknown;
}

const ESC = '\u001b';

/**
 * The bottom of a terminal: lines under way that are redrawn in place, and finished lines that scroll away above
 * them. Each redraw is one write, so that no half-drawn state is seen.
 */
export class Screen {
  readonly #stream: OutputStream;
  readonly #columns: () => number;
  #drawn: readonly string[] = [];

  constructor(stream: OutputStream, columns: () => number) {
    this.#stream = stream;
    this.#columns = columns;
  }

  /**
   * @param finished Lines that stay; may be longer than the terminal is wide.
   * @param underWay Lines that replace those of the last redraw; cut by the caller to one column less than the
   * terminal's width.
   */
  redraw(finished: readonly string[], underWay: readonly string[]): void {
    const unchanged =
      underWay.length === this.#drawn.length && underWay.every((line, i) => line === this.#drawn[i]);
    if (finished.length === 0 && unchanged) return;
    const text = [...finished, ...underWay].map((line) => `${line}\n`).join('');
    this.#stream.write(this.#erase() + text);
    this.#drawn = underWay;
  }

  /** Back to the first line under way, and everything from there erased. */
  #erase(): string {
    // A terminal made narrower since has broken the lines: count the rows that they take now.
    const columns = Math.max(1, this.#columns());
    const rows = this.#drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(measureWidth(stripVTControlCharacters(line)) / columns)),
      0,
    );
    return rows === 0 ? '' : `\r${ESC}[${String(rows)}A${ESC}[J`;
  }
}

import type { Paint } from './paint.js';
import { measureWidth } from './text.js';

export interface Cell {
  readonly text: string;
  readonly format?: Parameters<Paint>[0];
}

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. Default: left. */
  readonly align?: 'left' | 'right';
}

const GAP = '  ';

/**
 * Sets rows in columns under a line of titles. Cells are not cut: the widest one gives the column its width.
 *
 * @param rows One cell per column.
 * @returns Lines without trailing blanks.
 */
export function layOutColumns(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
): string[] {
  const head: Cell[] = columns.map((column) => ({ text: column.title, format: 'dim' }));
  const all = [head, ...rows];
  const widths = columns.map((_, index) =>
    Math.max(...all.map((row) => measureWidth(row[index]?.text ?? ''))),
  );
  return all.map((row) => {
    const cells = columns.map((column, index) => {
      const cell = row[index] ?? { text: '' };
      const blanks = ' '.repeat((widths[index] ?? 0) - measureWidth(cell.text));
      const painted = cell.format === undefined ? cell.text : paint(cell.format, cell.text);
      if (column.align === 'right') return blanks + painted;
      return index === columns.length - 1 ? painted : painted + blanks;
    });
    return cells.join(GAP).trimEnd();
  });
}

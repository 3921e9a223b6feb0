import { makeOneLine, makePrintable } from './text.js';

/** What begins something in GitHub's Markdown; a backslash before it makes it a character again. */
const ACTIVE = /[\\`*_[\]<>|&~#$]/g;

/** Any text on one line, such as a cell of a table: nothing in it is Markdown or HTML. */
export function escapeMarkdown(text: string): string {
  return makeOneLine(text).replace(ACTIVE, '\\$&');
}

/** A table. Cells are Markdown already. @returns Lines; none without rows. */
export function renderMarkdownTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)];
}

/** Text as it is, in a box. The fence is longer than any in the text. @returns Lines. */
export function renderMarkdownFence(text: string): string[] {
  const printable = makePrintable(text.trimEnd());
  const longest = Math.max(2, ...[...printable.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}text`, ...printable.split('\n'), fence];
}

/** Lines behind a line that is clicked. The title is Markdown that has no links. @returns Lines. */
export function renderMarkdownDetails(title: string, lines: readonly string[]): string[] {
  // Markdown goes on in HTML only after an empty line.
  return ['<details><summary>', '', title, '', '</summary>', '', ...lines, '', '</details>'];
}

import type { Markdown, Piece } from './markdown.js';

/** A scenario that a document lets its reader write. */
export interface WrittenScenario extends Piece {
  /** Where the document says that it is saved: the file that is named nearest to it. */
  readonly file: string;
}

/** The blocks of a document that are whole scenarios, with the `expect` that it adds later. */
export function findWrittenScenarios({ yaml, inline }: Markdown): readonly WrittenScenario[] {
  const whole: Piece[] = [];
  for (const piece of yaml) {
    const last = whole.at(-1);
    if (/^imperm: 1$/m.test(piece.text)) whole.push(piece);
    else if (piece.text.startsWith('expect:') && last !== undefined)
      whole[whole.length - 1] = { ...last, text: `${last.text}\n${piece.text}` };
  }
  return whole.map((piece) => {
    const end = piece.line + (yaml.find(({ line }) => line === piece.line)?.text.split('\n').length ?? 0) + 1;
    const distance = ({ line }: Piece): number => (line < piece.line ? piece.line - line : line - end);
    const [nearest] = inline
      .filter(({ text }) => /^[\w./-]+\.yaml$/.test(text))
      .sort((one, other) => distance(one) - distance(other));
    return { ...piece, file: nearest?.text ?? '' };
  });
}

/** A word, an operator, or the end of a line of a shell script with the here-documents that follow it. */
export interface Token {
  readonly kind: 'word' | 'operator' | 'newline';
  /** As written, quotes included. */
  readonly text: string;
  /** Where it begins in the script, and where what follows begins. */
  readonly start: number;
  readonly end: number;
  /** The texts of command substitutions in a word, `$(…)`, as places in the script. */
  readonly inner: readonly { readonly start: number; readonly end: number }[];
}

const OPERATOR = /^(?:;;&|;;|;&|;|&&|&>>|&>|&|\|\||\|&|\||<<<|<<-|<<|<&|<>|<|>>|>&|>\||>|\(|\))/;
const BLANK = /[ \t\r]/;

/**
 * Cuts a script into words and operators, without comments. Nothing is run or expanded. What is not closed reaches to the
 * end.
 *
 * @param script The whole script.
 * @param from Where to begin. Default: at its beginning.
 * @param to Where to end. Default: at its end.
 */
export function tokenize(script: string, from = 0, to = script.length): readonly Token[] {
  const tokens: Token[] = [];
  /** Ends of here-documents whose text begins with the next line. */
  const documents: { readonly end: string; readonly stripped: boolean }[] = [];
  let at = from;
  const add = (kind: Token['kind'], end: number, inner: Token['inner'] = []): void => {
    tokens.push({ kind, text: script.slice(at, end), start: at, end, inner });
    at = end;
  };
  while (at < to) {
    const character = script[at] ?? '';
    if (character === '\n') {
      let end = at + 1;
      for (const document of documents.splice(0)) end = skipDocument(script, end, document);
      add('newline', end);
    } else if (BLANK.test(character)) at += 1;
    else if (character === '\\' && script[at + 1] === '\n') at += 2;
    else if (character === '#') {
      const end = script.indexOf('\n', at);
      at = end < 0 || end > to ? to : end;
    } else {
      const operator = OPERATOR.exec(script.slice(at, at + 3))?.[0];
      if (operator !== undefined) {
        add('operator', at + operator.length);
        continue;
      }
      const { end, inner } = readWord(script, at, to);
      const before = tokens.at(-1)?.text;
      add('word', end, inner);
      if (before === '<<' || before === '<<-')
        documents.push({
          end: (tokens.at(-1)?.text ?? '').replaceAll(/['"\\]/g, ''),
          stripped: before === '<<-',
        });
    }
  }
  return tokens;
}

function skipDocument(
  script: string,
  from: number,
  { end, stripped }: { readonly end: string; readonly stripped: boolean },
): number {
  let at = from;
  while (at < script.length) {
    const next = script.indexOf('\n', at);
    const line = script.slice(at, next < 0 ? script.length : next);
    at = next < 0 ? script.length : next + 1;
    if ((stripped ? line.replace(/^\t+/, '') : line) === end) break;
  }
  return at;
}

function readWord(script: string, from: number, to: number): { end: number; inner: Token['inner'] } {
  const inner: { start: number; end: number }[] = [];
  let at = from;
  while (at < to) {
    const character = script[at] ?? '';
    if (/[\s;&|<>()]/.test(character)) break;
    at = skipPart(script, at, { to, inner });
  }
  return { end: Math.min(at, to), inner };
}

interface Inside {
  readonly to: number;
  readonly inner: { start: number; end: number }[];
}

/** Goes over one character, or over everything that a quote or a bracket holds. @returns Where it goes on. */
function skipPart(script: string, at: number, inside: Inside): number {
  const { to } = inside;
  const character = script[at];
  const next = script[at + 1];
  if (character === '\\') return at + 2;
  if (character === "'") return after(script, "'", at + 1, to);
  if (character === '$' && next === "'") {
    let end = at + 2;
    while (end < to && script[end] !== "'") end += script[end] === '\\' ? 2 : 1;
    return end + 1;
  }
  if (character === '`') return after(script, '`', at + 1, to);
  if (character === '"') return skipUntil(script, '"', at + 1, inside);
  if (character === '$' && next === '{') return skipUntil(script, '}', at + 2, inside);
  if (character === '$' && next === '(') {
    const end = skipSubstitution(script, at + 2, to);
    // $((…)) is arithmetic.
    if (script[at + 2] !== '(') inside.inner.push({ start: at + 2, end: end - 1 });
    return end;
  }
  return at + 1;
}

function after(script: string, mark: string, from: number, to: number): number {
  const end = script.indexOf(mark, from);
  return end < 0 ? to : end + 1;
}

function skipUntil(script: string, mark: string, from: number, inside: Inside): number {
  let at = from;
  while (at < inside.to && script[at] !== mark) {
    // A single quote within double quotes is a character like any other.
    at = script[at] === "'" ? at + 1 : skipPart(script, at, inside);
  }
  return at + 1;
}

function skipSubstitution(script: string, from: number, to: number): number {
  let at = from;
  let depth = 1;
  while (at < to && depth > 0) {
    const character = script[at];
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    at = character === '(' || character === ')' ? at + 1 : skipPart(script, at, { to, inner: [] });
  }
  return at;
}

import { tokenize, type Token } from './shell-tokens.js';

/** What stands on lines of its own: a command, a list of commands, or a whole loop, condition or function. */
export interface Statement {
  /** Lines from 1, both included. */
  readonly first: number;
  readonly last: number;
  /** Of one line, continued ones counted as one; a compound one has its own statements in a body. */
  readonly isSimple: boolean;
  /** Name of the function that it defines. */
  readonly defines?: string;
  readonly tokens: readonly Token[];
}

/** A script, as far as its lines can be taken apart. */
export interface ShellScript {
  readonly text: string;
  /** Statements that follow each other: those of the script itself, and those of each body. */
  readonly bodies: readonly (readonly Statement[])[];
  /** Every line of commands, those that open and close something included. */
  readonly lines: readonly (readonly Token[])[];
}

const OPENING = new Set(['if', 'while', 'until', 'for', 'case', 'select', '{']);
const CLOSING = new Set(['fi', 'done', 'esac', '}']);
const BETWEEN = new Set(['then', 'else', 'elif', 'do']);

interface Line {
  readonly tokens: readonly Token[];
  readonly first: number;
  readonly last: number;
  /** How many things it leaves open; negative: closes. */
  readonly delta: number;
  /** Begins with a word that ends a body, or goes over to the next. */
  readonly isBoundary: boolean;
  readonly isCase: boolean;
}

/**
 * Takes a script of sh or bash apart by its lines. Nothing is run. Of what cannot be taken apart (`case`, several closing
 * words on a line) the whole is one statement.
 */
export function parseShell(text: string): ShellScript {
  const lines = readLines(text);
  const bodies: Statement[][] = [];
  parseBody(lines, 0, bodies);
  return { text, bodies, lines: lines.map(({ tokens }) => tokens) };
}

function readLines(text: string): readonly Line[] {
  const lines: Line[] = [];
  let current: Token[] = [];
  const brackets = { open: 0 };
  const end = (newline?: Token): void => {
    const [first] = current;
    const last = newline !== undefined && newline.text !== '\n' ? newline : current.at(-1);
    if (first !== undefined && last !== undefined) {
      const words = reservedWords(current, brackets);
      lines.push({
        tokens: current,
        first: lineAt(text, first.start),
        last: lineAt(text, Math.max(first.start, last.end - 1)),
        delta: words.reduce((sum, word) => sum + depthOf(word), 0),
        isBoundary: CLOSING.has(first.text) || BETWEEN.has(first.text) || first.text === ')',
        isCase: words.includes('case'),
      });
    }
    current = [];
  };
  for (const token of tokenize(text)) {
    if (token.kind !== 'newline') current.push(token);
    else if (!['|', '|&', '||', '&&'].includes(current.at(-1)?.text ?? '')) end(token);
  }
  end();
  return lines;
}

function depthOf(word: string): number {
  if (OPENING.has(word) || word === '(') return 1;
  return CLOSING.has(word) || word === ')' ? -1 : 0;
}

/**
 * Words of a line that the shell takes for its grammar, round brackets of subshells among them.
 *
 * @param brackets How many are open: a closing one without them ends a pattern of `case`.
 */
function reservedWords(tokens: readonly Token[], brackets: { open: number }): string[] {
  const found: string[] = [];
  let isCommand = true;
  for (const [index, { kind, text }] of tokens.entries()) {
    if (text === '(' && tokens[index + 1]?.text === ')') {
      // Of a function's name: what it does follows.
      isCommand = true;
      continue;
    }
    if (text === ')' && tokens[index - 1]?.text === '(') continue;
    if (kind === 'operator') {
      if (text === '(' || (text === ')' && brackets.open > 0)) {
        brackets.open += text === '(' ? 1 : -1;
        found.push(text);
      }
      isCommand = !/[<>]/.test(text);
      continue;
    }
    if (!isCommand) continue;
    const isReserved = OPENING.has(text) || CLOSING.has(text) || BETWEEN.has(text) || text === '!';
    if (isReserved) found.push(text);
    isCommand = isReserved && text !== 'for' && text !== 'case' && text !== 'select';
  }
  return found;
}

/** @returns The line that ends the body, or the end. */
function parseBody(lines: readonly Line[], from: number, bodies: Statement[][]): number {
  const body: Statement[] = [];
  bodies.push(body);
  let at = from;
  while (at < lines.length) {
    const line = lines[at];
    if (line === undefined || line.isBoundary) break;
    if (line.delta === 0) {
      body.push(statementOf(line, line, true));
      at += 1;
      continue;
    }
    const end = line.delta === 1 && !line.isCase ? parseCompound(lines, at, bodies) : closingLine(lines, at);
    const last = lines[end] ?? lines.at(-1) ?? line;
    body.push(statementOf(line, last, false));
    at = end + 1;
  }
  return at;
}

/** @returns The line that closes what the line at `from` opens. */
function parseCompound(lines: readonly Line[], from: number, bodies: Statement[][]): number {
  let at = from;
  do {
    at = parseBody(lines, at + 1, bodies);
  } while (at < lines.length && lines[at]?.delta === 0);
  return at;
}

function closingLine(lines: readonly Line[], from: number): number {
  let depth = 0;
  for (let at = from; at < lines.length; at += 1) {
    depth += lines[at]?.delta ?? 0;
    if (depth <= 0) return at;
  }
  return lines.length - 1;
}

function statementOf(first: Line, last: Line, isSimple: boolean): Statement {
  const [name, open, close] = first.tokens;
  const defines = open?.text === '(' && close?.text === ')' ? name?.text : undefined;
  return {
    first: first.first,
    last: last.last,
    isSimple,
    tokens: first.tokens,
    ...(defines === undefined ? {} : { defines }),
  };
}

/** Number of the line, from 1, of a place in a text. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** A command with its words, at any depth of command substitutions. */
export interface ShellCommand {
  readonly words: readonly Token[];
}

/** Words in front of which, or behind which, no command ends or begins. */
const NOT_COMMANDS = new Set([...OPENING, ...CLOSING, ...BETWEEN, '!', 'in']);

/** Every command of a script, those within `$(…)` included. */
export function commandsOf(text: string, from = 0, to = text.length): readonly ShellCommand[] {
  const commands: ShellCommand[] = [];
  let words: Token[] = [];
  const end = (): void => {
    if (words.length > 0) commands.push({ words });
    words = [];
  };
  const tokens = tokenize(text, from, to);
  for (const [index, token] of tokens.entries()) {
    for (const { start, end: innerEnd } of token.inner) commands.push(...commandsOf(text, start, innerEnd));
    const isRedirection = token.kind === 'operator' && /[<>]/.test(token.text);
    const isTarget = /^[<>&]*[<>][<>&|-]*$/.test(tokens[index - 1]?.text ?? '');
    if (isRedirection || isTarget) continue;
    if (token.kind !== 'word') end();
    else if (words.length > 0 || !NOT_COMMANDS.has(token.text)) words.push(token);
  }
  end();
  return commands.sort((a, b) => (a.words[0]?.start ?? 0) - (b.words[0]?.start ?? 0));
}

import type { ScenarioEdit, Script } from '../scenario/index.js';
import type { Mutant } from './mutant.js';
import type { MutantMaker } from './mutant-maker.js';
import { isIdle, type ToldLog } from './script-equivalence.js';
import { lineAt, parseShell, type ShellScript, type Statement } from './shell-statements.js';
import type { Token } from './shell-tokens.js';
import { mutateWords, type ScriptNames } from './word-mutants.js';

/** A script of a layout, and what is known of it. */
export interface ScriptSubject {
  /** `rollback/script` */
  readonly what: string;
  readonly script: Script;
  /** Puts another text into its place. */
  readonly edit: (text: string) => ScenarioEdit;
  readonly told: ToldLog;
  readonly names: ScriptNames;
}

/**
 * Weakens a script, one place at a time: a statement is left out or done one line later, a failure becomes a success, what
 * is done after a failure is left out, an option or a name is another. Every mutant has the grammar of the shell: where a
 * statement was stands `:`, which does nothing. The script is read as text and never run.
 */
export function mutateScript(subject: ScriptSubject): readonly Mutant[] {
  const { script, what } = subject;
  const parsed = parseShell(script.text);
  const file = script.file.split('/').at(-1) ?? script.file;
  const make: MutantMaker = ({ line, operator, title, missing, change, equivalent }) => {
    const id = `${what}:${String(line)}/${operator}`;
    const text = script.text.slice(0, change.start) + change.text + script.text.slice(change.end);
    return {
      id,
      title: `line ${String(line)} of ${file}: ${title}`,
      missing,
      place: { ...script.place, file: script.file, line, col: 1 },
      edits: [subject.edit(text)],
      ...(equivalent === undefined ? {} : { equivalent }),
    };
  };
  return [
    ...dropStatements(parsed, subject, make),
    ...swapStatements(parsed, make),
    ...hideFailures(parsed, make),
    ...dropGuards(parsed, make),
    ...mutateWords(parsed, subject.names, make),
  ];
}

function dropStatements(parsed: ShellScript, { told }: ScriptSubject, make: MutantMaker): readonly Mutant[] {
  return parsed.bodies.flatMap((body) =>
    body.map((statement) => {
      const { start, end } = extentOf(parsed.text, statement);
      const shown = show(parsed.text.slice(start, end));
      return make({
        line: statement.first,
        operator: 'drop',
        title: `\`${shown}\` is gone`,
        missing: `the script does \`${shown}\``,
        change: { start, end, text: ':' },
        equivalent: isIdle(parsed, statement, told),
      });
    }),
  );
}

function swapStatements(parsed: ShellScript, make: MutantMaker): readonly Mutant[] {
  const functions = parsed.bodies.flat().flatMap(({ defines }) => (defines === undefined ? [] : [defines]));
  return parsed.bodies.flatMap((body) =>
    body.slice(1).map((second, index) => {
      const first = body[index] ?? second;
      const [a, b] = [extentOf(parsed.text, first), extentOf(parsed.text, second)];
      const [one, other] = [parsed.text.slice(a.start, a.end), parsed.text.slice(b.start, b.end)];
      // A definition does nothing until somebody calls it.
      const definition = [first, second].find(({ defines }) => defines !== undefined);
      const rest = definition === first ? other : one;
      const isCalled = functions.some((name) => rest.includes(name));
      return make({
        line: first.first,
        operator: 'swap',
        title: `\`${show(other)}\` comes before \`${show(one)}\``,
        missing: `\`${show(one)}\` is done before \`${show(other)}\``,
        change: { start: a.start, end: b.end, text: other + parsed.text.slice(a.end, b.start) + one },
        equivalent:
          definition !== undefined && !isCalled
            ? `the function ${definition.defines ?? ''} is defined, and not called, on either side`
            : undefined,
      });
    }),
  );
}

/** `exit 1` and `return 1` become successes. */
function hideFailures(parsed: ShellScript, make: MutantMaker): readonly Mutant[] {
  return parsed.lines.flatMap((tokens) =>
    tokens.slice(1).flatMap((code, index) => {
      const word = tokens[index]?.text ?? '';
      if (!['exit', 'return'].includes(word) || !/^[1-9]\d*$/.test(code.text)) return [];
      return make({
        line: lineAt(parsed.text, code.start),
        operator: `${word}-0`,
        title: `\`${word} ${code.text}\` is \`${word} 0\``,
        missing: `what ends with \`${word} ${code.text}\` is seen to have failed`,
        change: { start: code.start, end: code.end, text: '0' },
      });
    }),
  );
}

/** What is done when a command has failed is left out: `|| …`. */
function dropGuards(parsed: ShellScript, make: MutantMaker): readonly Mutant[] {
  return parsed.lines.flatMap((tokens) => {
    const guards = tokens.flatMap((token, index) => {
      const last = token.text === '||' ? endOfGuard(tokens, index) : undefined;
      return last === undefined ? [] : [{ token, last }];
    });
    return guards.map(({ token, last }, number) => {
      const start = parsed.text.slice(0, token.start).trimEnd().length;
      const shown = show(parsed.text.slice(token.start, last.end));
      return make({
        line: lineAt(parsed.text, token.start),
        operator: `guard${guards.length > 1 ? String(number + 1) : ''}-drop`,
        title: `\`${shown}\` is gone`,
        missing: `\`${shown}\` is done when what stands before it fails`,
        change: { start, end: last.end, text: '' },
      });
    });
  });
}

/** @returns The last token of the command behind `||`; nothing when that is a block. */
function endOfGuard(tokens: readonly Token[], at: number): Token | undefined {
  const first = tokens[at + 1];
  if (first === undefined || first.text === '{' || first.text === '(') return undefined;
  let last = first;
  for (const token of tokens.slice(at + 2)) {
    if ([';', ';;', '&', '&&', '||', ')'].includes(token.text)) break;
    last = token;
  }
  return last;
}

/** From the first character of a statement to its last, in the text. */
function extentOf(text: string, { first, last, tokens }: Statement): { start: number; end: number } {
  const lines = text.split('\n');
  const end = lines.slice(0, last).join('\n').length;
  return { start: tokens[0]?.start ?? lines.slice(0, first - 1).join('\n').length, end };
}

/** A part of a script on one line. */
function show(text: string): string {
  const [first = '', ...more] = text.trim().split('\n');
  return more.length === 0 ? first : `${first} …`;
}

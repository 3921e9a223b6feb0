import type { ScenarioEdit, Script } from '../scenario/index.js';
import type { Mutant } from './mutant.js';
import type { MutantMaker } from './mutant-maker.js';
import type { ScriptSurroundings } from './option-equivalence.js';
import { type ToldLog, whyIdle, whySwappable } from './script-equivalence.js';
import { lineAt, parseShell, type ShellScript } from './shell.js';
import { mutateWords, type ScriptNames } from './word-mutants.js';

/** A script of a layout, and what is known of it. */
export interface ScriptSubject extends ScriptSurroundings {
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
    ...swapStatements(parsed, subject, make),
    ...hideFailures(parsed, make),
    ...dropGuards(parsed, make),
    ...mutateWords(parsed, subject, make),
  ];
}

function dropStatements(parsed: ShellScript, subject: ScriptSubject, make: MutantMaker): readonly Mutant[] {
  return parsed.bodies.flatMap((body) =>
    body.map((statement) => {
      const { start, end } = statement;
      const shown = show(parsed.text.slice(start, end));
      return make({
        line: statement.first,
        operator: 'drop',
        title: `\`${shown}\` is gone`,
        missing: `the script does \`${shown}\``,
        change: { start, end, text: ':' },
        equivalent: whyIdle(parsed, { statement, ...subject }),
      });
    }),
  );
}

function swapStatements(
  parsed: ShellScript,
  { isBusybox }: ScriptSubject,
  make: MutantMaker,
): readonly Mutant[] {
  return parsed.bodies.flatMap((body) =>
    body.slice(1).map((second, index) => {
      const first = body[index] ?? second;
      const [one, other] = [first, second].map(({ start, end }) => parsed.text.slice(start, end)) as [
        string,
        string,
      ];
      return make({
        line: first.first,
        operator: 'swap',
        title: `\`${show(other)}\` comes before \`${show(one)}\``,
        missing: `\`${show(one)}\` is done before \`${show(other)}\``,
        change: {
          start: first.start,
          end: second.end,
          text: other + parsed.text.slice(first.end, second.start) + one,
        },
        // NixOS runs scripts of services with set -e, and those of scripted stage 1 without.
        equivalent: whySwappable(parsed, [first, second], { endsAtFailure: !isBusybox }),
      });
    }),
  );
}

/** `exit 1` and `return 1` become successes. */
function hideFailures({ text, commands }: ShellScript, make: MutantMaker): readonly Mutant[] {
  return commands.flatMap(({ words: [{ text: word }, code] }) => {
    if (!['exit', 'return'].includes(word) || code === undefined || !/^[1-9]\d*$/.test(code.text)) return [];
    return make({
      line: lineAt(text, code.start),
      operator: `${word}-0`,
      title: `\`${word} ${code.text}\` is \`${word} 0\``,
      missing: `what ends with \`${word} ${code.text}\` is seen to have failed`,
      change: { start: code.start, end: code.end, text: '0' },
    });
  });
}

/** What is done when a command has failed is left out: `|| …`. */
function dropGuards({ text, guards }: ShellScript, make: MutantMaker): readonly Mutant[] {
  const lines = guards.map(({ end }) => lineAt(text, end - 1));
  return guards.map(({ start, end }, index) => {
    const line = lines[index] ?? 0;
    const number = lines.slice(0, index + 1).filter((each) => each === line).length;
    const shown = show(text.slice(start, end));
    return make({
      line,
      operator: `guard${lines.filter((each) => each === line).length > 1 ? String(number) : ''}-drop`,
      title: `\`${shown}\` is gone`,
      missing: `\`${shown}\` is done when what stands before it fails`,
      change: { start, end, text: '' },
    });
  });
}

/** A part of a script on one line. */
function show(text: string): string {
  const [first = '', ...more] = text.trim().split('\n');
  return more.length === 0 ? first : `${first} …`;
}

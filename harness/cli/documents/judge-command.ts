import { stat } from 'node:fs/promises';
import path from 'node:path';

import { type Command, CommanderError } from 'commander';

import { asHarnessError, repositoryRoot } from '../../core/index.js';
import { planVariant } from '../../plan/index.js';
import { listAxisValues } from '../../scenario/index.js';
import { readCommandWords, type CommandWords, flattenCommands } from '../completion/index.js';
import { ANY_HOST } from '../list.js';
import { selectVariants } from '../select.js';
import { type CommandLine, PLACEHOLDER } from './command-lines.js';

/** What a command line was understood as. */
interface Parsed {
  readonly path: string;
  readonly args: readonly unknown[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** What judges command lines without running them. */
export interface CommandJudge {
  /** @returns What is wrong with it, as a sentence; undefined: nothing. */
  judge(line: CommandLine): Promise<string | undefined>;
}

export interface CommandJudgeOptions {
  /** Makes the whole command line anew. */
  readonly makeProgram: () => Command;
  /** Names of npm's scripts. */
  readonly scripts: readonly string[];
  /** Scenarios that documents let their reader write, by the names to run them by. */
  readonly written: ReadonlySet<string>;
}

/** Commands that are given scenarios by name and plan them. */
const PLANNED = ['run', 'plan', 'mutate', 'check', 'start'];

/**
 * Reads command lines with our own parser: options and choices have to exist, arguments have to be what they may be, scenarios
 * and axes that are named have to be there, and what would be run has to have a plan.
 */
export function makeCommandJudge({ makeProgram, scripts, written }: CommandJudgeOptions): CommandJudge {
  const judgeImperm = async (words: readonly string[], isInline: boolean): Promise<string | undefined> => {
    const { parsed, problem } = await parse(makeProgram(), words, isInline);
    if (problem !== undefined || parsed === undefined) return problem;
    const command = flattenCommands(readCommandWords(makeProgram())).find(
      ({ path: own }) => own === parsed.path,
    );
    return command === undefined ? undefined : judgeValues(parsed, { command, written });
  };
  return {
    judge: async ({ program, words, isInline }) => {
      if (program === 'imperm') return judgeImperm(words, isInline);
      const [first = '', second = '', ...rest] = words;
      const script = first === 'run' ? second : first;
      if (['install', 'ci'].includes(script)) return undefined;
      if (!scripts.includes(script)) return `npm has no script "${script}" here`;
      const own = (first === 'run' ? rest : [second, ...rest]).slice(1).filter((word) => word !== '');
      return ['start', 'bench'].includes(script) ? judgeImperm([script, ...own], isInline) : undefined;
    },
  };
}

async function parse(
  program: Command,
  words: readonly string[],
  isInline: boolean,
): Promise<{ readonly parsed?: Parsed; readonly problem?: string }> {
  let parsed: Parsed | undefined;
  const prepare = (command: Command, own: readonly string[]): void => {
    command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
    for (const each of command.commands) prepare(each, [...own, each.name()]);
    if (own.length > 0 && command.commands.length === 0)
      command.action((...given: unknown[]) => {
        parsed = { path: own.join(' '), args: given.slice(0, -2), options: command.opts() };
      });
  };
  prepare(program, []);
  try {
    await program.parseAsync([...words], { from: 'user' });
    return parsed === undefined ? {} : { parsed };
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // In a sentence a command or an option may be named without what it takes.
    const isNamed =
      (words.length === 1 &&
        ['commander.missingArgument', 'commander.missingMandatoryOptionValue'].includes(error.code)) ||
      error.code === 'commander.optionMissingArgument';
    const isOfTheReader = error.message.includes(PLACEHOLDER);
    if (isOfTheReader || error.exitCode === 0 || error.code === 'commander.help' || (isInline && isNamed))
      return {};
    return { problem: error.message };
  }
}

async function judgeValues(
  { path: own, args, options }: Parsed,
  { command, written }: { readonly command: CommandWords; readonly written: ReadonlySet<string> },
): Promise<string | undefined> {
  const axes = listAxisValues();
  const variants = (options['variant'] ?? []) as readonly string[];
  for (const choice of variants) if (!axes.includes(choice)) return `there is no ${choice}`;
  const names: string[] = [];
  for (const [index, { value, isVariadic }] of command.arguments.entries()) {
    const given = args[index];
    if (value.kind === 'scenario') names.push(...((isVariadic ? given : [given]) as string[]));
  }
  for (const name of ['from', 'scenario']) if (typeof options[name] === 'string') names.push(options[name]);
  const known: string[] = [];
  for (const name of names) {
    if (!written.has(name) && !(await isOfTheReader(name))) known.push(name);
  }
  if (known.length === 0 && (names.length > 0 || !PLANNED.includes(own) || options['flake'] !== undefined))
    return undefined;
  if (own === 'check' && known.length === 0) return undefined;
  try {
    const all = await selectVariants(known, options);
    if (PLANNED.includes(own)) for (const variant of all.slice(0, 1)) planVariant(variant, ANY_HOST);
    return undefined;
  } catch (error) {
    return asHarnessError(error).message;
  }
}

/** Files that a reader has, and the repository has not: by a path or an ending. */
async function isOfTheReader(name: string): Promise<boolean> {
  if (/^(?:~|\.{0,2}\/)/.test(name) || name.startsWith(PLACEHOLDER)) return true;
  if (name.startsWith('scenarios/')) return false;
  const info = await stat(path.join(repositoryRoot, name)).catch(() => undefined);
  return name.endsWith('.yaml') && info === undefined;
}

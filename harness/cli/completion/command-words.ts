import type { Argument, Command, Option } from 'commander';

/** What can stand in the place of a value. */
export type ValueWords =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  /** A scenario's name, or a file. */
  | { readonly kind: 'scenario' }
  /** The folder of a run. */
  | { readonly kind: 'run' }
  /** `axis=value`. */
  | { readonly kind: 'variant' }
  | { readonly kind: 'file' }
  | { readonly kind: 'folder' }
  /** Nothing that could be told. */
  | { readonly kind: 'free' };

export interface OptionWords {
  /** `-j`, `--jobs`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent: it takes no value. */
  readonly value?: ValueWords & { readonly name: string; readonly isVariadic: boolean };
}

export interface ArgumentWords {
  readonly name: string;
  readonly value: ValueWords;
  readonly isVariadic: boolean;
}

/** A command as a shell needs to know it. */
export interface CommandWords {
  /** `hardware check`; empty for the whole. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  readonly arguments: readonly ArgumentWords[];
  readonly commands: readonly CommandWords[];
}

/** By the name that stands in the help between brackets. */
const KINDS: Readonly<Record<string, Exclude<ValueWords['kind'], 'choices'>>> = {
  scenario: 'scenario',
  run: 'run',
  'axis=value': 'variant',
  file: 'file',
  'host-file': 'file',
  image: 'file',
  key: 'file',
  medium: 'file',
  script: 'file',
  folder: 'folder',
};

/** Everything that can be completed, as it is now: a command or an option that is added is in it. */
export function readCommandWords(command: Command, parents: readonly string[] = []): CommandWords {
  const help = command.createHelp();
  const own = parents.length === 0 ? [] : [...parents.slice(1), command.name()];
  return {
    path: own.join(' '),
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).map(readOption),
    arguments: command.registeredArguments.map(readArgument),
    commands: help
      .visibleCommands(command)
      .filter((each) => command.commands.includes(each))
      .map((each) => readCommandWords(each, [...parents, command.name()])),
  };
}

function readOption(option: Option): OptionWords {
  const { short, long, description, flags, argChoices, variadic } = option;
  const names = [short, long].filter((name) => name !== undefined);
  const name = /[<[](.+?)(?:\.\.\.)?[>\]]/.exec(flags)?.[1];
  if (name === undefined) return { names, description };
  return { names, description, value: { ...valueOf(name, argChoices), name, isVariadic: variadic } };
}

function readArgument(argument: Argument): ArgumentWords {
  const { argChoices, variadic } = argument;
  const name = argument.name();
  return { name, value: valueOf(name, argChoices), isVariadic: variadic };
}

function valueOf(name: string, choices: readonly string[] | undefined): ValueWords {
  if (choices !== undefined) return { kind: 'choices', choices };
  return { kind: KINDS[name] ?? 'free' };
}

/** The command and all below it. */
export function flattenCommands(command: CommandWords): readonly CommandWords[] {
  return [command, ...command.commands.flatMap(flattenCommands)];
}

import type { Command } from 'commander';

import { repositoryRoot } from '../../core/index.js';

/** A command as the reference shows it: the same words as its `--help`. */
export interface CommandParts {
  /** `imperm hardware check`. */
  readonly name: string;
  readonly usage: string;
  readonly description: string;
  readonly arguments: readonly { readonly term: string; readonly text: string }[];
  readonly options: readonly { readonly term: string; readonly text: string }[];
  /** What stands below the options: explanations, examples, exit codes. */
  readonly notes: string;
}

/** The command and all below it, in the order of the help. */
export function readCommandParts(command: Command, parents: readonly string[] = []): readonly CommandParts[] {
  const help = command.createHelp();
  const own = [...parents, command.name()];
  return [
    {
      name: own.join(' '),
      usage: help.commandUsage(command),
      description: command.description(),
      arguments: command.registeredArguments
        .map((argument) => ({ term: argument.name(), text: help.argumentDescription(argument) }))
        .filter(({ text }) => text !== ''),
      options: help.visibleOptions(command).map((option) => ({
        term: help.optionTerm(option),
        text: withoutPlace(help.optionDescription(option)),
      })),
      notes: readNotes(command),
    },
    ...command.commands.flatMap((each) => readCommandParts(each, own)),
  ];
}

function readNotes(command: Command): string {
  let text = '';
  const before = command.configureOutput();
  command.configureOutput({ ...before, writeOut: (part) => (text += part) });
  command.outputHelp();
  command.configureOutput(before);
  return withoutPlace(text.slice(command.helpInformation().length)).trim();
}

/** Where this checkout lies is nobody's business. */
function withoutPlace(text: string): string {
  return text.replaceAll(`${repositoryRoot}/`, '');
}

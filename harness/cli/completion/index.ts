import path from 'node:path';

import { Argument, type Command } from 'commander';

import { repositoryRoot } from '../../core/index.js';
import { listAxisValues } from '../../scenario/index.js';
import { renderBash, type Surroundings } from './bash.js';
import { readCommandWords } from './command-words.js';
import { renderFish } from './fish.js';
import { renderZsh } from './zsh.js';

const SHELLS = { bash: renderBash, zsh: renderZsh, fish: renderFish };

const HELP = `
Completed are commands, options and what they take: choices, names of scenarios, axes of variants, folders of runs, files.
The script knows the commands as they are now; ask for it anew after an update, or let the shell ask at every start.
It completes \`npx imperm\`, too, unless something else completes npx already.

Examples:
  imperm completion bash                       eval "$(npx imperm completion bash)" in ~/.bashrc
  imperm completion zsh                        eval "$(npx imperm completion zsh)" in ~/.zshrc, after compinit
  imperm completion fish                       into ~/.config/fish/completions/imperm.fish

Exit codes: 0 printed, 2 there is no such shell.`;

/** Adds argument, help and action of `imperm completion`. @param program The whole, as it is when somebody asks. */
export function addCompletion(command: Command, program: Command): void {
  command
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SHELLS)))
    .addHelpText('after', HELP)
    .action((shell: keyof typeof SHELLS) => {
      process.stdout.write(renderCompletion(shell, program));
    });
}

export { type CommandWords, flattenCommands, readCommandWords } from './command-words.js';

/** The script that makes a shell complete command lines of a program. */
export function renderCompletion(shell: keyof typeof SHELLS, program: Command): string {
  const surroundings: Surroundings = {
    scenarios: path.join(repositoryRoot, 'scenarios'),
    reports: path.join(repositoryRoot, 'reports'),
    variants: listAxisValues(),
  };
  return SHELLS[shell](readCommandWords(program), surroundings);
}

import type { Surroundings } from './bash.js';
import { type CommandWords, flattenCommands, type OptionWords, type ValueWords } from './command-words.js';

/** A script for fish, for `imperm` and `npx imperm`. */
export function renderFish(program: CommandWords, surroundings: Surroundings): string {
  const commands = flattenCommands(program);
  return `# Completion of imperm for fish, made by: imperm completion fish

function __imperm_scenarios
    for file in ${quoteFish(surroundings.scenarios)}/*/scenario.yaml ${quoteFish(surroundings.scenarios)}/*/*/scenario.yaml
        string replace -- ${quoteFish(`${surroundings.scenarios}/`)} '' $file | string replace /scenario.yaml ''
    end
end

function __imperm_runs
    for file in ${quoteFish(surroundings.reports)}/*/record.json
        path dirname $file
    end
end

# Whether the words so far belong to this command, and to none below it.
function __imperm_at
    set -l path
    set -l level ''
    for word in (commandline -opc)[2..]
        if test "$word" = imperm -a -z "$level"
            continue
        end
        if contains -- "$level $word" ${commands.map(({ path }) => quoteFish(` ${path}`)).join(' ')}
            set level "$level $word"
        end
    end
    test "$level" = "$argv[1]"
end

function __imperm_on_npx
    set -l words (commandline -opc)
    test "$words[2]" = imperm
end

for program in imperm npx
    set -l on ''
    test $program = npx; and set on '__imperm_on_npx; and '
${commands.flatMap((command) => renderCommand(command, surroundings)).join('\n')}
end
`;
}

function renderCommand(
  { path, commands, options, arguments: own }: CommandWords,
  surroundings: Surroundings,
): readonly string[] {
  const at = `"$on"${quoteFish(`__imperm_at ${quoteFish(path === '' ? '' : ` ${path}`)}`)}`;
  const begin = `    complete -c $program -n ${at}`;
  return [
    ...(commands.length > 0 || own.every(({ value }) => value.kind === 'choices' || value.kind === 'free')
      ? [`${begin} -f`]
      : []),
    ...commands.map(({ name, description }) => `${begin} -a ${quoteFish(name)} -d ${quoteFish(description)}`),
    ...options.map((option) => `${begin} ${renderOption(option, surroundings)}`),
    ...own.flatMap(({ value }) => {
      const offered = offer(value, surroundings);
      return offered === '' ? [] : [`${begin} -a ${quoteFish(offered)}`];
    }),
  ];
}

function renderOption({ names, description, value }: OptionWords, surroundings: Surroundings): string {
  const words = names.map((name) =>
    name.startsWith('--') ? `-l ${quoteFish(name.slice(2))}` : `-s ${quoteFish(name.slice(1))}`,
  );
  if (value !== undefined) {
    const takesFiles = ['file', 'folder', 'scenario', 'run'].includes(value.kind);
    words.push(takesFiles ? '-r -F' : '-x');
    const offered = offer(value, surroundings);
    if (offered !== '') words.push(`-a ${quoteFish(offered)}`);
  }
  return `${words.join(' ')} -d ${quoteFish(description)}`;
}

function offer(value: ValueWords, { variants }: Surroundings): string {
  switch (value.kind) {
    case 'choices':
      return value.choices.join(' ');
    case 'scenario':
      return '(__imperm_scenarios)';
    case 'run':
      return '(__imperm_runs)';
    case 'variant':
      return variants.join(' ');
    case 'folder':
      return '(__fish_complete_directories)';
    case 'file':
    case 'free':
      return '';
  }
}

/** One word for fish. */
function quoteFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

import { quote } from '../../core/index.js';
import type { Surroundings } from './bash.js';
import { type CommandWords, flattenCommands, type OptionWords, type ValueWords } from './command-words.js';

/** A script for zsh, for `imperm` and `npx imperm`: to be read by .zshrc, or as the file _imperm of a folder of fpath. */
export function renderZsh(program: CommandWords, surroundings: Surroundings): string {
  return `#compdef imperm
# Completion of imperm for zsh, made by: imperm completion zsh

_imperm_scenarios() {
  local -a names
  names=(${quote(surroundings.scenarios)}/*/scenario.yaml(N) ${quote(surroundings.scenarios)}/*/*/scenario.yaml(N))
  names=(\${\${names#${quote(surroundings.scenarios)}/}%/scenario.yaml})
  _alternative 'scenarios:scenario:compadd -a names' 'files:file:_files'
}

_imperm_runs() {
  local -a runs
  runs=(${quote(surroundings.reports)}/*/record.json(N:h))
  _alternative 'runs:run:compadd -a runs' 'folders:folder:_files -/'
}

_imperm_variants() {
  compadd -- ${surroundings.variants.map(quote).join(' ')}
}

${flattenCommands(program).map(renderCommand).join('\n')}
_imperm_npx() {
  if [[ $words[2] == imperm && $CURRENT -gt 2 ]]; then
    shift words
    (( CURRENT-- ))
    _imperm
  else
    _default
  fi
}

if [ "$funcstack[1]" = _imperm ]; then
  _imperm "$@"
elif (( $+functions[compdef] )); then
  compdef _imperm imperm
  (( $+_comps[npx] )) || compdef _imperm_npx npx
fi
`;
}

function nameFunction(path: string): string {
  return ['_imperm', ...path.split(' ').filter((word) => word !== '')].join('_').replaceAll('-', '_');
}

function renderCommand({ path, commands, options, arguments: own }: CommandWords): string {
  const specs = options.flatMap(renderOption);
  if (commands.length === 0) {
    const values = own.map(({ name, value, isVariadic }, index) =>
      quote(`${isVariadic ? '*' : String(index + 1)}:${escape(name)}:${describe(value)}`),
    );
    return `${nameFunction(path)}() {\n  _arguments -s -S ${[...specs, ...values].join(' \\\n    ')}\n}\n`;
  }
  const known = commands.map(({ name, description }) => quote(`${name}:${description}`));
  const branches = commands.map(({ name, path: own }) => `        ${name}) ${nameFunction(own)} ;;`);
  return `${nameFunction(path)}() {
  local state line curcontext=$curcontext
  local -a commands
  commands=(${known.join('\n    ')})
  _arguments -C ${[...specs, "'1:command:->command'", "'*::words:->words'"].join(' \\\n    ')}
  case $state in
    command) _describe command commands ;;
    words)
      case $line[1] in
${branches.join('\n')}
      esac ;;
  esac
}
`;
}

function renderOption({ names, description, value }: OptionWords): readonly string[] {
  const takes = value === undefined ? '' : `:${escape(value.name)}:${describe(value)}`;
  // What takes several values also is there several times: zsh ends no list of values at the next option.
  return names.map((name) =>
    quote(
      `${value?.isVariadic === true ? '*' : names.length > 1 ? `(${names.join(' ')})` : ''}${name}[${escape(description)}]${takes}`,
    ),
  );
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replace(/[[\]:]/g, '\\$&');
}

function describe(value: ValueWords): string {
  switch (value.kind) {
    case 'choices':
      return `(${value.choices.join(' ')})`;
    case 'scenario':
      return '_imperm_scenarios';
    case 'run':
      return '_imperm_runs';
    case 'variant':
      return '_imperm_variants';
    case 'file':
      return '_files';
    case 'folder':
      return '_files -/';
    case 'free':
      return ' ';
  }
}

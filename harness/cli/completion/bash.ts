import { quote } from '../../core/index.js';
import { type CommandWords, flattenCommands, type ValueWords } from './command-words.js';

/** Folders and words that do not follow from the commands. */
export interface Surroundings {
  readonly scenarios: string;
  readonly reports: string;
  /** Every `axis=value`. */
  readonly variants: readonly string[];
}

/** A script for bash, for `imperm` and `npx imperm`. */
export function renderBash(program: CommandWords, surroundings: Surroundings): string {
  const commands = flattenCommands(program);
  return `# Completion of imperm for bash, made by: imperm completion bash

_imperm_scenarios() {
  local file
  for file in ${quote(surroundings.scenarios)}/*/scenario.yaml ${quote(surroundings.scenarios)}/*/*/scenario.yaml; do
    file=\${file#${quote(surroundings.scenarios)}/}
    [ -n "\${file##[*]*}" ] && printf '%s\\n' "\${file%/scenario.yaml}"
  done
}

_imperm_runs() {
  local folder
  for folder in ${quote(surroundings.reports)}/*/; do
    [ -e "$folder/record.json" ] && printf '%s\\n' "\${folder%/}"
  done
}

# What a command has: its commands, its options.
_imperm_words() {
  case $1 in
${commands.map(renderWords).join('\n')}
  esac
}

# What an option of a command takes: how many, and what. Nothing: no value.
_imperm_value() {
  case $1:$2 in
${commands.flatMap(renderValues).join('\n')}
  esac
}

# What the argument of a command is, by its number.
_imperm_argument() {
  case $1:$2 in
${commands.flatMap(renderArguments).join('\n')}
  esac
}

_imperm_offer() {
  case $1 in
    words) printf '%s\\n' "\${@:2}" ;;
    scenario) _imperm_scenarios; compgen -f -- "$word" ;;
    run) _imperm_runs; compgen -d -- "$word" ;;
    variant) printf '%s\\n' ${surroundings.variants.map(quote).join(' ')} ;;
    file) compgen -f -- "$word" ;;
    folder) compgen -d -- "$word" ;;
  esac
}

_imperm() {
  # Bash takes words apart at = and :, which belong to ours.
  local line=\${COMP_LINE:0:COMP_POINT} word words command='' given='' count=0 takes many=''
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  word=\${words[\${#words[@]} - 1]}
  words=("\${words[@]:1:\${#words[@]} - 2}")
  [ "\${words[0]-}" = imperm ] && words=("\${words[@]:1}")

  local each
  for each in \${words[@]+"\${words[@]}"}; do
    if [ -n "$given" ] && [[ $each != -* ]]; then
      [ -z "$many" ] && given=''
    elif [[ $each == -* ]]; then
      takes=$(_imperm_value "$command" "\${each%%=*}") given='' many=''
      [[ $each == --*=* ]] && takes=''
      [ -n "$takes" ] && given=$each
      [[ $takes == many\\ * ]] && many=yes
    elif [ "$count" -eq 0 ] && [[ " $(_imperm_words "$command") " == *" $each "* ]]; then
      command=\${command:+$command }$each
    else
      count=$((count + 1))
    fi
  done

  # What can stand here: of an option, of an argument, or commands and options.
  local kind='' offered=''
  if [ -n "$given" ] && { [ -z "$many" ] || [[ $word != -* ]]; }; then
    kind=$(_imperm_value "$command" "$given")
    kind=\${kind#* }
  elif [[ $word == -* ]]; then
    offered=$(_imperm_words "$command" | tr ' ' '\\n' | grep -e '^-')
  else
    kind=$(_imperm_argument "$command" "$count")
    [ "$count" -eq 0 ] && offered=$(_imperm_words "$command" | tr ' ' '\\n' | grep -v -e '^-')
  fi
  # shellcheck disable=SC2086 # its words are for themselves
  offered+=$'\\n'$(_imperm_offer $kind)
  # A folder that is completed gets a slash, and no space.
  case $kind in scenario | run | file | folder) compopt -o filenames 2>/dev/null ;; esac
  local IFS=$'\\n' begun=''
  COMPREPLY=($(compgen -W "$offered" -- "$word"))
  [[ $word == *[=:]* ]] && begun=\${word%"\${word##*[=:]}"}
  COMPREPLY=(\${COMPREPLY[@]+"\${COMPREPLY[@]#"$begun"}"})
}

_imperm_npx() {
  [ "\${COMP_WORDS[1]-}" = imperm ] && [ "$COMP_CWORD" -gt 1 ] && _imperm
}

complete -F _imperm imperm
complete -p npx >/dev/null 2>&1 || complete -o default -F _imperm_npx npx
`;
}

function renderWords({ path, commands, options }: CommandWords): string {
  const words = [...commands.map(({ name }) => name), ...options.flatMap(({ names }) => names)];
  return `    ${quote(path)}) echo ${words.map(quote).join(' ')} ;;`;
}

function renderValues({ path, options }: CommandWords): readonly string[] {
  return options.flatMap(({ names, value }) =>
    value === undefined
      ? []
      : [
          `    ${names.map((name) => quote(`${path}:${name}`)).join(' | ')}) echo ${value.isVariadic ? 'many' : 'one'} ${describe(value)} ;;`,
        ],
  );
}

function renderArguments({ path, arguments: own }: CommandWords): readonly string[] {
  return own.map(({ value, isVariadic }, index) => {
    const place = isVariadic ? `${quote(`${path}:`)}*` : quote(`${path}:${String(index)}`);
    return `    ${place}) echo ${describe(value)} ;;`;
  });
}

function describe(value: ValueWords): string {
  return value.kind === 'choices' ? ['words', ...value.choices.map(quote)].join(' ') : value.kind;
}

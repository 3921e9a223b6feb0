import { misspell } from './misspell.js';
import type { Mutant } from './mutant.js';
import type { MutantMaker } from './mutant-maker.js';
import { type ScriptSurroundings, whySameWithout } from './option-equivalence.js';
import { lineAt, type ShellCommand, type ShellScript, type ShellWord } from './shell.js';

/** Names of the layout that a script may have. */
export interface ScriptNames {
  readonly devices: readonly string[];
  readonly subvolumes: readonly string[];
  /** Of each subvolume that is emptied, one that is kept. */
  readonly kept: ReadonlyMap<string, string>;
}

/** Options that take the next word. */
const WITH_VALUE: Readonly<Record<string, readonly string[]>> = {
  mount: ['-o', '-t', '-L', '-U'],
  cut: ['-f', '-d'],
  stat: ['-c', '-f'],
  mkdir: ['-m'],
  read: ['-d', '-n', '-u'],
  find: ['-maxdepth', '-mindepth', '-mtime', '-name', '-type'],
};

/** Commands whose words with a hyphen are no options of theirs, or say nothing of a layout. */
const WITHOUT_OPTIONS = new Set(['[', '[[', 'test', 'echo', 'printf', 'set', 'exit', 'return']);

/** Options that are left out, and names of devices and subvolumes that are others. */
export function mutateWords(
  script: ShellScript,
  { names, ...surroundings }: ScriptSurroundings & { readonly names: ScriptNames },
  make: MutantMaker,
): readonly Mutant[] {
  const { text, commands } = script;
  return [
    ...commands.flatMap((command) => dropOptions(command, { script, surroundings, make })),
    ...changeNames(text, commands, names, make),
  ];
}

function dropOptions(
  whole: ShellCommand,
  {
    script,
    surroundings,
    make,
  }: { readonly script: ShellScript; readonly surroundings: ScriptSurroundings; readonly make: MutantMaker },
): readonly Mutant[] {
  const { text } = script;
  const [command, ...rest] = whole.words;
  if (WITHOUT_OPTIONS.has(command.text)) return [];
  return rest.flatMap((option, index) => {
    if (!/^--?[A-Za-z]/.test(option.text)) return [];
    const takesValue = WITH_VALUE[command.text]?.includes(option.text) === true;
    const last = takesValue ? (rest[index + 1] ?? option) : option;
    const shown = text.slice(option.start, last.end);
    // The blank in front goes with it.
    const start = text.slice(0, option.start).trimEnd().length;
    return make({
      line: lineAt(text, option.start),
      operator: `option:${shown}/drop`,
      title: `\`${command.text}\` goes without \`${shown}\``,
      missing: `\`${command.text}\` has \`${shown}\``,
      change: { start, end: last.end, text: '' },
      equivalent: whySameWithout(whole, shown, { ...surroundings, script }),
    });
  });
}

function changeNames(
  text: string,
  commands: readonly ShellCommand[],
  names: ScriptNames,
  make: MutantMaker,
): readonly Mutant[] {
  const words = commands.flatMap((command) =>
    command.words.filter((word) => command.words[0].text !== 'echo' && isName(word)),
  );
  const seen = new Set<string>();
  return words.flatMap((word) => {
    const line = lineAt(text, word.start);
    const found = findName(word.text, names);
    const key = `${String(line)} ${found?.name ?? ''}`;
    if (found === undefined || seen.has(key)) return [];
    seen.add(key);
    const { name, offset } = found;
    const start = word.start + offset;
    const others = [
      { other: misspell(name), operator: `name:${name}/misspell` },
      ...[names.kept.get(name)].flatMap((kept) =>
        kept === undefined ? [] : [{ other: kept, operator: `name:${name}/${kept}` }],
      ),
    ];
    return others.map(({ other, operator }) =>
      make({
        line,
        operator,
        title: `${other} stands where ${name} stood`,
        missing: `it is ${name} that line ${String(line)} is about`,
        change: { start, end: start + name.length, text: other },
      }),
    );
  });
}

/** A message is no name. */
function isName({ text }: ShellWord): boolean {
  return !/\s|\$\(|`/.test(text);
}

function findName(
  word: string,
  { devices, subvolumes }: ScriptNames,
): { readonly name: string; readonly offset: number } | undefined {
  for (const device of devices) {
    const offset = word.indexOf(device);
    if (offset >= 0 && !/^[\w-]/.test(word.slice(offset + device.length))) return { name: device, offset };
  }
  // The longest first: of root-blank and root.
  for (const name of [...subvolumes].sort((a, b) => b.length - a.length)) {
    const found = new RegExp(`(?:^|[/"'=])(${escapePattern(name)})(?=$|[/"'])`).exec(word);
    if (found !== null && !word.startsWith('-'))
      return { name, offset: found.index + found[0].length - name.length };
  }
  return undefined;
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

import type { Script } from '../scenario/index.js';
import type { Mutant, Original } from './mutant.js';
import { lineAt, parseShell } from './shell.js';

/**
 * Mutants of the install script that change what the system later relies on: the blank snapshot, and what is written to the
 * persistent store before the first boot. The rest of it is proved by the install itself.
 */
export function mutateInstall(original: Original): readonly Mutant[] {
  const { install } = original.scenario;
  if (install === undefined) return [];
  return [...mutateSnapshot(install), ...dropCopies(install, original)];
}

function mutantOf(
  script: Script,
  line: number,
  rest: {
    readonly operator: string;
    readonly title: string;
    readonly missing: string;
    readonly text: string;
    /** Why it is the same layout. */
    readonly equivalent?: string;
  },
): Mutant {
  const { operator, title, missing, text, equivalent } = rest;
  return {
    id: `install:${String(line)}/${operator}`,
    title: `line ${String(line)} of the install script: ${title}`,
    missing,
    place: { ...script.place, file: script.file, line, col: 1 },
    edits: [{ at: ['install'], set: { text } }],
    ...(equivalent === undefined ? {} : { equivalent }),
  };
}

function mutateSnapshot(script: Script): readonly Mutant[] {
  const { text } = script;
  return parseShell(text).commands.flatMap(({ words }) => {
    const flag = words.findIndex((word) => word.text === '-r');
    const [readOnly, from] = [words[flag], words[flag + 1]];
    const isSnapshot = words[0].text === 'btrfs' && words.some((word) => word.text === 'snapshot');
    if (!isSnapshot || readOnly === undefined || from === undefined) return [];
    const line = lineAt(text, readOnly.start);
    const begin = text.lastIndexOf('\n', words[0].start) + 1;
    return [
      mutantOf(script, line, {
        operator: 'option:-r/drop',
        title: 'the blank snapshot is not read-only',
        missing: 'the blank snapshot is read-only',
        text: text.slice(0, readOnly.start) + text.slice(readOnly.end + 1),
      }),
      mutantOf(script, line, {
        operator: 'late',
        title: 'the snapshot is made when there is a file on the root already',
        missing: 'the blank snapshot is empty',
        text: `${text.slice(0, begin)}echo late >${from.text}/imperm-late\n${text.slice(begin)}`,
      }),
    ];
  });
}

/** What the persistent store has before the first boot. */
function dropCopies(script: Script, { scenario }: Original): readonly Mutant[] {
  const { persistence, users } = scenario.system;
  // impermanence marks a machine id that is not there as one to be made, and the first boot puts it there.
  const made = persistence
    .flatMap(({ files }) => files)
    .find(({ path, method }) => path === '/etc/machine-id' && method === 'auto')?.source;
  const folderOf = (file: string): string => file.slice(0, file.lastIndexOf('/'));
  const wanted = [
    ...persistence.flatMap(({ files }) => files.map(({ source }) => source)),
    ...users.flatMap(({ hashedPasswordFile }) =>
      hashedPasswordFile === undefined ? [] : [folderOf(hashedPasswordFile)],
    ),
  ];
  const statements = parseShell(script.text).bodies.flat();
  return statements.flatMap(({ first, start, end, isSimple, writes }) => {
    const shown = script.text.slice(start, end);
    const target = wanted.find((path) => shown.includes(`/mnt${path}`));
    if (!isSimple || target === undefined || !writes) return [];
    return [
      mutantOf(script, first, {
        operator: 'drop',
        title: `\`${shown}\` is gone`,
        missing: `${target} is there before the first boot`,
        ...(target === made
          ? { equivalent: 'impermanence makes an empty machine id, and systemd writes and keeps one' }
          : {}),
        text: `${script.text.slice(0, start)}:${script.text.slice(end)}`,
      }),
    ];
  });
}

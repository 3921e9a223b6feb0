import { findRoot, type Rollback, type StageOneKind, type SystemModel } from '../scenario/index.js';
import { readShell, type ShellCommand, type ShellScript } from './shell.js';

/** The script that a kind of stage 1 runs, and what it does with subvolumes. */
export interface RollbackScript {
  readonly stage1: StageOneKind;
  readonly shell: ShellScript;
  /** `btrfs subvolume <verb> …` */
  readonly subvolumeCalls: readonly BtrfsCall[];
  /** Where it mounts the top level of the root's file system. */
  readonly mount?: { readonly folder: string; readonly command: ShellCommand };
  /** Path of the root subvolume below that: `/mnt/root`. */
  readonly rootPath?: string;
}

/** A command of btrfs, with its options taken off. */
export interface BtrfsCall {
  /** In full, also where it is shortened: `delete`. */
  readonly verb: string;
  readonly options: readonly string[];
  /** Paths, with what is known of `$1` in functions: one entry for each way in which the function is called. */
  readonly targets: readonly (readonly string[])[];
  readonly command: ShellCommand;
}

const SUBVOLUME_VERBS = [
  'create',
  'delete',
  'list',
  'snapshot',
  'get-default',
  'set-default',
  'show',
  'sync',
];

/** Reads the rollback of one kind of stage 1. @returns Undefined when its script is not understood. */
export function readRollbackScript(rollback: Rollback, system: SystemModel): RollbackScript | undefined {
  const { stage1 } = system;
  const shell = readShell(stage1 === 'systemd' ? rollback.script : rollback.scripted.script);
  if (shell === undefined) return undefined;
  const mount = findTopMount(shell);
  const subvolume = findRoot(system.fileSystems)?.subvolume;
  return {
    stage1,
    shell,
    subvolumeCalls: shell.commands.flatMap((command) => readSubvolumeCall(command, shell)),
    ...(mount === undefined ? {} : { mount }),
    ...(mount === undefined || subvolume === undefined || subvolume === ''
      ? {}
      : { rootPath: clean(`${mount.folder}/${subvolume}`) }),
  };
}

/** Whether a command is `btrfs property set … ro false`. */
export function makesWritable({ name, args }: ShellCommand): boolean {
  return (
    name === 'btrfs' && 'property'.startsWith(args[0] ?? '-') && args[1] === 'set' && args.includes('ro')
  );
}

/** Deletions of subvolumes that hold others: a function that calls itself, `--recursive`, or a list that is not `-o`. */
export function deletesRecursively({ shell, subvolumeCalls }: RollbackScript): boolean {
  const lists = subvolumeCalls.filter(({ verb }) => verb === 'list');
  return (
    callsItself(shell) ||
    subvolumeCalls.some(({ verb, options }) => verb === 'delete' && hasOption(options, 'R', 'recursive')) ||
    lists.some(({ options, command }) => !hasOption(options, 'o') || command.inLoopCondition)
  );
}

/** Whether a function calls itself. */
export function callsItself({ functions, commands }: ShellScript): boolean {
  return commands.some(({ name, inFunction }) => functions.has(name) && name === inFunction);
}

/** Whether short options, also several in one word, or long ones are there. */
export function hasOption(options: readonly string[], short: string, long?: string): boolean {
  return options.some(
    (option) =>
      (!option.startsWith('--') && option.includes(short)) || (long !== undefined && option === `--${long}`),
  );
}

/** A path without doubled and trailing slashes. */
export function clean(path: string): string {
  return path.replaceAll(/\/+/g, '/').replace(/(.)\/$/, '$1');
}

function readSubvolumeCall(command: ShellCommand, shell: ShellScript): readonly BtrfsCall[] {
  if (command.name !== 'btrfs') return [];
  const words = command.args.filter(
    (word, index) => !(word.startsWith('-') && isBefore(index, command.args)),
  );
  const [group = '', short = '', ...rest] = words;
  if (group.length < 2 || !'subvolume'.startsWith(group)) return [];
  const verbs = SUBVOLUME_VERBS.filter((verb) => verb.startsWith(short));
  const [verb] = verbs;
  if (verb === undefined || (verbs.length > 1 && !SUBVOLUME_VERBS.includes(short))) return [];
  const paths = rest.filter((word) => !word.startsWith('-'));
  return [
    {
      verb: SUBVOLUME_VERBS.includes(short) ? short : verb,
      options: rest.filter((word) => word.startsWith('-')),
      targets: instancesOf(paths, command, shell),
      command,
    },
  ];
}

/** Options of btrfs itself stand before the first word that is none. */
function isBefore(index: number, args: readonly string[]): boolean {
  return args.slice(0, index).every((word) => word.startsWith('-'));
}

/** Fills in `$1` for each call of the function from outside it. */
function instancesOf(
  paths: readonly string[],
  command: ShellCommand,
  shell: ShellScript,
): readonly string[][] {
  const { inFunction } = command;
  const calls = shell.commands.filter(
    ({ name, inFunction: caller }) => name === inFunction && caller !== inFunction,
  );
  if (inFunction === undefined || calls.length === 0) return [paths.map(clean)];
  return calls.map(({ args }) =>
    paths.map((path) => clean(path.replaceAll(/\$\{?1\}?/g, () => args[0] ?? '$1'))),
  );
}

const MOUNT_VALUES = new Set(['-t', '-o', '--types', '--options', '-L', '-U']);

/** The first mount of a whole file system at a folder. */
function findTopMount(shell: ShellScript): RollbackScript['mount'] {
  for (const command of shell.commands) {
    if (command.name !== 'mount') continue;
    const positional = command.args.filter(
      (word, index) => !word.startsWith('-') && !MOUNT_VALUES.has(command.args[index - 1] ?? ''),
    );
    const options = command.args.filter((_, index) =>
      ['-o', '--options'].includes(command.args[index - 1] ?? ''),
    );
    const isPart = options
      .flatMap((list) => list.split(','))
      .some((option) => /^subvol=(?!\/?$)|^subvolid=(?![05]$)|^(bind|move|remount)$/.test(option));
    const folder = positional.at(-1);
    if (positional.length === 2 && folder !== undefined && !isPart) return { folder: clean(folder), command };
  }
  return undefined;
}

import type { Hit, Lint, LintSubject } from './lint.js';
import {
  callsItself,
  clean,
  deletesRecursively,
  hasOption,
  makesWritable,
  type RollbackScript,
} from './rollback-script.js';
import { findSyntaxError, type ShellCommand } from './shell.js';
import { whyNotThere } from './stage-one.js';

function callsOf(script: RollbackScript | undefined, verb: string): RollbackScript['subvolumeCalls'] {
  return script?.subvolumeCalls.filter((call) => call.verb === verb) ?? [];
}

/** The whole text of a command, its arguments parted by spaces. */
function textOf({ name, args }: ShellCommand): string {
  return [name, ...args].join(' ');
}

/** Commands that look at something and change nothing; one of them with a path is a check of it. */
function looksAt({ name, args }: ShellCommand, path: string): boolean {
  const looks =
    ['[', '[[', 'test', 'stat', 'ls'].includes(name) ||
    (name === 'btrfs' && args.some((word) => ['show', 'get'].includes(word)));
  // Also `[ -e "/mnt/$1" ]` in a function: whatever it is called with.
  return (
    looks &&
    args.some((word) => clean(word) === path || /\/\$\{?\w+\}?$/.test(word) || /^\$\{?\d\}?$/.test(word))
  );
}

/** Whether the script puts the root away by another name and makes a new one before it deletes anything. */
function movesRoot({ shell, rootPath }: RollbackScript): boolean {
  return shell.commands.some(
    ({ name, args }) => name === 'mv' && args.some((word) => clean(word) === rootPath),
  );
}

function hits(places: readonly ShellCommand[], message: string): readonly Hit[] {
  return places.slice(0, 1).map(({ place }) => ({ place, message }));
}

/** Lints about what the script of the rollback does. */
export const SCRIPT_LINTS: readonly Lint[] = [
  {
    name: 'script-unreadable',
    reason:
      'A shell that does not understand a script does not run it to its end, and scripted stage 1, of which it becomes a part, does not start at all.',
    advice: 'Correct it; "bash -n FILE" says the same. The lints about scripts had nothing to look at.',
    shownBy: ['broken/script-unreadable'],
    find: ({ system, rollback }: LintSubject): readonly Hit[] => {
      if (rollback === undefined) return [];
      const error = findSyntaxError(system.stage1 === 'systemd' ? rollback.script : rollback.scripted.script);
      return error === undefined
        ? []
        : [
            {
              place: error.place,
              message: `the script of the rollback is no shell script: ${error.message}`,
            },
          ];
    },
  },
  {
    name: 'tool-missing',
    reason:
      'A command that stage 1 does not have ends the script where it stands (systemd stage 1), or is passed over and the next ones go on (scripted stage 1).',
    advice:
      'Do it with the tools that are there, or bring the tool: boot.initrd.systemd.initrdBin or storePaths, boot.initrd.extraUtilsCommands.',
    shownBy: ['broken/service-script-in-hook'],
    find: ({ system, script }: LintSubject): readonly Hit[] => {
      if (script === undefined) return [];
      // Whoever brings tools in Nix may bring any.
      if (system.nixModules.some(({ text }) => /initrdBin|extraBin|extraUtilsCommands|storePaths/.test(text)))
        return [];
      const { commands, functions } = script.shell;
      const asked = new Set(
        commands
          .filter(({ name }) => ['command', 'type', 'which', 'hash'].includes(name))
          .flatMap(({ args }) => args),
      );
      const told = new Set<string>();
      return commands.flatMap((command): Hit[] => {
        const { name, args, place } = command;
        if (functions.has(name) || asked.has(name)) return [];
        const why = whyNotThere([name, ...args], system);
        if (why === undefined || told.has(name)) return [];
        told.add(name);
        return [{ place, message: `"${name}" ${why}` }];
      });
    },
  },
  {
    name: 'root-may-be-directory',
    reason:
      '"btrfs subvolume list -o" names what lies in the subvolume that holds a path. Where the root is a plain directory (restored from a backup, say), that is the top level, and /nix, /home and the persistent store are deleted (impermanence#250).',
    advice:
      'Look first that it is a subvolume: its inode number is 256 ([ "$(stat -c %i /mnt/root)" = 256 ]), or "btrfs subvolume show".',
    shownBy: ['bugs/root-is-directory'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      const lists = callsOf(script, 'list').filter(({ options }) => hasOption(options, 'o'));
      if (script === undefined || callsOf(script, 'delete').length === 0) return [];
      const isChecked = script.shell.commands.some(
        (command) =>
          (command.name === 'stat' && command.args.some((word) => word.includes('%i'))) ||
          (command.name === 'btrfs' &&
            command.args.some((word) => ['show', 'inspect-internal', 'rootid'].includes(word))),
      );
      return isChecked
        ? []
        : hits(
            lists.map(({ command }) => command),
            'the script deletes what "btrfs subvolume list -o" names, and never looks whether the root is a subvolume',
          );
    },
  },
  {
    name: 'root-missing-fatal',
    reason:
      'NixOS runs the script of a service with "set -e". Where the root is missing (the power went between its deletion and the new one), deleting it fails, no new one is made, and every boot from then on ends in the emergency shell.',
    advice: 'Delete the root only when it is there: if [ -e /mnt/root ]; then … fi.',
    shownBy: ['bugs/root-missing'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      const root = script?.rootPath;
      if (script === undefined || root === undefined || script.stage1 !== 'systemd') return [];
      if (script.shell.commands.some((command) => looksAt(command, root))) return [];
      const fatal = callsOf(script, 'delete').filter(
        ({ command, targets }) => !command.isChecked && targets.some((paths) => paths.includes(root)),
      );
      return hits(
        fatal.map(({ command }) => command),
        `the script deletes ${root} without looking whether it is there`,
      );
    },
  },
  {
    name: 'blank-unchecked',
    reason:
      'The root is deleted first. Where the blank snapshot is missing then, there is nothing to put in its place, and the machine does not boot any more.',
    advice:
      'Look before anything is deleted: [ "$(btrfs property get -ts /mnt/root-blank ro)" = ro=true ] || exit 1.',
    shownBy: ['bugs/blank-missing'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      const root = script?.rootPath;
      if (script === undefined || root === undefined || movesRoot(script)) return [];
      const deletes = callsOf(script, 'delete').filter(({ targets }) =>
        targets.some((paths) => paths.includes(root)),
      );
      const restores = callsOf(script, 'snapshot').filter(({ targets }) =>
        targets.some(
          ([from, to]) =>
            to === root && from !== undefined && !script.shell.commands.some((each) => looksAt(each, from)),
        ),
      );
      if (deletes.length === 0) return [];
      const from = restores[0]?.targets[0]?.[0] ?? '';
      return hits(
        restores.map(({ command }) => command),
        `the root is deleted before anything looks whether ${from} is there`,
      );
    },
  },
  {
    name: 'nested-left',
    reason:
      'A subvolume that holds another one cannot be deleted, and others make some: systemd /srv, /var/lib/machines and /var/lib/portables, containers theirs. A single one that lies deeper stops every later rollback.',
    advice:
      'Delete from the leaves up, by a function that calls itself for what "list -o" names, or with "btrfs subvolume delete --recursive" where btrfs-progs has it.',
    shownBy: ['btrfs-luks-blank-snapshot-as-published', 'bugs/nested-subvolumes'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      if (script === undefined || movesRoot(script) || deletesRecursively(script)) return [];
      const { rootPath } = script;
      const deletes = callsOf(script, 'delete').filter(({ targets }) =>
        targets.some((paths) => paths.includes(rootPath ?? '')),
      );
      const what =
        callsOf(script, 'list').length > 0 ? 'only what lies directly in it' : 'not what lies in it';
      return hits(
        deletes.map(({ command }) => command),
        `the script deletes the root and ${what}: subvolumes in subvolumes stay, and the root with them`,
      );
    },
  },
  {
    name: 'read-only-parent',
    reason:
      'Nothing can be deleted from a read-only subvolume, and snapshots are often read-only. One that holds another stops the rollback half way, on this boot and on every later one.',
    advice: 'Make each writable before what it holds is deleted: btrfs property set -ts DIR ro false.',
    shownBy: ['bugs/readonly-nested-parent'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      if (script === undefined || !callsItself(script.shell) || script.shell.commands.some(makesWritable))
        return [];
      return hits(
        callsOf(script, 'delete').map(({ command }) => command),
        'the script deletes subvolumes of subvolumes, and makes none of them writable first',
      );
    },
  },
  {
    name: 'name-with-space',
    reason:
      'What stands behind the first space of a name is lost: another path is deleted, or none, and the subvolume stays, and the root with it.',
    advice:
      'Take the rest of the line (cut -f 9- -d " "), and read it by lines: while IFS= read -r, or IFS=$\'\\n\' before a for.',
    shownBy: ['bugs/subvolume-with-space'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      if (script === undefined) return [];
      const { commands, variables } = script.shell;
      return callsOf(script, 'list').flatMap(({ command: list }): readonly Hit[] => {
        const mates = commands.filter(({ pipeline }) => pipeline === list.pipeline);
        const cutter = mates.find(cutsNames);
        if (cutter !== undefined)
          return hits(
            [cutter],
            `"${textOf(cutter)}" keeps one word of the names that "btrfs subvolume list" gives`,
          );
        if (!list.inForList || variables.has('IFS')) return [];
        return hits([list], 'the names that "btrfs subvolume list" gives are split at spaces by "for"');
      });
    },
  },
  {
    name: 'log-before-mount',
    reason:
      'The file is written to the memory of stage 1, or not at all, because there is no such folder yet: that line is never seen again.',
    advice:
      'Write to the log when its file system is mounted, and to standard output besides: that reaches the journal.',
    shownBy: ['disko-luks-rollback-log-as-published'],
    find: ({ script }: LintSubject): readonly Hit[] => {
      const { mount } = script ?? {};
      if (script === undefined || mount === undefined) return [];
      const { commands } = script.shell;
      const early = commands.slice(0, commands.indexOf(mount.command));
      return early.flatMap(({ writes, place, inFunction }): readonly Hit[] => {
        const file = writes.find((path) => clean(path).startsWith(`${mount.folder}/`));
        if (file === undefined || inFunction !== undefined) return [];
        return [
          { place, message: `the script writes to ${file} before anything is mounted at ${mount.folder}` },
        ];
      });
    },
  },
  {
    name: 'rollback-fails-open',
    reason:
      'When the rollback fails, the boot goes on with the root as the last boot left it, perhaps half deleted, and nobody is told: the unit is unknown to the booted system.',
    advice:
      'Let the boot stop: "requiredBy: [sysroot.mount]" with "remainAfterExit: true"; in scripted stage 1 "exit 1" where something fails.',
    shownBy: ['bugs/rollback-fails-open'],
    find: ({ system, rollback, script }: LintSubject): readonly Hit[] => {
      if (rollback === undefined) return [];
      if (system.stage1 === 'systemd') {
        if (rollback.requiredBy.length > 0 || rollback.wantedBy.length === 0) return [];
        const place = rollback.unitPlaces.wantedBy[0] ?? rollback.place;
        return [{ place, message: `${rollback.unit} is only wanted: its failure does not stop the boot` }];
      }
      if (script === undefined) return [];
      const stops = ['exit', 'fail', 'die', 'reboot', 'poweroff', 'halt'];
      if (script.shell.commands.some(({ name }) => stops.includes(name))) return [];
      return hits(
        callsOf(script, 'delete').map(({ command }) => command),
        'nothing in the script stops the boot when a command fails: scripted stage 1 goes on with the next one',
      );
    },
  },
];

/** Takes one field of each line where spaces part them. */
function cutsNames({ name, args }: ShellCommand): boolean {
  const text = args.join(' ');
  if (name === 'cut')
    return /(^| )(-d ?| ?--delimiter[= ]) /.test(`${text} `) && /(-f ?|--fields[= ])\d+( |$)/.test(text);
  return name === 'awk' && /print +\$(NF|9)\b/.test(text);
}

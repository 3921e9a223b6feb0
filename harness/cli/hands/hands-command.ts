import { type Command, Option } from 'commander';

import type { Environment } from '../../core/index.js';
import { type ConsoleOptions, CONSOLES, showConsole } from './console.js';
import { type EvidenceOptions, packEvidence } from './evidence.js';
import { shell, type ShellOptions } from './shell.js';

const RUN = "a run's folder, or its name in the reports folder (default: the newest)";
const VARIANT = 'its id, its folder, or a part of it that no other has (default: the only one)';

/** After the help of `imperm shell`. */
const SHELL_HELP = `
imperm run --keep keeps the disks of variants that fail, --keep=always of all. They lie in the variant's folder of the
report, kept/, with what opens them in secrets.json, which only you can read and imperm evidence leaves out.

The machine is powered on as its run left it; the passphrase is typed by itself. What you change goes to a copy that is
thrown away, or with --write to the kept disks, which are then powered off in good order. When the system does not come up
you get its serial console; --installer boots the installer instead and shows it the disks.

Examples:
  imperm shell                                 of the newest run, when it kept one machine
  imperm shell 2026-11-21-100233-2140 nvme
  imperm shell --command 'findmnt /persist'    one command, with its exit code
  imperm shell --installer                     a disk that does not boot

Exit codes: that of the shell or of the command; 2 the command line is wrong, 69 the machine did not come up,
130 interrupted.`;

/** Options of `imperm run` for whoever wants to look at the machines. */
export function withHands(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--keep [when]',
        'keep the machines of variants that fail (or: --keep=always); imperm shell opens them',
      ).choices(['fail', 'always']),
    )
    .option(
      '--shell-on-fail',
      'a shell in the machine with its first broken promise; needs a terminal and -j 1',
    )
    .option(
      '--pause-at <step>',
      'the same at the end of a step: "boot 2", install, or a number of imperm plan',
    )
    .option('--vnc', 'show the screen of a held machine on a Unix socket; it then has a USB keyboard');
}

/** The commands for whoever wants to look at machines. */
export function addHands(
  commands: {
    /** A command of its own. */
    readonly add: (name: string, description: string) => Command;
    /** How machines are run. */
    readonly withAccelerator: (command: Command) => Command;
  },
  surroundings: {
    readonly environment: Environment;
    /** Where reports are written. */
    readonly reports: string;
    readonly onExitCode: (code: number) => void;
  },
): void {
  const { add, withAccelerator } = commands;
  const { environment, reports, onExitCode } = surroundings;
  const withReports = (command: Command): Command =>
    command.option('--reports <folder>', 'where reports are written', reports);
  withReports(withAccelerator(add('shell', 'a shell in a machine that imperm run --keep has kept')))
    .argument('[run]', RUN)
    .argument('[variant]', VARIANT)
    .option('--command <text>', 'run this instead, and end with its exit code')
    .option('--write', 'change the kept disks themselves', false)
    .option('--installer', 'boot the installer with the disks, not the system', false)
    .option('--vnc', 'show its screen on a Unix socket; it then has a USB keyboard', false)
    .addHelpText('after', SHELL_HELP)
    .action(async (run: string | undefined, variant: string | undefined, options: ShellOptions) => {
      onExitCode(await shell(run, variant, { ...options, terminalType: environment.terminal }, environment));
    });
  withReports(add('console', 'show a recorded console with its times'))
    .argument('[run]', RUN)
    .argument('[variant]', VARIANT)
    .option('-f, --follow', 'go on until the run has ended', false)
    .addOption(
      new Option(
        '--log <which>',
        "the system's console or journal, or the console of the installer or inspector",
      )
        .choices(Object.keys(CONSOLES))
        .default('console'),
    )
    .action(async (run: string | undefined, variant: string | undefined, options: ConsoleOptions) => {
      onExitCode(await showConsole(run, variant, options, (text) => process.stdout.write(text)));
    });
  withReports(add('evidence', 'pack a run into one file for a bug report, without disks and secrets'))
    .argument('[run]', RUN)
    .option('-o, --output <file>', 'a .tar.gz or .tar.zst (default: imperm-evidence-<run>.tar.gz here)')
    .action(async (run: string | undefined, options: EvidenceOptions) => {
      onExitCode(await packEvidence(run, options, environment));
    });
}

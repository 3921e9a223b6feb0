import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { Command, CommanderError, Option } from 'commander';

import { asHarnessError, type Environment, EXIT, readEnvironment, repositoryRoot } from '../core/index.js';
import { check, type CheckOptions } from './check.js';
import { addCompletion } from './completion/index.js';
import { doctor } from './doctor.js';
import { compare, type CompareRunsOptions } from './compare.js';
import {
  REPORTS,
  withTarget,
  withHostOptions,
  withAccelerator,
  withVariant,
  withVariantOptions,
  withGuest,
  withRunOptions,
  withReports,
  withReportOptions,
} from './common-options.js';
import { checkHardware } from './hardware.js';
import {
  CHECK_HELP,
  COMPARE_HELP,
  EXAMPLES,
  HARDWARE_HELP,
  LEAKS_HELP,
  NEW_HELP,
  SHORT_HELP,
} from './help.js';
import { type ImageOptions, makeImage } from './image.js';
import { history } from './history.js';
import { addHands, completeKeep, withHands } from './hands/index.js';
import { leaks, type LeaksOptions } from './leaks.js';
import { list, plan } from './list.js';
import { addHistory, addMerge, withMatrixOptions } from './matrix-command.js';
import { merge } from './merge.js';
import { mutate } from './mutate.js';
import { addMutate } from './mutate-command.js';
import { ask } from './ask.js';
import { DISKS, LUKS, makeNew, type NewOptions, ROOTS, STAGES } from './new/index.js';
import { nix } from './nix.js';
import type { HostOptions } from './options.js';
import { renderError } from './render-error.js';
import { reapAll } from './reap.js';
import { run } from './run.js';
import { setUp } from './set-up.js';
import { endByHangUp } from './signals.js';

/** Every command with its options: what parses a command line, and what help, completion and reference are made of. */
export interface CommandLine {
  readonly program: Command;
  /** Of the command that was run. */
  readonly exitCode: () => number;
}

export function makeCommandLine(
  environment: Environment,
  manifest: { readonly version: string },
): CommandLine {
  let exitCode: number = EXIT.ok;
  const program = new Command('imperm')
    .description(
      'Installs an impermanence layout in a virtual machine, reboots it, and proves what is wiped and what is kept.',
    )
    .version(manifest.version)
    .showHelpAfterError('(imperm --help shows what there is)')
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  const command = (name: string, description: string): Command =>
    program.command(name).description(description).exitOverride();

  withRunOptions(command('start', 'set up whatever is missing and run the default scenario')).action(
    async (options: Parameters<typeof run>[1]) => {
      // One variant tells whether everything works here, in the shortest time.
      const once = options.full !== true && options.variant === undefined;
      exitCode = await run(
        [],
        { ...options, once },
        { environment, version: manifest.version, words: ['start'] },
      );
    },
  );
  withHands(
    withMatrixOptions(withRunOptions(command('run', 'run scenarios: names below scenarios/, or files'))),
  )
    .argument('[scenario...]')
    .option('--all', 'every scenario in scenarios/', false)
    .option(
      '--flake <flake#host>',
      'a host of your own flake: its configuration and its disko file, as real NixOS (needs Nix and a binary cache)',
    )
    .option('--install <script>', 'with --flake, what fills the disk of a host that has no disko file')
    .addHelpText('after', EXAMPLES)
    .action(async (names: string[], options: Parameters<typeof run>[1]) => {
      exitCode = await run(names, options, {
        environment,
        version: manifest.version,
        words: ['run', ...names],
      });
    });
  withReportOptions(
    withVariant(
      withHostOptions(command('leaks', 'what the next boot would lose, and what is kept undeclared')),
    ),
  )
    .argument('[run]', "a run's folder (default: the newest in the reports folder)")
    .option('--scenario <name>', 'run this scenario first, in one variant')
    .option('--json', 'as JSON', false)
    .addHelpText('after', LEAKS_HELP)
    .action(async (folder: string | undefined, options: LeaksOptions) => {
      exitCode = await leaks(folder, options, { environment, version: manifest.version });
    });
  command('compare', 'what changed from one run to another: new failures, fixed, flaky, slower')
    .argument('<older>', "a run's folder, or its record.json")
    .argument('<newer>', 'the same')
    .option('--markdown', 'as Markdown, for the page of a CI job', false)
    .option('--factor <number>', 'tell phases that are slower or faster by more than this', '1.5')
    .addHelpText('after', COMPARE_HELP)
    .action(async (older: string, newer: string, options: CompareRunsOptions) => {
      exitCode = await compare(older, newer, options, environment);
    });
  addHands(
    { add: command, withAccelerator },
    {
      environment,
      reports: REPORTS,
      onExitCode: (code) => {
        exitCode = code;
      },
    },
  );
  addMutate(
    withReportOptions(
      withVariant(
        withHostOptions(
          command('mutate', 'break a correct layout in many ways, and see which promise tells'),
        ),
      ),
    ),
    async (names, options) => {
      exitCode = await mutate(names, options, {
        environment,
        version: manifest.version,
        words: ['mutate', ...names],
      });
    },
  );
  addMerge(
    withReportOptions(command('merge', 'make one run of the runs of all shards')),
    async (folders, options) => {
      exitCode = await merge(folders, options, { environment });
    },
  );
  addHistory(withReports(command('history', 'what earlier runs found')), async (variant, options) => {
    exitCode = await history(variant, options, { environment });
  });
  withTarget(withGuest(withVariantOptions(command('plan', 'show what a run would do, and do nothing'))))
    .argument('[scenario...]')
    .option('--all', 'every scenario in scenarios/', false)
    .action(async (names: string[], options: Parameters<typeof plan>[1]) => {
      await plan(names, options, environment);
    });
  command('new', 'make a scenario file that runs: by a few questions, or from another scenario')
    .argument('[file]', 'what to write (default: my-layout.yaml)')
    .addOption(new Option('--root <kind>', 'how the root is emptied').choices(ROOTS))
    .addOption(new Option('--luks <kind>', 'what opens the disk').choices(LUKS))
    .addOption(new Option('--stage1 <kind>', 'kind of stage 1').choices(STAGES))
    .addOption(new Option('--disk <bus>', 'how the disk is attached').choices(DISKS))
    .option('--keep <directory...>', 'directories to keep')
    .option('--keep-file <file...>', 'single files to keep')
    .option('--user <name...>', 'users besides root')
    .option('--title <text>', 'the layout in one line (default: its name)')
    .option('--from <scenario>', 'differ from this scenario, a name below scenarios/ or a file')
    .addHelpText('after', NEW_HELP)
    .action(async (file: string | undefined, options: NewOptions) => {
      const canAsk = process.stdin.isTTY && process.stderr.isTTY && !environment.ci;
      process.stdout.write(await makeNew(file, options, canAsk ? ask : undefined));
    });
  command('check', 'look for known faults in scenarios, without a machine')
    .argument('[scenario...]', 'names below scenarios/, or files')
    .option('--all', 'every scenario in scenarios/', false)
    .option('--list', 'show every lint with its reason, and check nothing', false)
    .addHelpText('after', CHECK_HELP)
    .action(async (names: string[], options: CheckOptions) => {
      exitCode = await check(names, options);
    });
  command('list', 'list scenarios and their variants').action(list);
  command('nix', 'a scenario as JSON, of which the flake in nix/ makes NixOS systems')
    .argument('<scenario>', 'a name below scenarios/, or a file')
    .action(nix);
  withHostOptions(
    command(
      'image',
      'make an installer for real machines: an image for a USB stick, or files to be netbooted',
    ),
  )
    .argument('<target>', 'the image, or with --netboot a folder')
    .requiredOption('--authorized-key <file>', 'public key that lets root in')
    .option('--address <address/length>', 'a fixed address, such as 192.0.2.7/24 (default: DHCP)')
    .option('--gateway <address>', 'with --address, where other nets are')
    .option('--netboot', 'kernel, initrd and command line as files', false)
    .action(async (target: string, options: ImageOptions) => {
      exitCode = await makeImage(target, options, environment);
    });
  const hardware = command('hardware', 'machines that are reached only by SSH');
  hardware
    .command('check')
    .description('say which disks of a machine could be written, and why the others could not; write nothing')
    .argument('<host-file>')
    .addHelpText('after', HARDWARE_HELP)
    .exitOverride()
    .action(async (file: string) => {
      exitCode = await checkHardware(file);
    });
  withHostOptions(
    command('doctor', 'look at what this host has and lacks, with the cure for each lack'),
  ).action(async (options: HostOptions) => {
    exitCode = await doctor(options, environment);
  });
  withHostOptions(command('setup', 'build everything a run needs, once'))
    .option('-q, --quiet', 'say nothing when there is nothing to do', false)
    .action(async (options: HostOptions & { quiet: boolean }) => {
      await setUp(options, environment);
    });
  command('reap', 'end and remove what a killed run has left behind, and only that')
    .option('--connect <uri>', 'also ask this libvirt, whatever the work folder tells')
    .action(async (options: { connect?: string }) => {
      exitCode = await reapAll(options, environment);
    });
  withHostOptions(
    command('bench', 'measure set-up, install, boot and command times, as ratios to their goals'),
  )
    .option('--runs <n>', 'how often the default variant is run', '3')
    .action(async (options: HostOptions & { runs: string }) => {
      const { bench } = await import('./bench.js');
      exitCode = await bench(options, environment);
    });
  addCompletion(command('completion', 'print what makes a shell complete command lines of imperm'), program);
  for (const each of program.commands) each.addHelpText('after', SHORT_HELP[each.name()] ?? '');
  return { program, exitCode: () => exitCode };
}

/** The terminal has gone. SIGHUP tells the same, and then everything is put away, which needs nobody who reads. */
function isHangUp({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EIO';
}

/** The whole command line. @returns The exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const environment = readEnvironment();
  // Whoever reads only the beginning (`| head`) has seen what they wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isHangUp(error)) return;
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.ok);
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (!isHangUp(error)) throw error;
  });
  const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  const { program, exitCode } = makeCommandLine(environment, manifest);
  try {
    await program.parseAsync(completeKeep(argv), { from: 'user' });
    return exitCode();
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const error = asHarnessError(thrown);
    process.stderr.write(renderError(error));
    return error.exitCode;
  } finally {
    endByHangUp();
  }
}

import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { Command, CommanderError, Option } from 'commander';

import { asHarnessError, EXIT, readEnvironment, repositoryRoot } from '../core/index.js';
import { check, type CheckOptions } from './check.js';
import { doctor } from './doctor.js';
import { checkHardware } from './hardware.js';
import { CHECK_HELP, EXAMPLES, HARDWARE_HELP, LEAKS_HELP, NEW_HELP } from './help.js';
import { type ImageOptions, makeImage } from './image.js';
import { addHands, completeKeep, withHands } from './hands/index.js';
import { leaks, type LeaksOptions } from './leaks.js';
import { list, plan } from './list.js';
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

const REPORTS = path.join(repositoryRoot, 'reports');

function withTarget(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--target <target>',
        "where machines run: imperm's own QEMU, libvirt, or a real machine reached by SSH",
      )
        .choices(['qemu', 'libvirt', 'hardware'])
        .default('qemu'),
    )
    .option('--host <file>', 'with --target hardware, the file that describes the machine')
    .option(
      '--connect <uri>',
      'with --target libvirt, its address: qemu:///session, qemu+ssh://user@host/system (default: qemu:///system)',
    );
}

function withHostOptions(command: Command): Command {
  return withAccelerator(withTarget(command));
}

function withAccelerator(command: Command): Command {
  return command
    .addOption(
      new Option('--accel <kind>', 'how machines are run; auto takes KVM when it is proved to work')
        .choices(['auto', 'kvm', 'tcg'])
        .default('auto'),
    )
    .addOption(
      new Option('--tools <whose>', "imperm's own QEMU, firmware and tools, or the host's")
        .choices(['private', 'host'])
        .default('private'),
    )
    .option('-y, --yes', 'install missing host packages without asking', false);
}

function withVariant(command: Command): Command {
  return command.option('--variant <axis=value...>', 'only variants with this value, such as disk=nvme');
}

function withVariantOptions(command: Command): Command {
  return withVariant(command)
    .option('--all-pairs', 'so many variants that every pair of values occurs (the default)')
    .option('--full', 'every variant')
    .option('--once', 'the first variant of each scenario');
}

function withGuest(command: Command): Command {
  return command.addOption(
    new Option(
      '--guest <guest>',
      'what is installed: NixOS-shaped Debian, or real NixOS (needs Nix and a binary cache)',
    )
      .choices(['debian', 'nixos'])
      .default('debian'),
  );
}

function withRunOptions(command: Command): Command {
  return withGuest(withReportOptions(withVariantOptions(withHostOptions(command))))
    .option(
      '--medium <medium>',
      'with --guest nixos, what it is installed from: iso, netboot, or the path of an official ISO image (default: iso)',
    )
    .option(
      '--lane <lane>',
      'with --guest nixos, which NixOS and which module keeps the state: main, preservation, 25_11 … (default: main)',
    )
    .option(
      '--systems-flake <reference>',
      'with --guest nixos, a flake to take the place of nix/ (default: that of this checkout)',
    )
    .option(
      '--erase <serial...>',
      'with --target hardware, disks that may be overwritten, by serial number; nobody is asked for them',
    )
    .option('-j, --jobs <n>', 'most machines at the same time (default: one more than processors)')
    .option('--tap', 'the results as TAP on standard output; everything else goes to standard error', false);
}

function withReportOptions(command: Command): Command {
  return command
    .option('--reports <folder>', 'where reports are written', REPORTS)
    .option('-v, --verbose', 'also show console lines and every promise that was kept', false);
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
  withHands(withRunOptions(command('run', 'run scenarios: names below scenarios/, or files')))
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

  try {
    await program.parseAsync(completeKeep(argv), { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const error = asHarnessError(thrown);
    process.stderr.write(renderError(error));
    return error.exitCode;
  }
}

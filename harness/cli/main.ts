import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { Command, CommanderError, Option } from 'commander';

import { asHarnessError, EXIT, readEnvironment, repositoryRoot } from '../core/index.js';
import { doctor } from './doctor.js';
import { checkHardware } from './hardware.js';
import { type ImageOptions, makeImage } from './image.js';
import { leaks, type LeaksOptions } from './leaks.js';
import { list, plan } from './list.js';
import { mutate } from './mutate.js';
import { addMutate } from './mutate-command.js';
import { nix } from './nix.js';
import type { HostOptions } from './options.js';
import { renderError } from './render-error.js';
import { reapAll } from './reap.js';
import { run } from './run.js';
import { setUp } from './set-up.js';

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
  return withTarget(command)
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
    .option('--reports <folder>', 'where reports are written', path.join(repositoryRoot, 'reports'))
    .option('-v, --verbose', 'also show console lines and every promise that was kept', false);
}

const EXAMPLES = `
Examples:
  imperm run                                   the default scenario
  imperm run --all                             every scenario and variant
  imperm run btrfs-luks-rollback --variant disk=nvme
  imperm run ./my-layout.yaml                  your own layout
  imperm run --flake .#laptop                  a host of your own flake (nix/test-your-own-flake.md)
  imperm leaks                                 what the newest run found that no boot would keep
  imperm plan my-layout.yaml                   what would be done, without doing it

Exit codes: 0 as promised, 1 a layout broke a promise, 2 a scenario or the command line is wrong,
69 the host or a machine could not run it, 130 interrupted.`;

const LEAKS_HELP = `
What is looked at: the root at the start of every boot, and at the end of the last one (on the powered-off disk; in
memory, where the root is a tmpfs). From that follow
  - what the next boot loses: files, empty ones too, directories, links, owners, modes, nested subvolumes
  - what every boot makes anew with another content, such as a machine id that is not kept
  - what lies in the persistent stores although nothing declares it
by the unit or package that owns it, and the Nix to paste that keeps it. What the system does by itself in a virtual
machine is seen; to see what your services leave, let a step of the scenario use them (steps: [boot, {run: …}, …]).

Examples:
  imperm leaks                                 of the newest run
  imperm leaks reports/2026-11-21-100233-2140  of this run
  imperm leaks --scenario ./my-layout.yaml     install it, boot it, and show what leaks
  imperm leaks --json                          the same for programs

Leaks are information: the exit code is 0 whatever they are. With --scenario it is that of the run.`;

const HARDWARE_HELP = `
The host file:

  imperm-host: 1
  ssh:
    address: 192.0.2.7               # while an installer runs on the machine
    port: 22                         # default
    key: ~/.ssh/bench                # private key that lets root in, without a passphrase
    hostKey: ssh-ed25519 AAAA…       # of the installer: ssh-keyscan -t ed25519 192.0.2.7
  disks:                             # the only ones that may be written, by their names in scenarios
    main:
      serial: S64DNF0R123456         # all three have to match, to the letter
      model: Samsung SSD 980 PRO 1TB
      size: 1000204886016            # bytes
      id: nvme-…                     # name in /dev/disk/by-id, where several disks have that serial number
  console:                           # optional: the serial console, where passphrases are typed
    command: [ipmitool, …, sol, activate]   # joins its standard input and output with it, and stays
    device: ttyS0,115200n8           # default; as the kernel names it
  power:                             # optional: its switch; commands that end when it is done
    'off': [ipmitool, …, chassis, power, 'off']
    'on': [ipmitool, …, chassis, power, 'on']
  system:                            # optional: the system under test, once it runs
    address: 192.0.2.7               # default: that of the installer
    port: 2222                       # default
    network: { address: 192.0.2.7/24, gateway: 192.0.2.1 }   # default: DHCP
    kernelParameters: [quiet]        # added to its boot entry
  timeScale: 1                       # multiplies every time limit

imperm image makes an installer; harness/target/hardware/run-on-hardware.md leads through everything.

Without a disk in it (disks: {}) the disks of the machine are shown, to be pasted.

A disk is refused when no disk, or more than one, has its serial number; when model or size are others; when it is no whole
disk, or read-only; when it or something made of it is mounted (in any namespace), swapped to, held by another device,
or part of a mounted file system or of an imported ZFS pool.

Exit codes: 0 every disk of the file could be written, 2 the file is wrong, 69 one is refused or the machine does not answer.`;

/** The whole command line. @returns The exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const environment = readEnvironment();
  // Whoever reads only the beginning (`| head`) has seen what they wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.ok);
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
  withRunOptions(command('run', 'run scenarios: names below scenarios/, or files'))
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
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const error = asHarnessError(thrown);
    process.stderr.write(renderError(error));
    return error.exitCode;
  }
}

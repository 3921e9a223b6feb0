import path from 'node:path';

import { type Command, Option } from 'commander';

import { repositoryRoot } from '../core/index.js';

/** Where reports are written when nobody says so. */
export const REPORTS = path.join(repositoryRoot, 'reports');

export function withTarget(command: Command): Command {
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
      'with --target libvirt, its address: qemu:///session, qemu+ssh://user@host/system (default: qemu:///system); imperm run takes several, once each',
      (uri: string, before: readonly string[] | undefined) => [...(before ?? []), uri],
    );
}

export function withHostOptions(command: Command): Command {
  return withAccelerator(withTarget(command));
}

export function withAccelerator(command: Command): Command {
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

export function withVariant(command: Command): Command {
  return command.option('--variant <axis=value...>', 'only variants with this value, such as disk=nvme');
}

export function withVariantOptions(command: Command): Command {
  return withVariant(command)
    .option('--all-pairs', 'so many variants that every pair of values occurs (the default)')
    .option('--full', 'every variant')
    .option('--once', 'the first variant of each scenario');
}

export function withGuest(command: Command): Command {
  return command.addOption(
    new Option(
      '--guest <guest>',
      'what is installed: NixOS-shaped Debian, or real NixOS (needs Nix and a binary cache)',
    )
      .choices(['debian', 'nixos'])
      .default('debian'),
  );
}

export function withRunOptions(command: Command): Command {
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

export function withReports(command: Command): Command {
  return command.option('--reports <folder>', 'where reports are written', REPORTS);
}

export function withReportOptions(command: Command): Command {
  return withReports(command).option(
    '-v, --verbose',
    'also show console lines and every promise that was kept',
    false,
  );
}

/** After the help of the whole, and of `imperm run`. */
export const EXAMPLES = `
Examples:
  imperm run                                   the default scenario
  imperm run --all                             every scenario and variant
  imperm run btrfs-luks-rollback --variant disk=nvme
  imperm run ./my-layout.yaml                  your own layout
  imperm run --flake .#laptop                  a host of your own flake (nix/test-your-own-flake.md)
  imperm leaks                                 what the newest run found that no boot would keep
  imperm new my-layout.yaml                    make a scenario, by a few questions
  imperm check my-layout.yaml                  known faults, told without a machine
  imperm plan my-layout.yaml                   what would be done, without doing it

Exit codes: 0 as promised, 1 a layout broke a promise or kept it only when it was run again, 2 a scenario or the command
line is wrong, 69 the host or a machine could not run it, 130 interrupted.`;

/** After the help of `imperm leaks`. */
export const LEAKS_HELP = `
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

/** After the help of `imperm compare`. */
export const COMPARE_HELP = `
A variant is the same one when its name, its guest and its target are. Times are compared in variants that came to a good end
in both runs, phase by phase, and only between runs on the same accelerator.

Examples:
  imperm compare reports/2026-11-21-100233-2140 reports/latest
  imperm compare --markdown --factor 2 last-night tonight >>"$GITHUB_STEP_SUMMARY"

Exit codes: 0 whatever changed, 2 a record cannot be read.`;

/** After the help of `imperm hardware check`. */
export const HARDWARE_HELP = `
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

Examples:
  imperm hardware check bench.yaml

Exit codes: 0 every disk of the file could be written, 2 the file is wrong, 69 one is refused or the machine does not answer.`;

/** After the help of `imperm check`. */
export const CHECK_HELP = `
Looks for faults that are known from reports of others: a rollback that nothing starts, a unit whose name is wrong, a
script that deletes before it has looked, a tool that stage 1 does not have. Every variant of a scenario is looked at; nothing
of it is run. What imperm check does not find may be wrong all the same: only imperm run proves a layout.

  warning   counts
  declared  the scenario is there to show a fault (expect: {verdict: known-bug}): nothing in it counts
  excepted  the scenario says that the lint is not to count, and why:
              lint: { without: { swap-in-the-clear: the machine never leaves the house } }
            An exception that is not needed is a warning, in the file that makes it. An exception of a scenario that
            is extended is taken over; null takes it back.

Examples:
  imperm check ./my-layout.yaml
  imperm check btrfs-luks-rollback tmpfs-luks-ext4
  imperm check --all                           every scenario that imperm run --all takes
  imperm check --list                          every lint, why it matters, and the scenario that shows it

Exit codes: 0 nothing that counts, 1 a warning, 2 a scenario or the command line is wrong.`;

/** After the help of `imperm new`. */
export const NEW_HELP = `
At a terminal it asks for what no option says; elsewhere what is not said has a default. The file is complete and explains
every key; its scripts, and a schema for editors, are written beside it, and nothing that is there is overwritten. What it
makes is a layout that imperm check finds nothing in.

  --root btrfs-rollback   a btrfs subvolume that stage 1 deletes and makes anew (the default)
  --root btrfs-snapshot   a btrfs subvolume that stage 1 rolls back to a blank snapshot
  --root tmpfs            the root lies in memory, everything that lasts on ext4

With --from the file holds only what differs from another scenario, with examples of what people change: a bug report is
mostly written so.

Examples:
  imperm new
  imperm new laptop.yaml --root btrfs-snapshot --luks tpm2 --keep /var/lib/bluetooth --user alice
  imperm new server/scenario.yaml --root tmpfs --luks none --stage1 scripted --disk nvme
  imperm new my-bug.yaml --from btrfs-luks-rollback

Exit codes: 0 written, 2 the command line is wrong, or a file is there already.`;

/** After the help of commands that need no more words. */
export const SHORT_HELP: Readonly<Record<string, string>> = {
  start: `
Examples:
  imperm start                                 the default scenario, in one variant
  imperm start --yes                           nobody is asked
  imperm start --full                          every variant of it`,
  plan: `
Examples:
  imperm plan                                  the default scenario
  imperm plan tmpfs-luks-ext4 --once           its first variant
  imperm plan btrfs-luks-rollback --variant disk=nvme
  imperm plan ./my-layout.yaml
  imperm plan --all --guest nixos              what real NixOS would be asked for`,
  list: `
Examples:
  imperm list`,
  nix: `
Examples:
  imperm nix btrfs-luks-rollback
  imperm nix ./my-layout.yaml >my-layout.json`,
  image: `
Examples:
  imperm image installer.img --authorized-key bench.pub
  imperm image installer.img --authorized-key bench.pub --address 192.0.2.7/24 --gateway 192.0.2.1
  imperm image netboot --netboot --authorized-key bench.pub`,
  console: `
Examples:
  imperm console                               of the newest run, when it has one variant
  imperm console 2026-11-21-100233-2140 nvme
  imperm console --follow                      of a run that is not over yet
  imperm console --log journal                 what the system wrote to its journal`,
  evidence: `
Examples:
  imperm evidence                              of the newest run
  imperm evidence 2026-11-21-100233-2140`,
  doctor: `
Examples:
  imperm doctor
  imperm doctor --target libvirt               that libvirt, too
  imperm doctor --tools host                   the host's own QEMU and firmware

Exit codes: 0 everything is there, 69 something is missing.`,
  setup: `
Examples:
  imperm setup
  imperm setup --quiet --yes                   for scripts`,
  reap: `
Examples:
  imperm reap
  imperm reap --connect qemu+ssh://user@host/system`,
  bench: `
Examples:
  imperm bench
  imperm bench --runs 1`,
};

import type { Command } from 'commander';

import type { MutateOptions } from './mutate-options.js';

const HELP = `
A mutant is a correct layout with one thing broken: the rollback or one line of it, a mount, an option, something that is
persisted, the place of a password, of a key, of swap. It keeps the promises of the layout as it is: one of them has to tell.

  killed      a promise was broken, in a machine; it is ended at once
  refused     decided without a machine: the loader does not take it, or (--lints) imperm check tells
  survived    every promise was kept; what would have had to be promised is said
  equivalent  the same layout in other words, by a rule that is said
  error       nobody knows; run again by --resume

Each is installed and booted twice, and its disk is read (steps of the scenario from its second reboot on are left out).
What survives that is put through the scenarios that do more to the same layout, or to one that extends it: faults, power
cuts, hibernation (scenarios/bugs/*-corrected). The layout as it is runs first, in the same way (--controls): a broken promise
there is a false alarm. Scripts are read and changed as text; nothing of them is run on this host.

Examples:
  imperm mutate --list                         the mutants of the default scenario
  imperm mutate btrfs-luks-rollback --only 'rollback/*'
  imperm mutate tmpfs-luks-ext4 --variant stage1=scripted -j 2
  imperm mutate --resume reports/2026-11-21-100233-2140/mutants.json

Exit codes: 0 none survived and no false alarm, 1 one of both, 2 a scenario or the command line is wrong,
69 not all could be run, 130 interrupted (--resume goes on).`;

/** Adds arguments, options and help of `imperm mutate`. */
export function addMutate(
  command: Command,
  action: (names: string[], options: MutateOptions) => Promise<void>,
): void {
  command
    .argument('[scenario...]')
    .option('--list', 'show the mutants, and run none', false)
    .option('--only <id...>', 'only mutants with such an id; * stands for anything')
    .option('--trial <name...>', 'put survivors through these scenarios only, in this order')
    .option('--lints', 'what `imperm check` finds in a mutant counts as killed, and needs no machine', false)
    .option('--controls <n>', 'how often the layout is run as it is', '1')
    .option('--resume <file>', 'go on with these results: only what they do not know is run')
    .option('-j, --jobs <n>', 'most machines at the same time (default: one more than processors)')
    .addHelpText('after', HELP)
    .action(action);
}

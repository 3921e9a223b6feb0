import type { Command } from 'commander';

import type { AttemptOptions } from './attempts.js';
import type { HistoryOptions } from './history.js';
import type { MergeOptions } from './merge.js';
import type { ShardOptions } from './shard.js';

/** Options of `imperm run` for many variants, run often, on more than one machine. */
export interface MatrixOptions extends AttemptOptions, ShardOptions {
  /** Where runs are noted. Default: `history.jsonl` in the reports folder. */
  readonly history?: string;
}

/** Adds the options of `MatrixOptions`. */
export function withMatrixOptions(command: Command): Command {
  return withHistory(command)
    .option('--repeat <n>', 'run every variant n times; each run counts')
    .option('--until-fail [n]', 'repeat until one is not as declared, at most n times each (default: 100)')
    .option(
      '--retries <n>',
      'run a variant that is not as declared again, up to n times; as declared then, it is flaky, and the exit code 1',
    )
    .option(
      '--shard <i/n>',
      'run only part i of n; all n parts are everything, and `imperm merge` makes one run of them',
    )
    .option(
      '--durations <file>',
      'with --shard, divide by how long variants took: a history, a record, or a folder with one; the same for all shards (default: in turn)',
    );
}

function withHistory(command: Command): Command {
  return command.option(
    '--history <file>',
    'where runs are noted (default: history.jsonl in the reports folder)',
  );
}

const MERGE_HELP = `
The folders are those of runs that were made with --shard 1/n, 2/n … n/n. They become one run with all reports and a copy of
all evidence, as if everything had been run at once. Nothing is written unless every variant of the selection is there, once:
a missing shard, one given twice, one that was interrupted or ended early, a record that cannot be read, and shards of
different selections or versions are refused.

Examples:
  imperm run --all --shard 1/2 --durations history.jsonl     on one machine
  imperm run --all --shard 2/2 --durations history.jsonl     on another
  imperm merge shard-1/latest shard-2/latest                 where both folders of reports were brought

Exit codes: as those of imperm run for the whole; 2 when the shards cannot be merged.`;

/** Adds arguments, options and help of `imperm merge`. Where reports are written is added by the caller. */
export function addMerge(
  command: Command,
  action: (folders: string[], options: MergeOptions) => Promise<void>,
): void {
  withHistory(command)
    .argument('<folder...>', 'folders of the runs of all shards')
    .addHelpText('after', MERGE_HELP)
    .action(action);
}

const HISTORY_HELP = `
Every run notes its variants in the history: verdict, time, first broken promise, version, what it ran on. The reports of
later runs tell from it since when a variant is not as declared. Of each variant the newest 20 runs are counted.

Examples:
  imperm history                               every variant, those that are not as declared first
  imperm history btrfs-luks-rollback           every run of all its variants
  imperm history 'btrfs-luks-rollback[disk=nvme]' --json`;

/** Adds arguments, options and help of `imperm history`. */
export function addHistory(
  command: Command,
  action: (variant: string | undefined, options: HistoryOptions) => Promise<void>,
): void {
  withHistory(command)
    .argument('[variant]', 'id of a variant, or the name of a scenario')
    .option('--json', 'as JSON lines', false)
    .addHelpText('after', HISTORY_HELP)
    .action(action);
}

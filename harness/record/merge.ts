import { HarnessError } from '../core/index.js';
import { variantIdOf } from './attempts.js';
import type { RunRecord, ShardRecord, VariantRecord } from './record.js';

/** One shard's run, and where it lies. */
export interface ShardRun {
  /** As it should be shown. */
  readonly folder: string;
  readonly record: RunRecord;
}

interface KnownShard extends ShardRun {
  readonly shard: ShardRecord;
}

/**
 * Puts the records of all shards of a selection together, as if it had been one run. Nothing is believed: that every variant
 * of the selection is there, and once, is looked at.
 *
 * @param run Name of the merged run.
 * @throws {HarnessError} USAGE for a run that is no shard, that was interrupted or ended before all its variants were run.
 * @throws {HarnessError} USAGE for shards of different selections or versions, one that is missing, one given twice, or shards
 * that were divided differently.
 */
export function mergeRecords(runs: readonly ShardRun[], run: string): RunRecord {
  const shards = runs.map(asShard);
  const [first] = shards;
  if (first === undefined) throw refuse('no shard is given', 'Give the folders of all shards.');
  for (const shard of shards) checkSameRun(shard, first);
  checkAllGiven(shards, first);
  for (const shard of shards) checkComplete(shard);
  checkDivision(shards, first);

  const ordered = [...shards].sort((one, other) => one.shard.index - other.shard.index);
  const startMs = Math.min(...ordered.map(({ record }) => Date.parse(record.startedAt)));
  const endMs = Math.max(...ordered.map(({ record }) => Date.parse(record.startedAt) + record.durationMs));
  const { host } = first.record;
  const isOneHost = ordered.every(({ record }) => JSON.stringify(record.host) === JSON.stringify(host));
  const variants = ordered.flatMap(({ record }) => record.variants);
  const placeOf = new Map(first.shard.selection.map((id, index) => [id, index]));
  const place = (variant: VariantRecord): number => placeOf.get(variantIdOf(variant)) ?? 0;
  return {
    version: first.record.version,
    imperm: first.record.imperm,
    run,
    command: first.record.command,
    startedAt: new Date(startMs).toISOString(),
    durationMs: endMs - startMs,
    interrupted: false,
    mergedFrom: ordered.map(({ shard, record }) => ({
      index: shard.index,
      run: record.run,
      startedAt: record.startedAt,
      durationMs: record.durationMs,
      ...(record.host === undefined ? {} : { host: record.host }),
    })),
    ...(isOneHost && host !== undefined ? { host } : {}),
    setup: ordered.flatMap(({ record }) =>
      record.setup.map((phase) => ({
        ...phase,
        startMs: phase.startMs + Date.parse(record.startedAt) - startMs,
      })),
    ),
    // Attempts at one variant are in one shard, and stay in their order.
    variants: [...variants].sort((one, other) => place(one) - place(other)),
  };
}

function asShard({ folder, record }: ShardRun): KnownShard {
  const { shard, mergedFrom } = record;
  if (shard !== undefined) return { folder, record, shard };
  const what = mergedFrom === undefined ? 'a run of a whole selection' : 'a merged run';
  throw refuse(
    `${folder} is no shard but ${what}`,
    'Shards are made by `imperm run --shard 1/3`, `--shard 2/3` and so on.',
  );
}

function checkSameRun({ folder, record, shard }: KnownShard, first: KnownShard): void {
  const of = (known: KnownShard): string =>
    JSON.stringify([known.shard.count, known.shard.digest, [...known.shard.selection].sort()]);
  if (record.imperm !== first.record.imperm) {
    throw refuse(
      `${folder} was made by imperm ${record.imperm}, and ${first.folder} by imperm ${first.record.imperm}`,
      'Run all shards with one version.',
    );
  }
  if (of({ folder, record, shard }) !== of(first)) {
    throw refuse(
      `${folder} is a shard of another selection than ${first.folder}`,
      'All shards have to be run with the same options, in the same state of the scenarios, and with the same count of shards.',
    );
  }
}

function checkAllGiven(shards: readonly KnownShard[], { shard: { count } }: KnownShard): void {
  for (const { folder, shard } of shards) {
    const twice = shards.find((other) => other.folder !== folder && other.shard.index === shard.index);
    const same = shards.filter((other) => other.shard.index === shard.index);
    if (same.length > 1) {
      throw refuse(
        `shard ${String(shard.index)}/${String(count)} is there twice: ${folder} and ${twice?.folder ?? folder}`,
        'Give each shard once; of one that was run again, the newer run.',
      );
    }
    if (shard.index > count)
      throw refuse(
        `${folder} says that it is shard ${String(shard.index)} of ${String(count)}`,
        'The record was changed. Run this shard again.',
      );
  }
  const given = new Set(shards.map(({ shard }) => shard.index));
  const missing = Array.from({ length: count }, (_, index) => index + 1).filter((index) => !given.has(index));
  if (missing.length === 0) return;
  throw refuse(
    `${missing.map((index) => `shard ${String(index)}/${String(count)}`).join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing; given are ${shards.map(({ folder, shard }) => `${folder} (${String(shard.index)}/${String(count)})`).join(', ')}`,
    'Give the folders of all shards; one that has not been run is run by `imperm run` with its `--shard`.',
  );
}

/** A run may have ended before it came to all variants. */
function checkComplete({ folder, record, shard }: KnownShard): void {
  const run = new Set(record.variants.map(variantIdOf));
  const missing = shard.part.filter((id) => !run.has(id));
  const again = `Run shard ${String(shard.index)}/${String(shard.count)} again.`;
  if (record.interrupted) throw refuse(`${folder} was interrupted before it was finished`, again);
  if (missing.length > 0) {
    throw refuse(
      `${folder} lacks ${String(missing.length)} of its ${String(shard.part.length)} variants: ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ' …' : ''}`,
      `That run ended early; what it said then tells why. ${again}`,
    );
  }
  const extra = [...run].find((id) => !shard.part.includes(id));
  if (extra !== undefined)
    throw refuse(
      `${folder} holds ${extra}, which is not one of its variants`,
      `The record was changed. ${again}`,
    );
}

/** Each variant of the selection has to be in exactly one part. */
function checkDivision(shards: readonly KnownShard[], { shard: { selection } }: KnownShard): void {
  const hint = 'All shards have to be given the same --durations, or none. Run them again.';
  const folderOf = new Map<string, string>();
  for (const { folder, shard } of shards) {
    for (const id of shard.part) {
      const other = folderOf.get(id);
      if (other !== undefined) throw refuse(`${id} is in two shards: ${other} and ${folder}`, hint);
      folderOf.set(id, folder);
    }
  }
  const missing = selection.filter((id) => !folderOf.has(id));
  if (missing.length === 0) return;
  const folders = shards.map(({ folder }) => folder).join(', ');
  throw refuse(`no shard has ${missing.slice(0, 3).join(', ')}; given are ${folders}`, hint);
}

function refuse(what: string, hint: string): HarnessError {
  return new HarnessError('USAGE', `Could not merge: ${what}`, { hint });
}

import path from 'node:path';

import { EXIT } from '../core/index.js';
import { attemptsOf, exitCodeOf, type HostRecord, type RunRecord, type Verdict } from '../record/index.js';
import { renderParagraph } from './block.js';
import { describeLeaks } from './leaks.js';
import { countWipes, digestPromises, type PromiseOutcome } from './digest.js';
import type { Paint } from './paint.js';
import { describeGuests } from './real-nixos.js';
import { countOf, formatDuration, formatSize } from './words.js';

const VERDICT_COUNT: Readonly<Record<Verdict, string>> = {
  pass: 'passed',
  fail: 'failed',
  flaky: 'flaky',
  error: 'could not be judged',
  'known-bug': 'failed as declared',
  skip: 'skipped',
};

const EXIT_REASON: Readonly<Record<number, string>> = {
  [EXIT.ok]: 'everything was as declared',
  [EXIT.layoutFailed]: 'a layout broke a promise',
  [EXIT.unavailable]: 'something could not be run, which says nothing about the layout',
  [EXIT.interrupted]: 'the run was interrupted',
};

export interface ClosingOptions {
  readonly paint: Paint;
  /** Columns. */
  readonly width: number;
  /** Folder of `record.json`, as it should be shown; absent when the text lies in it. */
  readonly folder: string | undefined;
}

/** The last lines: verdicts, what was proved in words, on what machines, and where the report lies. */
export function renderClosing(record: RunRecord, options: ClosingOptions): string[] {
  const { folder } = options;
  const at = { ...options, indent: 0 };
  const where =
    folder === undefined
      ? 'Paths are relative to the folder of this report.'
      : `Report: ${folder} (report.html for a browser)`;
  return [
    ...renderParagraph(describeVerdicts(record), { ...at, format: 'bold' }),
    ...renderParagraph(describeProofs(record), at),
    ...describeLeaks(record.variants, folder).flatMap((text) => renderParagraph(text, at)),
    ...describeKept(record, folder),
    ...renderParagraph(describeGuests(record), at),
    ...renderParagraph(describeMachines(record), at),
    ...renderParagraph(where, at),
    ...renderParagraph(describeExit(record), at),
  ];
}

/** "3 variants: 1 passed, 2 failed." */
export function describeVerdicts(record: RunRecord): string {
  const variants = record.variants;
  if (variants.length === 0) return 'No variant was run.';
  const counts = Object.entries(VERDICT_COUNT).flatMap(([verdict, words]) => {
    const count = variants.filter((variant) => variant.verdict === verdict).length;
    return count === 0 ? [] : [`${String(count)} ${words}`];
  });
  return `${countOf(variants.length, 'variant')}: ${counts.join(', ')}.`;
}

/** What lies on the disk because somebody wanted to keep it, and how it is opened: lines to be copied, and so not folded. */
function describeKept({ run, variants }: RunRecord, folder: string | undefined): string[] {
  return variants
    .flatMap(attemptsOf)
    .flatMap(({ kept, folder: variant }) =>
      kept === undefined
        ? []
        : [
            `Kept, ${formatSize(kept.sizeBytes)} (rm -r ${path.join(folder ?? '', kept.folder)}):`,
            `  npx imperm shell ${folder ?? run} ${variant}`,
          ],
    );
}

/** "3 boots, 2 wipes of the root proved; 7 promises kept, 0 broken (9 checks)." */
export function describeProofs(record: RunRecord): string {
  if (record.variants.every((variant) => variant.verdict === 'skip')) {
    return 'Nothing was run, so nothing is proved.';
  }
  const promises = record.variants.flatMap((variant) => digestPromises(variant.checks));
  const count = (outcome: PromiseOutcome['outcome']): number =>
    promises.filter((promise) => promise.outcome === outcome).length;
  const boots = record.variants.reduce((sum, variant) => sum + variant.boots.length, 0);
  const checks = record.variants.reduce((sum, variant) => sum + variant.checks.length, 0);
  const unproved = count('unproved') === 0 ? '' : `, ${String(count('unproved'))} could not be looked at`;
  return (
    `${countOf(boots, 'boot')}, ${countOf(countWipes(record.variants), 'wipe')} of the root proved; ` +
    `${countOf(count('kept'), 'promise')} kept, ${String(count('broken'))} broken${unproved} ` +
    `(${countOf(checks, 'check')}).`
  );
}

function describeMachines(record: RunRecord): string {
  const took = `Took ${formatDuration(record.durationMs)}`;
  const { host, hosts, mergedFrom } = record;
  if (mergedFrom !== undefined && host === undefined)
    return `${took}. Merged from ${countOf(mergedFrom.length, 'shard')}: ${listHosts(mergedFrom.map((shard) => ({ name: `shard ${String(shard.index)}`, host: shard.host })))}.`;
  if (hosts !== undefined)
    return `${took}, on ${countOf(hosts.length, 'host')}: ${listHosts(hosts.map((each) => ({ name: each.connect ?? 'here', host: each })))}.`;
  if (host === undefined) return `${took}. Ended before it was known what the machines would run on.`;
  if (host.accelerator === 'none')
    return `${took}, on a real machine: ${host.qemu}, firmware ${host.firmware}.`;
  const accelerator = host.accelerator === 'kvm' ? 'KVM' : 'TCG, which is emulation and slow';
  const cpuMs = record.variants.flatMap(attemptsOf).reduce((sum, attempt) => sum + attempt.machineCpuMs, 0);
  return (
    `${took}; the machines used ${formatDuration(cpuMs)} of processor time. ` +
    `They ran on ${accelerator} (${host.acceleratorReason}), QEMU ${host.qemu}, firmware ${host.firmware}, ` +
    `host with ${countOf(host.cpus, 'CPU')}.`
  );
}

/** "shard 1 on kvm, QEMU 10.0.13, 4 CPUs; shard 2 on nothing" */
function listHosts(
  named: readonly { readonly name: string; readonly host: HostRecord | undefined }[],
): string {
  return named
    .map(({ name, host }) => {
      const on =
        host === undefined
          ? 'nothing'
          : `${host.accelerator}, QEMU ${host.qemu}, ${countOf(host.cpus, 'CPU')}`;
      return `${name} on ${on}`;
    })
    .join('; ');
}

function describeExit(record: RunRecord): string {
  const code = exitCodeOf(record);
  if (code === EXIT.layoutFailed && record.variants.every(({ verdict }) => verdict !== 'fail'))
    return `Exit code ${String(code)}: a variant was as declared only when it was run again.`;
  return `Exit code ${String(code)}: ${EXIT_REASON[code] ?? 'unknown'}.`;
}

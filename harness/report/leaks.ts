import type { LeakRecord, LeaksFile, LeaksRecord, VariantRecord } from '../record/index.js';
import { renderLabelled, renderParagraph } from './block.js';
import { createPaint, type Paint } from './paint.js';
import { makeOneLine, makePrintable } from './text.js';
import { countOf, formatSize, listOf } from './words.js';

export interface LeaksOptions {
  /** Default: false. */
  readonly color?: boolean;
  /** Columns. Default: 100. */
  readonly width?: number;
}

interface At {
  readonly paint: Paint;
  readonly width: number;
}

/** All leaks of one variant, by owner, with the declarations that would keep them. */
export function renderLeaks(variant: string, leaks: LeaksFile, options: LeaksOptions = {}): string {
  const paint = createPaint(options.color ?? false);
  const at = { paint, width: Math.max(60, options.width ?? 100) };
  const seen =
    leaks.view === 'disk' ? 'the powered-off disk' : 'the running system, because the root is in memory';
  const sections = [
    [paint('bold', `== ${makeOneLine(variant)} ==`)],
    renderList('The next boot loses', leaks.lost, at),
    renderList('Every boot makes anew, with another content', leaks.remade, at),
    renderList(
      `Kept in ${leaks.stores.length === 0 ? 'no store' : listOf(leaks.stores.map(makeOneLine))}, although nothing declares it`,
      leaks.orphans,
      at,
    ),
    leaks.missing.flatMap((text) =>
      renderLabelled('not known', text, { ...at, indent: 0, format: 'yellow' }),
    ),
    leaks.lost === undefined
      ? []
      : renderParagraph(`Looked at: ${seen}.`, { ...at, indent: 0, format: 'dim' }),
    leaks.nix === '' ? [] : [paint('bold', 'To keep it:'), '', makePrintable(leaks.nix.trimEnd())],
  ];
  return `${sections
    .map((lines) => lines.join('\n'))
    .filter((text) => text !== '')
    .join('\n\n')}\n`;
}

function renderList(title: string, leaks: readonly LeakRecord[] | undefined, at: At): string[] {
  const { paint } = at;
  if (leaks === undefined) return [`${paint('bold', title)}: ${paint('yellow', 'could not be looked at')}`];
  if (leaks.length === 0) return [`${paint('bold', title)}: nothing`];
  const owners = [...new Set(leaks.map(ownerOf))].sort(
    (a, b) => Number(a === UNKNOWN) - Number(b === UNKNOWN) || (a < b ? -1 : 1),
  );
  return [
    `${paint('bold', title)}: ${countOf(leaks.length, 'thing')}`,
    ...owners.flatMap((owner) => [
      `  ${paint('underline', makeOneLine(owner))}`,
      ...leaks
        .filter((leak) => ownerOf(leak) === owner)
        .flatMap((leak) => [
          `    ${makeOneLine(leak.path)}`,
          ...renderParagraph(makeOneLine(describeLeak(leak)), { ...at, indent: 6, format: 'dim' }),
        ]),
    ]),
  ];
}

const UNKNOWN = 'unknown';

function ownerOf({ owner, because }: LeakRecord): string {
  return because === undefined ? UNKNOWN : `${owner} (${because})`;
}

/** "directory, new: 3 files and 1 link, 1.2 KiB (timestamps, secret_key, …), root:root 0700" */
function describeLeak(leak: LeakRecord): string {
  const { kind, changes, content, sizeBytes, target, user, group, mode } = leak;
  const size = sizeBytes === undefined ? '' : `, ${describeSize(sizeBytes)}`;
  const link = target === undefined ? '' : ` to ${target}`;
  const owner = kind === 'link' ? `${user}:${group}` : `${user}:${group} ${mode}`;
  return `${kind}${link}, ${changes.join(', ')}${content === undefined ? '' : `: ${describeContent(content)}`}${size}; ${owner}`;
}

function describeContent(content: NonNullable<LeakRecord['content']>): string {
  const { files, directories, links, subvolumes, others, sizeBytes, sample } = content;
  const counts = (
    [
      [files, 'file'],
      [links, 'link'],
      [subvolumes, 'nested subvolume'],
      [others, 'special file'],
    ] as const
  ).flatMap(([count, noun]) => (count === 0 ? [] : [countOf(count, noun)]));
  if (directories > 0) counts.push(directories === 1 ? '1 directory' : `${String(directories)} directories`);
  const more = files + links + others > sample.length ? ', …' : '';
  const names = sample.length === 0 ? '' : ` (${sample.join(', ')}${more})`;
  return `${listOf(counts)}, ${describeSize(sizeBytes)}${names}`;
}

function describeSize(bytes: number): string {
  return bytes === 0 ? 'empty' : formatSize(bytes);
}

/** The paths of a variant's leaks, a line each; what could not be looked at, too. */
export function listLeaks({ leaks }: VariantRecord): string[] {
  if (leaks === undefined) return [];
  const tell = (what: string, paths: readonly string[] = []): string[] =>
    paths.map((path) => `${what}: ${makeOneLine(path)}`);
  return [
    ...tell('lost by the next boot', leaks.lost),
    ...tell('made anew by every boot', leaks.remade),
    ...tell('kept, not declared', leaks.orphans),
    ...tell('not known', leaks.missing),
  ];
}

/**
 * One line for each variant: what is not kept, and the command that tells all of it. Among several, those of which nothing is known
 * are left out: what broke tells enough of them.
 */
export function describeLeaks(variants: readonly VariantRecord[], folder: string | undefined): string[] {
  const told = variants.flatMap(({ id, leaks }) => (leaks === undefined ? [] : [{ id, leaks }]));
  const command = `imperm leaks${folder === undefined ? '' : ` ${folder}`}`;
  const known = told.filter(
    ({ leaks }) => told.length === 1 || leaks.missing.length === 0 || countAll(leaks) > 0,
  );
  return known.map(({ id, leaks }) => {
    const of = told.length === 1 ? '' : ` (${makeOneLine(id)})`;
    return `Not kept${of}: ${describeCounts(leaks)}: ${command}`;
  });
}

function countAll({ lost = [], remade = [], orphans = [] }: LeaksRecord): number {
  return lost.length + remade.length + orphans.length;
}

/** "3 things the next boot loses, 1 orphan in /persist" */
function describeCounts({ lost, remade, orphans, stores, missing }: LeaksRecord): string {
  const parts = [
    ...(lost === undefined || lost.length === 0
      ? []
      : [`${countOf(lost.length, 'thing')} the next boot loses`]),
    ...(remade === undefined || remade.length === 0
      ? []
      : [`${countOf(remade.length, 'thing')} every boot makes anew`]),
    ...(orphans === undefined || orphans.length === 0
      ? []
      : [`${countOf(orphans.length, 'orphan')} in ${listOf(stores.map(makeOneLine))}`]),
  ];
  if (lost === undefined || remade === undefined || orphans === undefined)
    parts.push(`not all could be looked at (${makeOneLine(missing[0] ?? 'no reason is known')})`);
  return parts.length === 0 ? 'nothing that anyone made, and no orphans' : parts.join(', ');
}

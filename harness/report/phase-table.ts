import { attemptsOf, type PhaseRecord, type RunRecord } from '../record/index.js';
import { layOutColumns, type Cell } from './columns.js';
import { createPaint } from './paint.js';
import { formatDuration, namePhase } from './words.js';

interface PhaseSum {
  readonly name: string;
  readonly times: number;
  readonly totalMs: number;
}

/**
 * Where the time went: the phases of the set-up and of the variants, added up by name, in the order in which
 * they first happened.
 *
 * The share is of the time spent (set-up and variants added up), not of the run's wall time: variants may run
 * side by side. What no phase covers is the harness's own time and has a row too.
 *
 * @param options.color Default: false.
 * @returns Lines, joined; empty when nothing was timed.
 */
export function renderPhaseTable(record: RunRecord, options: { readonly color?: boolean } = {}): string {
  const setup = sumPhases(record.setup);
  const attempts = record.variants.flatMap(attemptsOf);
  const phases = sumPhases(attempts.flatMap((attempt) => attempt.phases));
  const variantsMs = attempts.reduce((sum, attempt) => sum + attempt.durationMs, 0);
  const betweenMs = variantsMs - phases.reduce((sum, phase) => sum + phase.totalMs, 0);
  const spentMs = variantsMs + setup.reduce((sum, phase) => sum + phase.totalMs, 0);
  if (spentMs <= 0) return '';

  const rows = [
    ...setup.map((phase) => toCells(phase, { spentMs, label: `${namePhase(phase.name)} (set-up)` })),
    ...phases.map((phase) => toCells(phase, { spentMs, label: namePhase(phase.name) })),
  ];
  if (betweenMs >= 50) {
    rows.push(toCells({ name: '', times: 0, totalMs: betweenMs }, { spentMs, label: 'between the phases' }));
  }
  const lines = layOutColumns(
    [
      { title: 'phase' },
      { title: 'times', align: 'right' },
      { title: 'total', align: 'right' },
      { title: 'mean', align: 'right' },
      { title: 'share', align: 'right' },
    ],
    rows,
    createPaint(options.color ?? false),
  );
  return lines.join('\n');
}

function toCells(phase: PhaseSum, options: { spentMs: number; label: string }): Cell[] {
  return [
    { text: options.label },
    { text: phase.times === 0 ? '' : String(phase.times) },
    { text: formatDuration(phase.totalMs) },
    { text: phase.times === 0 ? '' : formatDuration(phase.totalMs / phase.times) },
    { text: `${String(Math.round((100 * phase.totalMs) / options.spentMs))} %` },
  ];
}

function sumPhases(phases: readonly PhaseRecord[]): PhaseSum[] {
  const sums = new Map<string, PhaseSum>();
  for (const { name, durationMs } of phases) {
    const sum = sums.get(name) ?? { name, times: 0, totalMs: 0 };
    sums.set(name, { name, times: sum.times + 1, totalMs: sum.totalMs + durationMs });
  }
  return [...sums.values()];
}

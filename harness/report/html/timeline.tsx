import type { VNode } from 'preact';

import type { PhaseRecord, VariantRecord } from '../../record/index.js';
import { formatDuration, nameBootHow, namePhase } from '../words.js';

/** Colours of phases, by what works in them: `--phase-…` in report.css. */
const KINDS: Readonly<Record<string, string>> = {
  firmware: 'firmware',
  kernel: 'kernel',
  'stage-1': 'stage1',
  'stage-2': 'stage2',
  settle: 'stage2',
  shutdown: 'off',
  'cut-boot': 'off',
  'cut-shutdown': 'off',
};

/** What a letter of a name, and the room around the name, take of the longest bar on a wide page. */
const LETTER_SHARE = 0.0105;
const ROOM_SHARE = 0.015;

interface Row {
  readonly title: string;
  readonly phases: readonly PhaseRecord[];
  readonly totalMs: number;
}

/** Where a variant's time went: a bar for each boot, and one for what was before and after, all to one scale. */
export function Timeline({ variant }: { readonly variant: VariantRecord }): VNode | null {
  const rows = rowsOf(variant);
  const longestMs = Math.max(1, ...rows.map(({ totalMs }) => totalMs));
  if (rows.length === 0) return null;
  return (
    <section class="timeline">
      <h3>Time</h3>
      {rows.map((row) => (
        <div class="bar-row">
          <span class="bar-title">{row.title}</span>
          <div class="bar" style={`width:${percent(row.totalMs / longestMs)}`}>
            {row.phases.map((phase) => (
              <Segment phase={phase} totalMs={row.totalMs} longestMs={longestMs} />
            ))}
          </div>
          <span class="bar-total">{formatDuration(row.totalMs)}</span>
        </div>
      ))}
      <details>
        <summary>Every phase</summary>
        <table class="phases">
          <tbody>
            {rows.flatMap(({ title, phases }) =>
              phases.map(({ name, durationMs }) => (
                <tr>
                  <td>{title}</td>
                  <td>{namePhase(name)}</td>
                  <td class="number">{formatDuration(durationMs)}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </details>
    </section>
  );
}

interface SegmentProps {
  readonly phase: PhaseRecord;
  readonly totalMs: number;
  readonly longestMs: number;
}

function Segment({ phase, totalMs, longestMs }: SegmentProps): VNode {
  const share = phase.durationMs / Math.max(1, totalMs);
  const name = namePhase(phase.name);
  const hasRoom = phase.durationMs / longestMs >= name.length * LETTER_SHARE + ROOM_SHARE;
  return (
    <span
      class={`segment phase-${KINDS[phase.name] ?? 'ours'}`}
      style={`width:${percent(share)}`}
      title={`${name}: ${formatDuration(phase.durationMs)}`}
    >
      {hasRoom ? name : ''}
    </span>
  );
}

/** In the order of time: what is done to a machine that is off stands between its boots. */
function rowsOf({ phases, boots }: VariantRecord): readonly Row[] {
  const first = phases.findIndex(({ boot }) => boot !== undefined);
  const last = phases.findLastIndex(({ boot }) => boot !== undefined);
  const titleAt = (index: number): string => {
    const boot = phases[index]?.boot;
    if (boot === undefined)
      return first < 0 || index < first ? 'install' : index > last ? 'powered off' : 'faults';
    const how = boots.find(({ number }) => number === boot)?.how;
    return `boot ${String(boot)}${how === undefined ? '' : `, ${nameBootHow(how)}`}`;
  };
  const rows: { readonly title: string; readonly phases: PhaseRecord[] }[] = [];
  for (const [index, phase] of phases.entries()) {
    const title = titleAt(index);
    const row = rows.at(-1);
    if (row?.title === title) row.phases.push(phase);
    else rows.push({ title, phases: [phase] });
  }
  return rows
    .map((row) => ({ ...row, totalMs: row.phases.reduce((sum, { durationMs }) => sum + durationMs, 0) }))
    .filter(({ totalMs }) => totalMs > 0);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)}%`;
}

import type { VNode } from 'preact';

import type { VariantRecord } from '../../record/index.js';
import { makePrintable } from '../text.js';

/** A line is found again in a quotation only when it has something to say. */
const LEAST_QUOTED = 12;

/** The console from the first power-on to the last, with the lines that broken promises quote. */
export function ConsoleLog({
  variant,
  text,
}: {
  readonly variant: VariantRecord;
  readonly text: string | undefined;
}): VNode | null {
  if (text === undefined || text === '') return null;
  const quoted = variant.checks
    .filter(({ status }) => status !== 'pass')
    .flatMap(({ evidence }) => evidence ?? [])
    .map(makePrintable);
  const lines = makePrintable(text).trimEnd().split('\n');
  const isMarked = (line: string): boolean => {
    const said = line.replace(/^\[ *[\d.]+\] /, '').trim();
    return said.length >= LEAST_QUOTED && quoted.some((quote) => quote.includes(said));
  };
  const marked = lines.filter(isMarked).length;
  return (
    <details class="console">
      <summary>
        Console, {lines.length} {lines.length === 1 ? 'line' : 'lines'}
        {marked === 0 ? '' : `, ${String(marked)} of them marked`}
      </summary>
      <Lines lines={lines} isMarked={isMarked} />
    </details>
  );
}

/** The scenario, with the lines at which promises were made that were not kept. */
export function ScenarioSource({
  variant,
  text,
}: {
  readonly variant: VariantRecord;
  readonly text: string | undefined;
}): VNode | null {
  if (text === undefined) return null;
  const { file } = variant.scenario;
  const marked = new Set(
    [...variant.checks.filter(({ status }) => status !== 'pass'), variant.error].flatMap((each) =>
      each?.place?.file === file ? [each.place.line] : [],
    ),
  );
  const lines = makePrintable(text).trimEnd().split('\n');
  return (
    <details class="scenario" open={marked.size > 0}>
      <summary>{file}</summary>
      <Lines lines={lines} isMarked={(_, index) => marked.has(index + 1)} />
    </details>
  );
}

function Lines({
  lines,
  isMarked,
}: {
  readonly lines: readonly string[];
  readonly isMarked: (line: string, index: number) => boolean;
}): VNode {
  return (
    <pre class="lines">
      {lines.map((line, index) =>
        isMarked(line, index) ? <mark>{`${line}\n`}</mark> : <span>{`${line}\n`}</span>,
      )}
    </pre>
  );
}

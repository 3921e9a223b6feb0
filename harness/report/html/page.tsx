import type { VNode } from 'preact';

import { hostsOf, type RunRecord, type VariantRecord, type Verdict } from '../../record/index.js';
import { digestPromises, reasonOf } from '../digest.js';
import { makePrintable } from '../text.js';
import { formatDuration } from '../words.js';
import { CanaryTable, DiskPicture, WipeStory } from './disk-story.js';
import { Attempts } from './attempts.js';
import type { VariantEvidence } from './evidence.js';
import { HistoryPart } from './history-part.js';
import { PromiseList } from './promise-list.js';
import { ConsoleLog, ScenarioSource } from './sources.js';
import { Timeline } from './timeline.js';

/** What is shown of a variant besides its record. */
export interface VariantMaterial {
  readonly evidence: VariantEvidence;
  /** Text of the scenario's file; absent when it could not be read. */
  readonly source?: string;
}

export interface PageProps {
  readonly record: RunRecord;
  /** By the id of the variant. */
  readonly materials: ReadonlyMap<string, VariantMaterial>;
  readonly style: string;
  readonly script: string;
}

const WORDS: Readonly<Record<Verdict, string>> = {
  fail: 'failed',
  error: 'error',
  flaky: 'flaky',
  'known-bug': 'known bug',
  pass: 'passed',
  skip: 'skipped',
};
/** What somebody has to look at first. */
const VERDICTS = Object.keys(WORDS) as Verdict[];

/** A whole run on one page, which needs no other file. */
export function Page({ record, materials, style, script }: PageProps): VNode {
  const { command } = record;
  const rank = ({ verdict }: VariantRecord): number => VERDICTS.indexOf(verdict);
  const variants = [...record.variants].sort((one, other) => rank(one) - rank(other));
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${makePrintable(command)}: ${summaryOf(variants)}`}</title>
        {/* Both are ours, from files beside this one. */}
        <style dangerouslySetInnerHTML={{ __html: style }} />
      </head>
      <body>
        <Head record={record} />
        <Overview variants={variants} />
        {variants.map((variant) => (
          <Variant variant={variant} material={materials.get(variant.id)} />
        ))}
        <script dangerouslySetInnerHTML={{ __html: script }} />
      </body>
    </html>
  );
}

function Head({ record }: Pick<PageProps, 'record'>): VNode {
  const { command, startedAt, durationMs, interrupted, imperm, variants } = record;
  return (
    <header>
      <h1>{summaryOf(variants)}</h1>
      <p>
        <code>{makePrintable(command)}</code>
      </p>
      <p>
        {startedAt.slice(0, 16).replace('T', ' ')} UTC, {formatDuration(durationMs)}
        {interrupted ? ', interrupted' : ''}, imperm {imperm}
      </p>
      {hostsOf(record).map((host) => (
        <p class="host">
          QEMU {host.qemu}, {host.firmware}; {host.cpus} processors, {(host.memoryMiB / 1024).toFixed(0)} GiB;{' '}
          {host.accelerator}: {makePrintable(host.acceleratorReason)}
        </p>
      ))}
    </header>
  );
}

function Overview({ variants }: { readonly variants: readonly VariantRecord[] }): VNode {
  const { columns, common } = splitAxes(variants);
  return (
    <section class="overview">
      <form class="filter" hidden>
        <input
          type="search"
          placeholder="scenario, axis, promise…"
          aria-label="Show only what has this text"
        />
        {VERDICTS.map((verdict) => {
          const count = variants.filter((each) => each.verdict === verdict).length;
          return count === 0 ? null : (
            <label class={`verdict verdict-${verdict}`}>
              <input type="checkbox" name="verdict" value={verdict} checked /> {WORDS[verdict]} {count}
            </label>
          );
        })}
      </form>
      {common.length === 0 ? null : <p class="common">All with {common.join(', ')}.</p>}
      <div class="scroll">
        <table class="verdicts">
          <thead>
            <tr>
              <th>verdict</th>
              <th>scenario</th>
              {columns.map((axis) => (
                <th>{axis}</th>
              ))}
              <th class="number">time</th>
              <th class="number">boots</th>
              <th class="number">kept</th>
              <th>not kept</th>
            </tr>
          </thead>
          <tbody>
            {variants.map((variant) => (
              <Row variant={variant} columns={columns} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row({
  variant,
  columns,
}: {
  readonly variant: VariantRecord;
  /** Axes that have a column. */
  readonly columns: readonly string[];
}): VNode {
  const { verdict, scenario, axes, durationMs, boots, checks } = variant;
  const promises = digestPromises(checks);
  const broken = promises.filter(({ outcome }) => outcome !== 'kept');
  return (
    <tr data-verdict={verdict} data-text={textOf(variant)}>
      <td>
        <span class={`verdict verdict-${verdict}`}>{WORDS[verdict]}</span>
      </td>
      <td>
        <a href={`#${anchorOf(variant)}`}>{makePrintable(scenario.name)}</a>
      </td>
      {columns.map((axis) => (
        <td>{axes[axis] ?? ''}</td>
      ))}
      <td class="number">{verdict === 'skip' ? '' : formatDuration(durationMs)}</td>
      <td class="number">{verdict === 'skip' ? '' : boots.length}</td>
      <td class="number">
        {promises.length === 0 ? '' : `${String(promises.length - broken.length)}/${String(promises.length)}`}
      </td>
      <td>
        {broken.length === 0 ? makePrintable(reasonOf(variant)) : broken.map(({ id }) => id).join(', ')}
      </td>
    </tr>
  );
}

function Variant({
  variant,
  material,
}: {
  readonly variant: VariantRecord;
  readonly material: VariantMaterial | undefined;
}): VNode {
  const { id, verdict, scenario, error, repeat, folder } = variant;
  const evidence: VariantEvidence = material?.evidence ?? { boots: new Map(), planted: new Map() };
  const reason = reasonOf(variant);
  return (
    <article id={anchorOf(variant)} data-verdict={verdict} data-text={textOf(variant)}>
      <h2>
        <span class={`verdict verdict-${verdict}`}>{WORDS[verdict]}</span> {makePrintable(id)}
      </h2>
      <p class="title">{makePrintable(scenario.title)}</p>
      {reason === '' ? null : <p class="reason">{makePrintable(reason)}</p>}
      <Attempts variant={variant} />
      <HistoryPart variant={variant} />
      {error?.hint === undefined ? null : <p class="hint">{makePrintable(error.hint)}</p>}
      {error?.details === undefined ? null : <pre class="quote">{makePrintable(error.details)}</pre>}
      <p class="repeat">
        <code>{repeat}</code>
      </p>
      <PromiseList variant={variant} />
      <Timeline variant={variant} />
      <DiskPicture evidence={evidence} />
      <WipeStory variant={variant} evidence={evidence} />
      <CanaryTable variant={variant} evidence={evidence} />
      {evidence.screen === undefined ? null : (
        <details class="screen">
          <summary>The screen</summary>
          <img
            src={`data:image/png;base64,${evidence.screen.toString('base64')}`}
            alt="What the screen showed"
          />
        </details>
      )}
      <ConsoleLog variant={variant} text={evidence.console} />
      <ScenarioSource variant={variant} text={material?.source} />
      <p class="files">
        <a href={encodeURI(`${folder}/`)}>all evidence</a>
      </p>
    </article>
  );
}

/** "12 passed, 1 failed" */
function summaryOf(variants: readonly VariantRecord[]): string {
  const parts = VERDICTS.map((verdict) => ({
    verdict,
    count: variants.filter((each) => each.verdict === verdict).length,
  })).filter(({ count }) => count > 0);
  return (
    parts.map(({ verdict, count }) => `${String(count)} ${WORDS[verdict]}`).join(', ') || 'nothing was run'
  );
}

/** Axes in which variants differ get a column; what all have in common is said once. */
function splitAxes(variants: readonly VariantRecord[]): {
  readonly columns: readonly string[];
  readonly common: readonly string[];
} {
  const names = [...new Set(variants.flatMap(({ axes }) => Object.keys(axes)))];
  const valuesOf = (axis: string): readonly (string | undefined)[] => [
    ...new Set(variants.map(({ axes }) => axes[axis])),
  ];
  return {
    columns: names.filter((axis) => valuesOf(axis).length > 1),
    common: names.flatMap((axis) => {
      const values = valuesOf(axis);
      return values.length === 1 ? [`${axis}=${values[0] ?? ''}`] : [];
    }),
  };
}

/** What the filter looks through. */
function textOf({ id, scenario, checks }: VariantRecord): string {
  const against = checks.filter(({ status }) => status !== 'pass').map((check) => check.id);
  return [id, scenario.title, ...new Set(against)].join(' ').toLowerCase();
}

function anchorOf({ id }: VariantRecord): string {
  return `variant-${encodeURIComponent(id)}`;
}

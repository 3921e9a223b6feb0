import type { CheckRecord, HostRecord, RunEvent } from '../record/index.js';
import { digestPromises, momentOf } from './digest.js';
import { describePhase, type Activity } from './live-state.js';
import { VERDICT_FORMAT, VERDICT_LABEL, type Paint } from './paint.js';
import { makeOneLine, makePrintable } from './text.js';
import { countOf, formatDuration } from './words.js';

export interface LineOptions {
  readonly paint: Paint;
  /** Also console lines, the ends of phases and the checks that pass. */
  readonly verbose: boolean;
  /** A display of what is under way stands below: beginnings need no line of their own. */
  readonly hasDisplay: boolean;
}

/**
 * The lines that an event leaves behind for good. Nothing of a message is cut.
 *
 * @param activity What the event belongs to, as `LiveState` knows it.
 */
export function renderEvent(
  event: RunEvent,
  activity: Activity | undefined,
  options: LineOptions & { readonly atMs: number },
): string[] {
  const { paint, verbose, hasDisplay } = options;
  const name = activity === undefined ? '' : `${paint('bold', makeOneLine(activity.name))}: `;
  switch (event.type) {
    case 'run-start':
      return [`${makeOneLine(event.command)} (report: ${makeOneLine(event.folder)})`];
    case 'shard': {
      const { index, count, part, selection } = event.shard;
      return [
        `Shard ${String(index)}/${String(count)}: ${String(part.length)} of ${countOf(selection.length, 'variant')}`,
      ];
    }
    case 'host':
      return toLines(describeHost(event.host));
    case 'note':
      return toLines(
        event.level === 'warn'
          ? `${paint('yellow', 'warning:')} ${makePrintable(event.text)}`
          : makePrintable(event.text),
      );
    case 'variant-start':
      return hasDisplay ? [] : [`${name}started, ${event.guest} on ${event.connect ?? event.target}`];
    case 'phase-start':
      return hasDisplay ? [] : [`${name}${describePhase(event.name, event.boot)}`];
    case 'phase-end': {
      if (!verbose && event.variant !== undefined) return [];
      const { phase } = event;
      return [`${name}${describePhase(phase.name, phase.boot)} took ${formatDuration(phase.durationMs)}`];
    }
    case 'console':
      return verbose ? [`${name}| ${makeOneLine(event.line)}`] : [];
    case 'silence': {
      const last =
        event.lastLine === ''
          ? 'nothing was heard before'
          : `the last line was: ${makeOneLine(event.lastLine)}`;
      return [
        `${name}${paint('yellow', `no word from the machine for ${String(Math.round(event.seconds))} s`)}; ${last}`,
      ];
    }
    case 'boot':
    case 'leaks':
      return [];
    case 'check':
      return renderCheck(event.check, activity, { ...options, name });
    case 'variant-end':
      return renderEnd(event, activity, options);
    case 'run-end':
      return event.interrupted ? [paint('yellow', 'Interrupted.')] : [];
  }
}

/** A promise that stays broken in the same way is named again, but its finding is not repeated. */
function renderCheck(
  check: CheckRecord,
  activity: Activity | undefined,
  { paint, verbose, name }: LineOptions & { readonly name: string },
): string[] {
  const title = `${makeOneLine(check.title)}, ${momentOf(check)}`;
  if (check.status === 'pass') return verbose ? [`${name}kept: ${title}`] : [];
  const earlier = (activity?.checks ?? []).filter(
    (other) => other !== check && other.id === check.id && other.status === check.status,
  );
  const still = earlier.length === 0 ? '' : 'still ';
  const label =
    check.status === 'fail' ? paint('red', `${still}broken:`) : paint('magenta', 'could not be looked at:');
  const isNew = earlier.at(-1)?.found !== check.found;
  return [`${name}${label} ${title}`, ...(isNew ? indent(`found: ${makePrintable(check.found)}`) : [])];
}

function renderEnd(
  event: Extract<RunEvent, { type: 'variant-end' }>,
  activity: Activity | undefined,
  { paint, atMs }: LineOptions & { readonly atMs: number },
): string[] {
  const promises = digestPromises(activity?.checks ?? []);
  const count = (outcome: string): number => promises.filter((promise) => promise.outcome === outcome).length;
  const facts = [
    formatDuration(atMs - (activity?.startAtMs ?? atMs)),
    ...(activity === undefined || activity.boots === 0 ? [] : [countOf(activity.boots, 'boot')]),
    ...(promises.length === 0 ? [] : [`${countOf(count('kept'), 'promise')} kept`]),
    ...(count('broken') === 0 ? [] : [`${String(count('broken'))} broken`]),
    ...(count('unproved') === 0 ? [] : [`${String(count('unproved'))} could not be looked at`]),
  ];
  const label = paint(VERDICT_FORMAT[event.verdict], VERDICT_LABEL[event.verdict]);
  const { error } = event;
  return [
    `${label}  ${paint('bold', makeOneLine(event.variant))}${event.verdict === 'skip' ? '' : `  ${facts.join(', ')}`}`,
    ...(event.reason === undefined ? [] : indent(makePrintable(event.reason))),
    ...(error === undefined ? [] : indent(`${error.code}: ${makePrintable(error.message)}`)),
    ...(error?.hint === undefined ? [] : indent(makePrintable(error.hint))),
  ];
}

function describeHost(host: HostRecord): string {
  if (host.accelerator === 'none')
    return makePrintable(`On a real machine: ${host.qemu}, firmware ${host.firmware}`);
  const how =
    host.accelerator === 'kvm'
      ? 'with KVM'
      : 'with TCG, without hardware acceleration and so about ten times slower';
  return makePrintable(
    `Machines run ${how} (${host.acceleratorReason}); QEMU ${host.qemu}, firmware ${host.firmware}`,
  );
}

function toLines(text: string): string[] {
  return text.trimEnd().split('\n');
}

function indent(text: string): string[] {
  return toLines(text).map((line) => `      ${line}`);
}

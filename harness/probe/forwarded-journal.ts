import type { Scenario } from '../scenario/index.js';
import { UNIT_FAILED, UNIT_STARTED, UNIT_STARTING } from './check-rollback-unit.js';
import type { JournalLine } from './evidence.js';

/** What systemd says when it begins, ends or fails to start a unit. */
const ABOUT =
  /^(Starting|Mounting|Started|Finished|Mounted|Failed to (?:start|mount)) (\S+\.(?:service|mount|target))/;

/**
 * The journal as it was forwarded to a console of its own while the machine ran: all there is of a boot that never
 * came up. It has times and texts, but not the fields that journalctl knows.
 *
 * @param text Of the last power-on or of several; only lines after the last start of the clock count.
 */
export function parseForwardedJournal(text: string, scenario: Scenario): JournalLine[] {
  const { rollback } = scenario.system;
  let lines: JournalLine[] = [];
  let lastUs = 0;
  for (const raw of text.split('\n')) {
    const match = /^\[ *(\d+\.\d+)\] ([^:[\s]+)(?:\[\d+\])?: (.*)$/.exec(raw);
    if (match === null) continue;
    const [, seconds, writer, message = ''] = match;
    const monotonicUs = Math.round(Number(seconds) * 1e6);
    // Another boot: its clock starts again.
    if (monotonicUs < lastUs - 1e6) lines = [];
    lastUs = monotonicUs;
    const about = writer === 'systemd' ? ABOUT.exec(message) : null;
    lines.push({
      monotonicUs,
      message,
      ...(about === null ? {} : { about: about[2] ?? '', messageId: messageIdOf(about[1] ?? '') }),
      ...(rollback !== undefined && writer === `${rollback.name}-start` ? { writer: rollback.unit } : {}),
    });
  }
  return lines;
}

function messageIdOf(verb: string): string {
  if (verb.startsWith('Failed')) return UNIT_FAILED;
  return verb === 'Starting' || verb === 'Mounting' ? UNIT_STARTING : UNIT_STARTED;
}

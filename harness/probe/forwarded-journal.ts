import type { Scenario } from '../scenario/index.js';
import type { JournalLine } from './evidence.js';
import { readManagerLine } from './manager-lines.js';

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
    lines.push({
      monotonicUs,
      message,
      ...(writer === 'systemd' ? readManagerLine(message) : {}),
      ...(rollback !== undefined && writer === `${rollback.name}-start` ? { writer: rollback.unit } : {}),
    });
  }
  return lines;
}

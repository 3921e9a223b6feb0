import type { JournalLine } from './evidence.js';
import { readManagerLine } from './manager-lines.js';
import { STAGE1_SCRIPT, stripDate } from './stage-one-log.js';

/**
 * Reads a line of `journalctl -o json`. It gives a message that is no valid text as an array of bytes, and one that is
 * very long as null.
 */
export function parseJournalLine(line: string): JournalLine {
  const entry = JSON.parse(line) as Record<string, string | number[] | null | undefined>;
  const field = (name: string): string | undefined => {
    const value = entry[name];
    return value === undefined || value === null
      ? undefined
      : typeof value === 'string'
        ? value
        : Buffer.from(value).toString('utf8');
  };
  // A line of the kernel's log gets to the journal long after it was written.
  const isScript = field('SYSLOG_IDENTIFIER') === STAGE1_SCRIPT;
  const isEarly = field('_TRANSPORT') === 'kernel' && field('SYSLOG_IDENTIFIER') === 'systemd';
  const writer = isScript ? STAGE1_SCRIPT : field('_SYSTEMD_UNIT');
  const message = field('MESSAGE') ?? '';
  const about = field('UNIT');
  const messageId = field('MESSAGE_ID');
  return {
    monotonicUs: Number(
      (isScript || isEarly ? field('_SOURCE_MONOTONIC_TIMESTAMP') : undefined) ??
        field('__MONOTONIC_TIMESTAMP'),
    ),
    message: isScript ? stripDate(message) : message,
    ...(writer === undefined ? {} : { writer }),
    ...(about === undefined ? {} : { about }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(isEarly ? readManagerLine(message) : {}),
  };
}

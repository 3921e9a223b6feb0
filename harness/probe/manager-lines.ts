import type { JournalLine } from './evidence.js';

/** What systemd's message catalogue calls the beginning, the good and the bad end of a unit's start. */
export const UNIT_STARTING = '7d4958e842da4a758f6c1cdc7b36dcc5';
export const UNIT_STARTED = '39f53479d3a045ac8e11786248231fbf';
export const UNIT_FAILED = 'be02cf6855d2428ba40df7e9d022f03d';

/** What systemd says when it begins, ends or fails to start a unit. */
const ABOUT =
  /^(Starting|Mounting|Started|Finished|Mounted|Failed to (?:start|mount)) (\S+\.(?:service|mount|target))/;

/**
 * Which unit a line of systemd is about, where the journal does not say it: before journald listens, systemd writes to the
 * kernel's log, which holds nothing but texts.
 *
 * @returns Nothing for any other line.
 */
export function readManagerLine(message: string): Pick<JournalLine, 'about' | 'messageId'> {
  const [, verb, unit] = ABOUT.exec(message) ?? [];
  if (verb === undefined || unit === undefined) return {};
  return { about: unit, messageId: messageIdOf(verb) };
}

function messageIdOf(verb: string): string {
  if (verb.startsWith('Failed')) return UNIT_FAILED;
  return verb === 'Starting' || verb === 'Mounting' ? UNIT_STARTING : UNIT_STARTED;
}

import type { BootEvidence, JournalLine } from './evidence.js';
import type { BootContext } from './finding.js';

/** What stage 1 is judged by; also known of a boot that never came up. */
export type StageOneContext = Pick<BootContext, 'scenario'> & {
  readonly evidence: Pick<BootEvidence, 'journal'>;
};

/** The name under which scripted stage 1 writes to the kernel's log. */
export const STAGE1_SCRIPT = 'stage-1-init';

/** "[Sat Nov 21 04:05:06 UTC 2026] mounting /dev/vda2 on /..." */
export function stripDate(message: string): string {
  return message.replace(/^\[[^\]]*\d{4}\] /, '');
}

export function formatJournalLine(line: JournalLine): string {
  return `[${(line.monotonicUs / 1e6).toFixed(3).padStart(8)}] ${line.message}`;
}

export function formatUs(us: number | undefined): string {
  return us === undefined ? '?' : `${(us / 1e6).toFixed(2)} s`;
}

/** One line of `console.log`: seconds since power-on, and the text. */
const CONSOLE_LINE = /^\[ *(\d+\.\d+)\] (.*)$/;

/**
 * What scripted stage 1 wrote to the console in the last boot: all there is when no journal was ever begun. Times are
 * those since power-on.
 *
 * @param text Of the file `console.log`.
 */
export function parseStageOneConsole(text: string): JournalLine[] {
  let lines: JournalLine[] = [];
  let isStageOne = false;
  for (const raw of text.split('\n')) {
    const match = CONSOLE_LINE.exec(raw);
    const message = match?.[2] ?? '';
    if (message.includes('<<< NixOS Stage 1 >>>')) {
      lines = [];
      isStageOne = true;
    } else if (message.includes('<<< NixOS Stage 2 >>>')) {
      isStageOne = false;
    } else if (isStageOne && match !== null && !CONSOLE_LINE.test(message)) {
      // Lines with a second time are the kernel's.
      lines.push({ monotonicUs: Math.round(Number(match[1]) * 1e6), message, writer: STAGE1_SCRIPT });
    }
  }
  return lines;
}

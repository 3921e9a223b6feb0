import type { ShellScript, Statement } from './shell.js';

/** Who reads what a script writes. */
export interface ToldLog {
  /** Texts that the log has to have. */
  readonly lines: readonly string[];
  /** Scripts of the scenario's own that look at the system. */
  readonly checks: readonly string[];
}

/**
 * Says why nothing is lost when a statement of a script is left out. Sound, and therefore rarely an answer: a fixed line of
 * the log is no part of the layout, as long as the layout promises other lines and nobody reads this one.
 *
 * @returns The reason as a part of a sentence; undefined when nobody can say so without running it.
 */
export function isIdle({ bodies }: ShellScript, statement: Statement, told: ToldLog): string | undefined {
  const [name, ...said] = statement.only?.words ?? [];
  // Anything but a command by itself goes into a file or through a pipe; a variable may say what is promised.
  const isPlain = said.every(({ text }) => !/[$`]/.test(text));
  if (name?.text !== 'echo' || !isPlain || told.lines.length === 0) return undefined;
  // The last statement of a function or a loop gives it its exit code.
  if (bodies.some((body, index) => index > 0 && body.at(-1) === statement)) return undefined;
  const line = said.map(({ text }) => text.replaceAll(/["']/g, '')).join(' ');
  const isRead =
    told.lines.some((wanted) => line.includes(wanted)) ||
    told.checks.some((check) => check.includes('journalctl') || check.includes('dmesg'));
  return isRead ? undefined : 'nobody promises what it writes, and the log has other lines';
}

import type { ShellScript, Statement } from './shell.js';

/** Who reads what a script writes. */
export interface ToldLog {
  /** Texts that the log has to have. */
  readonly lines: readonly string[];
  /** Scripts of the scenario's own that look at the system. */
  readonly checks: readonly string[];
}

/** A statement of a script, and what the layout makes of the script. */
export interface DroppedStatement {
  readonly statement: Statement;
  readonly told: ToldLog;
  /** What the root is mounted from. */
  readonly rootDevice?: string;
}

/**
 * Says why nothing is lost when a statement of a script of stage 1 is left out. Sound, and therefore rarely an answer.
 *
 * @returns The reason as a part of a sentence; undefined when nobody can say so without running it.
 */
export function whyIdle(script: ShellScript, dropped: DroppedStatement): string | undefined {
  return whyUnread(script, dropped) ?? whyUnreachable(script, dropped);
}

/** A fixed line of the log is no part of the layout, as long as the layout promises other lines and nobody reads this one. */
function whyUnread({ bodies }: ShellScript, { statement, told }: DroppedStatement): string | undefined {
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

/**
 * The end of the script unmounts what the root is mounted from right after, until the machine is off: the file system is in
 * use either way, and the mount of stage 1 is below the new root, where nothing leads to it. (Seen in machines.)
 */
function whyUnreachable(
  { bodies, commands }: ShellScript,
  { statement, rootDevice }: DroppedStatement,
): string | undefined {
  const [name, place, ...more] = statement.only?.words ?? [];
  if (bodies[0]?.at(-1) !== statement || name?.text !== 'umount' || place === undefined || more.length > 0)
    return undefined;
  const mounts = commands.filter(
    ({ words }) => words[0].text === 'mount' && words.at(-1)?.text === place.text,
  );
  const isOfRoot = mounts.every(({ words }) => words.at(-2)?.text === rootDevice);
  return mounts.length > 0 && rootDevice !== undefined && isOfRoot
    ? `the root is mounted from ${rootDevice} until the end, and nobody reaches what stage 1 has left mounted below it`
    : undefined;
}

/** What has conditions of its own does not end the script when it fails; what says something says it in its turn. */
const TELLS_OR_TRIES = /\|\||&&|\b(?:if|while|until|exit|return|echo|printf)\b/;

/**
 * Says why it makes no difference that two statements of a script of systemd stage 1, one of which writes a line of the log,
 * come in the other order: the same is done and said. Should what is done fail, a line that came before it would be wrong,
 * but the script ends there (NixOS runs it with set -e), and a failed unit is told of by promises of their own.
 *
 * @returns The reason as a part of a sentence; undefined where that is not so.
 */
export function whySameLog(
  { text, bodies }: ShellScript,
  first: Statement,
  second: Statement,
): string | undefined {
  const [said, done] = first.only?.words[0].text === 'echo' ? [first, second] : [second, first];
  const what = text.slice(done.start, done.end);
  // A function may say something, too.
  const calls = bodies.flat().some(({ defines }) => defines !== undefined && what.includes(defines));
  if (said.only?.words[0].text !== 'echo' || calls || TELLS_OR_TRIES.test(what)) return undefined;
  return 'the same is done and said, and where what is done fails the script ends';
}

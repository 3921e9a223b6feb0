import type { Extent, ShellScript, Statement } from './shell.js';

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
  /** What is mounted on /. */
  readonly root?: { readonly device: string };
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
  { statement, root }: DroppedStatement,
): string | undefined {
  const [name, place, ...more] = statement.only?.words ?? [];
  if (bodies[0]?.at(-1) !== statement || name?.text !== 'umount' || place === undefined || more.length > 0)
    return undefined;
  const mounts = commands.filter(
    ({ words }) => words[0].text === 'mount' && words.at(-1)?.text === place.text,
  );
  const isOfRoot = mounts.every(({ words }) => words.at(-2)?.text === root?.device);
  return mounts.length > 0 && root !== undefined && isOfRoot
    ? `the root is mounted from ${root.device} until the end, and nobody reaches what stage 1 has left mounted below it`
    : undefined;
}

/**
 * Says why it makes no difference that two statements of a script of stage 1 come in the other order.
 *
 * @param options.endsAtFailure The script ends at a command that fails (`set -e`).
 * @returns The reason as a part of a sentence; undefined where that is not so.
 */
export function whySwappable(
  script: ShellScript,
  pair: readonly [Statement, Statement],
  { endsAtFailure }: { readonly endsAtFailure: boolean },
): string | undefined {
  return (
    whyUncalled(script, pair) ??
    whySameRefusals(script, pair) ??
    whyElsewhere(script, pair) ??
    (endsAtFailure ? whySameLog(script, pair) : undefined)
  );
}

const textOf = ({ text }: ShellScript, { start, end }: Statement): string => text.slice(start, end);

/** A definition does nothing until somebody calls it: by name, or by a function that does. */
function whyUncalled(
  script: ShellScript,
  [first, second]: readonly [Statement, Statement],
): string | undefined {
  if (first.defines !== undefined && second.defines !== undefined)
    return first.defines === second.defines ? undefined : 'two functions are defined, and none is called';
  const [definition, rest] = first.defines === undefined ? [second, first] : [first, second];
  if (definition.defines === undefined) return undefined;
  const called = functionsIn(script, textOf(script, rest));
  for (const name of called)
    for (const each of script.bodies.flat().filter(({ defines }) => defines === name))
      for (const more of functionsIn(script, textOf(script, each))) called.add(more);
  return called.has(definition.defines)
    ? undefined
    : `the function ${definition.defines} is defined, and not called, on either side`;
}

/** Names of functions that occur in a text. What is no call is taken for one. */
function functionsIn({ bodies }: ShellScript, text: string): Set<string> {
  return new Set(
    bodies
      .flat()
      .flatMap(({ defines }) => (defines !== undefined && text.includes(defines) ? [defines] : [])),
  );
}

/** Commands that change nothing, with the words that follow where it depends on them. */
const LOOKS =
  /^(?:\[|test|stat|findmnt|mountpoint|btrfs (?:property get|subvolume (?:show|list|get-default)))(?: |$)/;

/** Two conditions, each of which ends the script: the same is refused, and only what is said when both fail is another thing. */
function whySameRefusals(script: ShellScript, pair: readonly [Statement, Statement]): string | undefined {
  const isRefusal = (statement: Statement): boolean => {
    const refusing = script.guards.filter((guard) => isWithin(guard, statement) && endsScript(script, guard));
    const looking = script.commands.filter(
      ({ words: [name] }) => isWithin(name, statement) && !refusing.some((guard) => isWithin(name, guard)),
    );
    return (
      refusing.length > 0 &&
      !statement.writes &&
      looking.every(({ words }) => LOOKS.test(words.map(({ text }) => text).join(' ')))
    );
  };
  return pair.every(isRefusal)
    ? 'both only look, and whatever one of them refuses is refused in either order'
    : undefined;
}

/** Both only write lines, one of them to a file that may fail: neither place shows which came first. */
function whyElsewhere(script: ShellScript, pair: readonly [Statement, Statement]): string | undefined {
  const isSaying = (statement: Statement): boolean =>
    script.commands
      .filter(({ words: [name] }) => isWithin(name, statement))
      .every(({ words: [name] }) => name.text === 'echo' || name.text === 'printf');
  const files = pair.filter(({ writes }) => writes);
  const [filed] = files;
  return files.length === 1 &&
    filed !== undefined &&
    script.guards.some((guard) => isWithin(guard, filed)) &&
    pair.every((statement) => statement.isSimple && isSaying(statement))
    ? 'both only write, and to different places'
    : undefined;
}

function isWithin(inner: Extent, outer: Extent): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

/** The command of a guard is `exit`, or a function whose last statement is. */
function endsScript({ bodies, commands }: ShellScript, guard: Extent): boolean {
  const name = commands.find(({ words: [word] }) => isWithin(word, guard))?.words[0].text;
  if (name === 'exit') return true;
  const definition = bodies.flat().find(({ defines }) => defines !== undefined && defines === name);
  if (definition === undefined) return false;
  const body = bodies.find(
    ([statement]) => statement !== undefined && statement !== definition && isWithin(statement, definition),
  );
  return body?.at(-1)?.only?.words[0].text === 'exit';
}

/** What has conditions of its own does not end the script when it fails; what says something says it in its turn. */
const TELLS_OR_TRIES = /\|\||&&|\b(?:if|while|until|exit|return|echo|printf)\b/;

/**
 * One of two statements writes a line of the log. Should what the other does fail, a line that came before it would be wrong,
 * but the script ends there (NixOS runs it with set -e, or a guard ends it), and a failed unit is told of by promises of their own.
 */
function whySameLog(
  script: ShellScript,
  [first, second]: readonly [Statement, Statement],
): string | undefined {
  const [said, done] = first.only?.words[0].text === 'echo' ? [first, second] : [second, first];
  if (said.only?.words[0].text !== 'echo') return undefined;
  const ending = script.guards.find(
    (guard) => isWithin(guard, done) && guard.end === done.end && endsScript(script, guard),
  );
  const what = script.text.slice(done.start, ending?.start ?? done.end);
  // A function may say something, too.
  if (functionsIn(script, what).size > 0 || TELLS_OR_TRIES.test(what)) return undefined;
  return 'the same is done and said, and where what is done fails the script ends';
}

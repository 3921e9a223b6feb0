/** A line of tmpfiles.d, in parts; absent is what the line does not say, or says with `-`. */
export interface TmpfilesRule {
  /** One letter: `d`, `L`, `C`. */
  readonly type: string;
  /** What stands behind it: `+`, `!`, `-`. */
  readonly modifiers: string;
  readonly path: string;
  readonly mode?: string;
  readonly user?: string;
  readonly group?: string;
  /** Where a link points at, what a copy is made of, what a file holds. */
  readonly argument?: string;
}

const RULE =
  /^(?<type>[A-Za-z])(?<modifiers>\S*)\s+(?<path>"[^"]*"|\S+)(?:\s+(?<mode>\S+))?(?:\s+(?<user>\S+))?(?:\s+(?<group>\S+))?(?:\s+(?<age>\S+))?(?:\s+(?<argument>\S.*?))?\s*$/;

/**
 * Reads a line of tmpfiles.d, as tmpfiles.d(5) has it. Specifiers such as `%h` stay as they are.
 *
 * @returns Undefined when it is none.
 */
export function parseTmpfilesRule(line: string): TmpfilesRule | undefined {
  const { type, modifiers, path, mode, user, group, argument } = RULE.exec(line.trim())?.groups ?? {};
  if (type === undefined || modifiers === undefined || path === undefined) return undefined;
  return {
    type,
    modifiers,
    path: unquote(path),
    ...said('mode', mode),
    ...said('user', user),
    ...said('group', group),
    ...said('argument', argument === undefined ? undefined : unquote(argument)),
  };
}

function said<K extends string>(name: K, value: string | undefined): { readonly [k in K]?: string } {
  return value === undefined || value === '-' ? {} : ({ [name]: value } as { readonly [k in K]: string });
}

function unquote(text: string): string {
  return text.replace(/^"(.*)"$/, '$1');
}

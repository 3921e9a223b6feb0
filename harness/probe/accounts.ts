import { quote } from '../core/index.js';
import type { KeptPromise, MadePromise, Scenario } from '../scenario/index.js';
import type { Accounts } from './evidence.js';
import type { FileFacts } from './listing.js';

/** Asks for the numbers of all users and groups that a scenario says own something. */
export function accountsCommand(scenario: Scenario): string {
  const owned = scenario.promises.filter(
    (promise): promise is KeptPromise | MadePromise => promise.kind === 'kept' || promise.kind === 'made',
  );
  const ask = (database: string, names: readonly (string | undefined)[]): string[] =>
    [...new Set(names.flatMap((name) => (name === undefined ? [] : [name])))].map(
      (name) => `getent ${database} ${quote(name)} | sed 's/^/${database}:/'`,
    );
  const commands = [
    ...ask(
      'passwd',
      owned.map(({ user }) => user),
    ),
    ...ask(
      'group',
      owned.map(({ group }) => group),
    ),
    'true',
  ];
  return commands.join('; ');
}

/** @param lines Of getent, each with the name of its database in front. */
export function parseAccounts(lines: readonly string[]): Accounts {
  const of = (database: string): ReadonlyMap<string, number> =>
    new Map(
      lines
        .map((line) => line.split(':'))
        .flatMap(([from, name, , id]) =>
          from === database && name !== undefined ? [[name, Number(id)] as const] : [],
        ),
    );
  return { users: of('passwd'), groups: of('group') };
}

/**
 * Tells whether a path belongs to whom it is promised to belong.
 *
 * @returns Nothing when it does, or nothing is promised.
 */
export function describeOtherOwner(
  { user, group }: Pick<KeptPromise, 'user' | 'group'>,
  facts: Pick<FileFacts, 'uid' | 'gid'>,
  { users, groups }: Accounts,
): { readonly expected: string; readonly found: string } | undefined {
  const check = (
    what: string,
    name: string | undefined,
    numbers: { readonly known: ReadonlyMap<string, number>; readonly has: number },
  ) => {
    if (name === undefined || numbers.known.get(name) === numbers.has) return undefined;
    const expected = `${what} ${name} (${String(numbers.known.get(name) ?? 'which there is not')})`;
    return { expected, found: `${what} ${String(numbers.has)}` };
  };
  return (
    check('user', user, { known: users, has: facts.uid }) ??
    check('group', group, { known: groups, has: facts.gid })
  );
}

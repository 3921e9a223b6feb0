import type { Place } from '../core/index.js';
import type { Path } from './located.js';
import type { DeclaredLink } from './model.js';
import type { SystemInput } from './schema.js';

/** Type, path, mode, user, group, age, argument. */
const LINK_RULE = /^L[-+!?=~^$]*\s+(?<path>\/\S*)(?:\s+\S+){4}\s+(?<source>\/.*\S)\s*$/;

/** The links of `environment.etc` and of the rules of tmpfiles that name both ends in full. */
export function resolveLinks(input: SystemInput, placeAt: (...path: Path) => Place): readonly DeclaredLink[] {
  const etc = Object.entries(input.etc).map(([path, { source }]): DeclaredLink => ({
    path: `/etc/${path}`,
    target: `/etc/static/${path}`,
    source,
    by: 'etc',
    place: placeAt('etc', path),
  }));
  const rules = input.tmpfiles.flatMap((rule, index): DeclaredLink[] => {
    const { path, source } = LINK_RULE.exec(rule)?.groups ?? {};
    if (path === undefined || source === undefined || rule.includes('%')) return [];
    return [{ path, target: source, source, by: 'tmpfiles', place: placeAt('tmpfiles', index) }];
  });
  return [...etc, ...rules];
}

import type { Place } from '../core/index.js';
import type { Path } from './located.js';
import type { DeclaredLink } from './model.js';
import type { SystemInput } from './schema.js';
import { parseTmpfilesRule } from './tmpfiles-rule.js';

/** The links of `environment.etc` and of the rules of tmpfiles that name both ends in full. */
export function resolveLinks(input: SystemInput, placeAt: (...path: Path) => Place): readonly DeclaredLink[] {
  const etc = Object.entries(input.etc).map(([path, { source }]): DeclaredLink => ({
    path: `/etc/${path}`,
    target: `/etc/static/${path}`,
    source,
    by: 'etc',
    place: placeAt('etc', path),
  }));
  const rules = input.tmpfiles.flatMap((line, index): DeclaredLink[] => {
    const rule = parseTmpfilesRule(line);
    const source = rule?.argument;
    if (rule?.type !== 'L' || !rule.path.startsWith('/') || line.includes('%')) return [];
    if (source?.startsWith('/') !== true) return [];
    return [{ path: rule.path, target: source, source, by: 'tmpfiles', place: placeAt('tmpfiles', index) }];
  });
  return [...etc, ...rules];
}

import type { Place } from '../core/index.js';
import type { Path } from './located.js';
import type { MadePath } from './model.js';
import type { SystemInput } from './schema.js';

/** Type, path, mode, user, group. A `-` behind the type says that it may fail. */
const MAKING_RULE =
  /^(?<type>[dDvqQfF])[+!=~^$]*\s+(?<path>\/\S*)(?:\s+(?<mode>\S+))?(?:\s+(?<user>\S+))?(?:\s+(?<group>\S+))?/;

/**
 * What rules of tmpfiles make and name in full. Mode and owner are those that hold at every boot: `-` leaves what is there
 * as it is, `:` and `~` in front are for what is new.
 */
export function resolveMade(input: SystemInput, placeAt: (...path: Path) => Place): readonly MadePath[] {
  const made = input.tmpfiles.flatMap((rule, index): MadePath[] => {
    const { type = '', path, mode, user, group } = MAKING_RULE.exec(rule)?.groups ?? {};
    if (path === undefined || rule.includes('%')) return [];
    return [
      {
        path: path.replace(/(?<=.)\/+$/, ''),
        of: /[fF]/.test(type) ? 'file' : 'directory',
        ...(mode !== undefined && /^[0-7]+$/.test(mode) ? { mode: mode.replace(/^0+(?=.)/, '') } : {}),
        ...(isName(user) ? { user } : {}),
        ...(isName(group) ? { group } : {}),
        place: placeAt('tmpfiles', index),
      },
    ];
  });
  // Of two lines for the same path systemd-tmpfiles follows the first.
  return made.filter(({ path }, index) => made.findIndex((each) => each.path === path) === index);
}

function isName(owner: string | undefined): owner is string {
  return owner !== undefined && /^[A-Za-z_]/.test(owner);
}

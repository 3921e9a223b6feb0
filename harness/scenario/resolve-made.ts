import type { Place } from '../core/index.js';
import type { Path } from './located.js';
import type { MadePath } from './model.js';
import type { SystemInput } from './schema.js';
import { parseTmpfilesRule } from './tmpfiles-rule.js';

/** Directories, subvolumes and files. */
const MAKES = /^[dDvqQfF]$/;

/**
 * What rules of tmpfiles make and name in full. Mode and owner are those that hold at every boot: `-` leaves what is there
 * as it is, `:` and `~` in front are for what is new.
 */
export function resolveMade(input: SystemInput, placeAt: (...path: Path) => Place): readonly MadePath[] {
  const made = input.tmpfiles.flatMap((line, index): MadePath[] => {
    const rule = parseTmpfilesRule(line);
    // A `-` behind the type says that it may fail.
    if (rule === undefined || !MAKES.test(rule.type) || rule.modifiers.includes('-')) return [];
    if (!rule.path.startsWith('/') || line.includes('%')) return [];
    const { type, path, mode, user, group } = rule;
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

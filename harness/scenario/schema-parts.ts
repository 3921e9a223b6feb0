import { z } from 'zod';

/** No `.`, `..`, doubled or trailing slash, no control character. */
const ABSOLUTE_PATH = /^(\/|(\/(?!\.{1,2}(\/|$))[ -.0-~\u00a0-\uffff]+)+)$/;
const UNIT_NAME =
  /^[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

/** A path without `.`, `..`, doubled or trailing slashes. */
export const absolutePath = z
  .string()
  .regex(ABSOLUTE_PATH, 'must be an absolute path without ".", "..", doubled or trailing slashes');
/** A path that can stand in an fstab as it is. */
export const fstabPath = absolutePath.regex(/^\S+$/, 'must not contain white space');
/** A path below /dev. */
export const devicePath = z
  .string()
  .regex(/^\/dev\/\S+$/, 'must be the path of a device, such as /dev/disk/by-partlabel/swap');
/** One line of text, not empty. */
export const line = z.string().regex(/^[^\r\n]*\S[^\r\n]*$/, 'must be one line of text, not empty');
const unitName = z
  .string()
  .regex(UNIT_NAME, 'must be the full name of a systemd unit, such as sysroot.mount or initrd.target');
/** Full names of systemd units. */
export const units = z.array(unitName);
/** Name of a user or group. */
export const account = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be the name of a user or group');

/** A file of Nix, by its path. A store path has to be able to have its name. */
export const nixFile = z
  .string()
  .regex(
    /^([^\r\n]*\/)?[A-Za-z0-9_][A-Za-z0-9_+.-]{0,99}\.nix$/,
    'must be the path of a .nix file, relative to this one, whose name is made of letters, digits, "_", "+", "." and "-"',
  );

/** A script: the path of its file, or its text. */
export const script = z.union([
  line.meta({ description: 'Path of the script, relative to this file.' }),
  z.strictObject({
    text: z.string().regex(/\S/, 'must not be empty').meta({ description: 'The script itself.' }),
  }),
]);

/**
 * Escapes a text without slashes as systemd does for the instance part of a unit's name: `crypt-root` becomes
 * `crypt\x2droot`. A unit that is ordered after the unescaped name is ordered after nothing, without a word.
 */
function escapeUnitName(text: string): string {
  let escaped = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const character = String.fromCharCode(byte);
    if (/[A-Za-z0-9:_]/.test(character) || (character === '.' && escaped !== '')) escaped += character;
    else escaped += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

/** A path as a unit name without its suffix, as `systemd-escape --path` gives it. */
export function escapeUnitPath(text: string): string {
  const trimmed = text.replaceAll(/^\/+|\/+$/g, '').replaceAll(/\/+/g, '/');
  if (trimmed === '') return '-';
  return [...Buffer.from(trimmed)]
    .map((byte, index) => {
      const character = String.fromCharCode(byte);
      if (character === '/') return '-';
      if (/[A-Za-z0-9:_]/.test(character) || (character === '.' && index > 0)) return character;
      return `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/**
 * Names the unit that unlocks a LUKS device in stage 1.
 *
 * @param luksName Name of the device below /dev/mapper.
 * @returns `systemd-cryptsetup@<escaped name>.service`
 */
export function cryptsetupUnit(luksName: string): string {
  return `systemd-cryptsetup@${escapeUnitName(luksName)}.service`;
}

const UNIT_SUFFIX = /\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

/**
 * Writes a name with one letter too many, as a hurried hand does: `/etc/nixos` becomes `/etc/nixoss`. The suffix of a unit
 * stays: the loader knows all of them.
 */
export function misspell(name: string): string {
  const suffix = UNIT_SUFFIX.exec(name)?.[0] ?? '';
  const stem = name.slice(0, name.length - suffix.length);
  return `${stem}${/[A-Za-z0-9]$/.test(stem) ? (stem.at(-1) ?? '') : 'x'}${suffix}`;
}

/** How a size is written: a whole number and a binary unit. */
export const SIZE_PATTERN = /^[1-9][0-9]{0,8}(MiB|GiB|TiB)$/;

/** How a duration is written: hours, minutes and seconds, any of them, in this order. */
export const DURATION_PATTERN = /^(?=[0-9])([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$/;

const MIB_PER_UNIT: Readonly<Record<string, number>> = { MiB: 1, GiB: 1024, TiB: 1024 * 1024 };

/**
 * Reads a size such as `12GiB`.
 *
 * @param text A text that matches `SIZE_PATTERN`.
 * @returns The size in MiB.
 */
export function parseSizeMiB(text: string): number {
  return Number.parseInt(text, 10) * (MIB_PER_UNIT[text.slice(-3)] ?? Number.NaN);
}

/**
 * Reads a duration such as `90s`, `15m` or `1h30m`.
 *
 * @param text A text that matches `DURATION_PATTERN`.
 * @returns The duration in milliseconds.
 */
export function parseDurationMs(text: string): number {
  const [, hours, minutes, seconds] = DURATION_PATTERN.exec(text) ?? [];
  const amount = (part: string | undefined): number => Number.parseInt(part ?? '0', 10);
  return ((amount(hours) * 60 + amount(minutes)) * 60 + amount(seconds)) * 1000;
}

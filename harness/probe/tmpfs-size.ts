/** What a mount of tmpfs has when nobody says a size. */
const DEFAULT_PERCENT = 50;
/** A share is one of the memory at the time of the mount, of which the kernel gives a little back later. */
const TOLERANCE = 0.1;
const PAGE_KIB = 4;

const KIB: Readonly<Record<string, number>> = { '': 1 / 1024, k: 1, m: 1024, g: 1024 ** 2 };

/**
 * Tells whether a tmpfs has the size that its mount option asks for.
 *
 * @param value Of the option: `25%`, `512M`.
 * @param shown Options as the kernel shows them; it shows no size that is the default.
 * @param memoryKiB Of the machine. Absent: a share cannot be judged, and is taken on trust.
 * @returns Nothing when it has; else what it has instead.
 */
export function describeOtherSize(
  value: string,
  shown: readonly string[],
  memoryKiB: number | undefined,
): string | undefined {
  const of = (percent: number): number | undefined =>
    memoryKiB === undefined ? undefined : (memoryKiB * percent) / 100;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  const [, count, unit = ''] = /^(\d+)([kmg]?)$/i.exec(value) ?? [];
  const wanted =
    percent === undefined
      ? count === undefined
        ? undefined
        : Number(count) * (KIB[unit.toLowerCase()] ?? 1)
      : of(Number(percent));
  const has = shown.find((option) => option.startsWith('size='))?.slice('size='.length);
  const actual = has === undefined ? of(DEFAULT_PERCENT) : Number(has.replace(/k$/, ''));
  if (wanted === undefined || actual === undefined) return undefined;
  const slack = percent === undefined && has !== undefined ? PAGE_KIB : wanted * TOLERANCE;
  if (Math.abs(actual - wanted) <= slack) return undefined;
  return has === undefined ? 'the size is the default, half of the memory' : `the size is ${has}`;
}

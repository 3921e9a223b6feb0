import type { HostDescription } from './description.js';

/** For the system, beside partitions of a fixed size. The file on the host is as large as what is written to it. */
const SYSTEM_GIB = 32;
const GIB_PER_UNIT: Readonly<Record<string, number>> = {
  K: 1 / 1024 ** 2,
  M: 1 / 1024,
  G: 1,
  T: 1024,
  P: 1024 ** 2,
};

/** One virtual disk for each of disko's; the one with the boot loader is the first. Without disko there is one. */
export function renderDisks({ disks }: HostDescription): Record<string, { readonly size: string }> {
  if (disks.length === 0) return { main: { size: `${String(SYSTEM_GIB)}GiB` } };
  const order = [...disks].sort((a, b) => Number(b.hasEsp) - Number(a.hasEsp));
  return Object.fromEntries(
    order.map(({ name, imageSize, sizes }) => {
      const fixed = sizes.reduce((sum, size) => sum + Math.abs(readGib(size)), 0);
      return [name, { size: `${String(Math.ceil(Math.max(readGib(imageSize), fixed + SYSTEM_GIB)))}GiB` }];
    }),
  );
}

/** `512M`, `-8G`, `10GiB`. Shares such as `100%` are nothing: they take what is left. */
function readGib(size: string): number {
  const [, amount = '0', unit = ''] = /^([-+]?\d+(?:\.\d+)?)([KMGTP])(?:i?B)?$/i.exec(size) ?? [];
  return Number(amount) * (GIB_PER_UNIT[unit.toUpperCase()] ?? 0);
}

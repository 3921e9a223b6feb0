import type { BootRecord } from '../record/index.js';

/** "0.4 s", "13.2 s", "1 min 58 s", "1 h 02 min". */
export function formatDuration(durationMs: number): string {
  const seconds = durationMs / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${String(Math.floor(whole / 60))} min ${padTwo(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${String(Math.floor(minutes / 60))} h ${padTwo(minutes % 60)} min`;
}

/** A stop watch: "0:07", "12:34", "1:02:03". */
export function formatClock(elapsedMs: number): string {
  const whole = Math.floor(Math.max(0, elapsedMs) / 1000);
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  const seconds = padTwo(whole % 60);
  return hours === 0 ? `${String(minutes)}:${seconds}` : `${String(hours)}:${padTwo(minutes)}:${seconds}`;
}

/** "512 B", "3.4 MiB", "1.2 GiB". */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? size.toFixed(0) : size.toFixed(1)} ${units[unit] ?? ''}`;
}

/** "1 boot", "2 boots". */
export function countOf(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** "a, b and c". */
export function listOf(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1) ?? ''}`;
}

/** A phase's stable name for people: `restore-installer` is "restore installer". */
export function namePhase(name: string): string {
  return name.replaceAll('-', ' ');
}

function padTwo(value: number): string {
  return String(value).padStart(2, '0');
}

/** How a machine came to boot, for people. */
export function nameBootHow(how: BootRecord['how']): string {
  return how === 'power-on' ? 'first power-on' : how === 'reboot' ? 'reboot' : 'power cut and on again';
}

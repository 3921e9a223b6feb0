import type { Scenario } from '../scenario/index.js';
import type { MachineSpec } from '../target/index.js';
import { EMULATED_KERNEL, guestTimeouts } from './budgets.js';
import { clockAtPowerOn, disksAtPowerOn } from './machine-faults.js';
import type { MachineParts } from './machine-parts.js';

/** What a machine with these parts is like when it is powered on. */
export function specAtPowerOn(
  parts: Pick<MachineParts, 'disks' | 'faults' | 'nvramFile' | 'tpmDir'>,
  options: {
    readonly hardware: Scenario['machine'];
    readonly secureBoot: boolean;
    readonly nonce: string;
    readonly timeScale: number;
    readonly vnc: boolean;
    /** Milliseconds since 1970. */
    readonly nowMs: number;
  },
): MachineSpec {
  const { hardware, secureBoot, nonce, timeScale, vnc, nowMs } = options;
  const { faults, nvramFile, tpmDir } = parts;
  const clockMs = clockAtPowerOn(faults, nowMs);
  // Only for this power-on, nothing on the disk knows of it: the guest's own time-outs follow its speed. Who lets stage 1
  // wait wants to see its own limits.
  const slow = [EMULATED_KERNEL, ...guestTimeouts(faults.typing.afterMs > 0 ? 1 : timeScale)].join(' ');
  return {
    ...hardware,
    boot: { from: 'disk' },
    disks: disksAtPowerOn(parts),
    nvramFile,
    secureBoot,
    nonce,
    vnc,
    ...(tpmDir === undefined ? {} : { tpmDir }),
    ...(clockMs === undefined ? {} : { clockMs }),
    ...(timeScale > 1 ? { extraCommandLine: slow } : {}),
  };
}

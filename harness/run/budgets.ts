/**
 * How long the parts of a run may take on a machine with KVM, in milliseconds. All are multiplied by the
 * accelerator's time scale. Generous: they only end what would never end.
 */
export const LIMITS_MS = {
  restoreInstaller: 30_000,
  coldInstaller: 60_000,
  installScript: 300_000,
  deploy: 900_000,
  firmware: 60_000,
  kernel: 60_000,
  stage1: 90_000,
  stage2: 120_000,
  probe: 30_000,
  login: 30_000,
  script: 120_000,
  shutdown: 60_000,
  resume: 120_000,
  cut: 240_000,
  inspect: 120_000,
  /** Of a real machine: its firmware looks at everything that is plugged in, and a person may have to reset it. */
  realBoot: 900_000,
} as const;

/** The guest's own time-outs (systemd's default), scaled like ours. */
const GUEST_TIMEOUT_S = 90;
/** A device that comes at all comes soon: 14 s after the kernel's start with three emulated machines on two processors. */
const MOST_DEVICE_TIMEOUT_S = 180;

/** Kernel parameters for a slow machine; none for a fast one. */
export function guestTimeouts(timeScale: number): string[] {
  if (timeScale <= 1) return [];
  const timeoutS = GUEST_TIMEOUT_S * timeScale;
  return [
    `systemd.default_timeout_start_sec=${String(timeoutS)}`,
    `systemd.default_device_timeout_sec=${String(Math.min(timeoutS, MOST_DEVICE_TIMEOUT_S))}`,
    `imperm.wait_factor=${String(Math.ceil(timeScale))}`,
  ];
}

/**
 * Kernel parameters for an emulated machine. To be faster: no guards against faults that an emulated processor does not
 * have, no tests of ciphers that every kernel has passed, no zeroes written over fresh memory.
 */
export const EMULATED_KERNEL = 'mitigations=off cryptomgr.notests=1 init_on_alloc=0';

/** After this long without a byte on the console the silence is announced. */
export const SILENCE_MS = 30_000;

import { EXIT, type Environment } from '../core/index.js';
import { reap, reapLibvirt } from './choose-target.js';
import { withSignals } from './signals.js';

/** Ends and removes what killed runs have left, and tells it. @returns 69 when somebody could not be asked. */
export function reapAll(
  { connect }: { readonly connect?: string },
  environment: Environment,
): Promise<number> {
  return withSignals(async (signal) => {
    const reaped = await reap(environment.workDir, signal);
    const machines = reaped.machines + (connect === undefined ? 0 : await reapLibvirt(connect, signal));
    process.stdout.write(
      `${String(reaped.processes)} processes ended, ${String(machines)} machines of libvirt ended, ${String(reaped.folders)} folders removed, ${String(reaped.inUse)} in use by running imperms left alone\n`,
    );
    if (reaped.unreachable === 0) return EXIT.ok;
    process.stderr.write(
      `imperm: ${String(reaped.unreachable)} folders are kept: the libvirt that may still run their machines does not answer. Start it and reap again.\n`,
    );
    return EXIT.unavailable;
  });
}

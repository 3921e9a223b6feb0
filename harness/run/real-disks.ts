import { type Budget, HarnessError, quote } from '../core/index.js';
import { renderNetworkParameters } from '../guest/index.js';
import { collectDisks, type DisksEvidence, findAllowedDisk } from '../probe/index.js';
import type { HardwareHost, Scenario } from '../scenario/index.js';
import type { MachineShell } from '../target/index.js';
import { makeBoundary } from './boundary.js';
import { guestTimeouts } from './budgets.js';
import type { MachineIdentity } from './identity.js';

/** What a machine shows of its disks, and of what uses them. @param shell Of the installer. */
export async function readDisks(shell: MachineShell, budget: Budget): Promise<DisksEvidence> {
  const collection = collectDisks(makeBoundary());
  return collection.parse((await shell.execute('bash -s', budget, { input: collection.script })).stdout);
}

/**
 * The disks of a scenario on a real machine, looked at anew: their names are others in each boot.
 *
 * @param shell Of the installer.
 * @returns Their names, `/dev/nvme0n1`, in the order of the scenario.
 * @throws {HarnessError} HOST_UNFIT with every reason why one of them must not be touched.
 */
export async function findRealDisks(
  scenario: Scenario,
  host: HardwareHost,
  { shell, budget }: { readonly shell: MachineShell; readonly budget: Budget },
): Promise<string[]> {
  const evidence = await readDisks(shell, budget);
  const verdicts = scenario.disks.map(({ name }) => {
    const identity = host.disks.get(name);
    return identity === undefined
      ? { refusals: [`${host.file} names no disk "${name}".`] }
      : findAllowedDisk(name, identity, evidence);
  });
  const refusals = verdicts.flatMap((verdict) => ('refusals' in verdict ? verdict.refusals : []));
  if (refusals.length > 0) {
    throw new HarnessError('HOST_UNFIT', 'imperm does not write to this machine', {
      details: refusals.join('\n'),
      hint: `\`imperm hardware check ${host.file}\` shows every disk and what uses it.`,
    });
  }
  return verdicts.flatMap((verdict) => ('device' in verdict ? [verdict.device.path] : []));
}

/**
 * Makes disks look as new ones do: without it, file systems of an earlier install would come to light again where the new
 * partitions begin at the same places. What is on them is lost.
 *
 * @param disks As `findRealDisks` has found them, a moment ago.
 */
export async function emptyDisks(
  disks: readonly string[],
  { shell, budget }: { readonly shell: MachineShell; readonly budget: Budget },
): Promise<void> {
  for (const disk of disks) {
    // The kernel lists the partitions, those made of others first.
    await shell.run(
      `set -e
for part in $(lsblk --noheadings --paths --list --output NAME ${quote(disk)} | tac); do wipefs --all --force --quiet "$part"; done
blkdiscard --force ${quote(disk)} 2>/dev/null || true
blockdev --rereadpt ${quote(disk)} 2>/dev/null || true
udevadm settle`,
      budget,
    );
  }
}

/** What the boot entry of a system on a real machine says beside what the system itself needs. */
export function renderRealParameters(host: HardwareHost, { keys, nonce }: MachineIdentity): string[] {
  const { port, network, kernelParameters } = host.system;
  return [
    ...renderNetworkParameters({
      hostPrivate: keys.hostPrivate,
      clientPublic: keys.clientPublic,
      nonce,
      port,
      ...(network === undefined ? {} : { network }),
    }),
    // The last one is where prompts go.
    host.console === undefined ? 'console=tty0' : `console=${host.console.device}`,
    ...guestTimeouts(host.timeScale),
    ...kernelParameters,
  ];
}

import { Budget, EXIT, HarnessError } from '../core/index.js';
import { type BlockDevice, type DisksEvidence, findAllowedDisk } from '../probe/index.js';
import { readDisks } from '../run/index.js';
import { type HardwareHost, loadHost } from '../scenario/index.js';
import { connectHost } from '../target/index.js';
import { ask } from './ask.js';

const LIMIT_MS = 60_000;

/**
 * Looks at a machine that is reached only by SSH, and says of each disk of its host file whether it could be written. Writes
 * nothing there.
 *
 * @returns The exit code: 69 when a disk is refused.
 * @throws {HarnessError} As `loadHost` and `connectHost`.
 */
export async function checkHardware(file: string): Promise<number> {
  const host = await loadHost(file);
  const evidence = await askForDisks(host, new AbortController().signal);
  process.stdout.write(`${host.file}: root@${host.address} answers with its host key.\n\n`);
  let isAllowed = true;
  for (const [name, identity] of host.disks) {
    const verdict = findAllowedDisk(name, identity, evidence);
    isAllowed &&= 'device' in verdict;
    process.stdout.write(
      'device' in verdict ? describeAllowed(name, verdict) : describeRefused(name, verdict.refusals),
    );
  }
  if (isAllowed && host.disks.size > 0) return EXIT.ok;
  process.stdout.write(describeDisks(evidence));
  return isAllowed ? EXIT.ok : EXIT.unavailable;
}

/** What a machine shows of its disks while an installer runs on it. */
async function askForDisks(host: HardwareHost, signal: AbortSignal): Promise<DisksEvidence> {
  const budget = Budget.start(`${host.address} to show its disks`, LIMIT_MS, signal);
  const shell = await connectHost(host, budget);
  try {
    return await readDisks(shell, budget);
  } finally {
    await shell.end();
  }
}

export interface ConfirmOptions {
  /** Names of the disks that are going to be overwritten, as scenarios call them. */
  readonly disks: readonly string[];
  /** Serial numbers that were given on the command line. */
  readonly erase: readonly string[];
  readonly isInteractive: boolean;
  readonly signal: AbortSignal;
}

/**
 * Once per run, before anything is written to a real machine: every disk must be the one of the host file and unused, and its
 * serial number must be given, by a flag or by hand.
 *
 * @throws {HarnessError} HOST_UNFIT when a disk is refused, with every reason; USAGE when a serial number is not given, or
 * is another one.
 */
export async function confirmHardware(host: HardwareHost, options: ConfirmOptions): Promise<void> {
  const evidence = await askForDisks(host, options.signal);
  const verdicts = options.disks.flatMap((name) => {
    const identity = host.disks.get(name);
    return identity === undefined
      ? []
      : [{ name, identity, verdict: findAllowedDisk(name, identity, evidence) }];
  });
  const refused = verdicts.flatMap(({ name, verdict }) =>
    'device' in verdict ? [] : [describeRefused(name, verdict.refusals)],
  );
  if (refused.length > 0) {
    throw new HarnessError('HOST_UNFIT', `imperm does not write to the machine of ${host.file}`, {
      details: refused.join(''),
      hint: `\`imperm hardware check ${host.file}\` shows every disk of the machine.`,
    });
  }
  const known = verdicts.map(({ identity }) => identity.serial);
  const foreign = options.erase.find((serial) => !known.includes(serial));
  if (foreign !== undefined) {
    throw new HarnessError(
      'USAGE',
      `--erase ${foreign}: this run overwrites no disk with that serial number`,
      {
        hint: `It overwrites ${known.join(', ') || 'none'}.`,
      },
    );
  }
  for (const { name, identity, verdict } of verdicts) {
    if (!('device' in verdict) || options.erase.includes(identity.serial)) continue;
    const about = describeAllowed(name, verdict);
    if (!options.isInteractive) {
      throw new HarnessError(
        'USAGE',
        `Nobody has confirmed that a disk of ${host.address} may be overwritten`,
        {
          details: about,
          hint: `Add \`--erase ${identity.serial}\` when that is what you want.`,
        },
      );
    }
    process.stderr.write(about);
    const typed = await ask(`Type its serial number to overwrite it on ${host.address}: `);
    if (typed !== identity.serial)
      throw new HarnessError('USAGE', 'That is not its serial number. Nothing was written.');
  }
}

function describeAllowed(
  name: string,
  { device, holds }: { readonly device: BlockDevice; readonly holds: readonly string[] },
): string {
  const { path, model, serial, sizeBytes } = device;
  const lost = holds.length === 0 ? ['nothing that is known'] : holds;
  return [
    `allowed  ${name}: ${path}, ${model}, ${serial}, ${String(sizeBytes)} bytes`,
    '         An install would overwrite what is on it now:',
    ...lost.map((line) => `           ${line}`),
    '',
  ].join('\n');
}

function describeRefused(name: string, refusals: readonly string[]): string {
  return [`refused  ${name}`, ...refusals.map((line) => `         ${line}`), ''].join('\n');
}

/** What can be pasted into the host file. */
function describeDisks({ disks }: DisksEvidence): string {
  const named = disks.filter(({ type, serial }) => type === 'disk' && serial !== '');
  if (named.length === 0) return '\nNo disk of this machine has a serial number: none can be written.\n';
  const entries = named.map(
    ({ path, serial, model, sizeBytes }) =>
      `  # ${path}\n  NAME:\n    serial: ${JSON.stringify(serial)}\n    model: ${JSON.stringify(model)}\n    size: ${String(sizeBytes)}\n`,
  );
  return `\nThe disks of this machine, for the host file; name only what may be overwritten:\n\ndisks:\n${entries.join('')}`;
}

import { Budget, EXIT } from '../core/index.js';
import { type BlockDevice, collectDisks, type DisksEvidence, findAllowedDisk } from '../probe/index.js';
import { makeBoundary } from '../run/index.js';
import { loadHost } from '../scenario/index.js';
import { connectHost } from '../target/index.js';

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
  const budget = Budget.start(`${host.address} to show its disks`, LIMIT_MS, new AbortController().signal);
  const shell = await connectHost(host, budget);
  let evidence: DisksEvidence;
  try {
    const collection = collectDisks(makeBoundary());
    evidence = collection.parse(
      (await shell.execute('bash -s', budget, { input: collection.script })).stdout,
    );
  } finally {
    await shell.end();
  }
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

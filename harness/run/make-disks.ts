import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Finding } from '../probe/index.js';
import type { Disk, Scenario } from '../scenario/index.js';
import type { MachineDisk } from '../target/index.js';
import type { VariantContext } from './context.js';

const MIB = 1024 * 1024;

/** Makes the disks of a scenario in a folder: empty ones, and those that are somebody else's. */
export async function makeDisks(
  scenario: Scenario,
  context: VariantContext,
  folder: string,
): Promise<readonly MachineDisk[]> {
  const [first] = scenario.disks;
  return Promise.all(
    scenario.disks.map(async (disk, index): Promise<MachineDisk> => {
      const { name, bus, sectorBytes, namespace } = disk;
      const format = disk.untouched ? ('raw' as const) : ('qcow2' as const);
      const file = path.join(folder, `${name}.${format}`);
      await context.host.toolbox.run(
        'qemu-img',
        ['create', '-q', '-f', format, file, `${String(disk.sizeMiB)}M`],
        context.budget,
      );
      if (disk.untouched) await fillWithData(file, disk, context);
      return {
        name,
        bus,
        sectorBytes,
        file,
        format,
        ...(index === 0 ? { bootIndex: 1 } : {}),
        ...(namespace === undefined || bus !== 'nvme' || first === undefined
          ? {}
          : { namespace: { of: first.name, number: namespace } }),
      };
    }),
  );
}

/** A partition table with three partitions, as on any disk in use, and bytes in each. */
async function fillWithData(file: string, disk: Disk, context: VariantContext): Promise<void> {
  const partMiB = Math.floor((disk.sizeMiB - 2) / 3);
  const partitions = [1, 2, 3].flatMap((number) => [
    `--new=${String(number)}:0:+${String(partMiB)}M`,
    `--change-name=${String(number)}:other${String(number)}`,
  ]);
  // sgdisk takes a file for a disk with sectors of 512 bytes; with larger ones there is data without a table.
  if (disk.sectorBytes === 512)
    await context.host.toolbox.run('sgdisk', ['--clear', ...partitions, file], context.budget);
  const handle = await open(file, 'r+');
  try {
    for (const number of [0, 1, 2])
      await handle.write(randomBytes(MIB), 0, MIB, (2 + number * partMiB) * MIB);
  } finally {
    await handle.close();
  }
}

/** SHA-256 of the disks that nothing may touch, by name. */
export async function digestUntouched(
  scenario: Scenario,
  disks: readonly MachineDisk[],
): Promise<ReadonlyMap<string, string>> {
  const names = new Set(scenario.disks.filter(({ untouched }) => untouched).map(({ name }) => name));
  const digests = new Map<string, string>();
  for (const { name, file } of disks.filter((disk) => names.has(disk.name))) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash);
    digests.set(name, hash.digest('hex'));
  }
  return digests;
}

/** Somebody else's disks are the same to the last byte. */
export function checkUntouched(
  scenario: Scenario,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Finding[] {
  return scenario.promises.flatMap((promise): Finding[] => {
    if (promise.kind !== 'disk-untouched') return [];
    const [was, is] = [before.get(promise.disk), after.get(promise.disk)];
    if (was === is && is !== undefined)
      return [{ promise, status: 'pass', found: `SHA-256 ${is.slice(0, 12)}… as before the install` }];
    return [
      {
        promise,
        status: 'fail',
        expected: `SHA-256 ${was?.slice(0, 12) ?? 'none'}…, as before the install`,
        found: `SHA-256 ${is?.slice(0, 12) ?? 'none'}…: something was written to it`,
        cause:
          'A partition was looked for by a part of its name: nvme0n1 is also the beginning of nvme0n10. Ask for the partitions of exactly one disk: lsblk -lnpo NAME,TYPE "$DISK".',
      },
    ];
  });
}

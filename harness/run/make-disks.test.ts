// Disks of somebody else: any byte that is written to them is seen.
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { loadScenario } from '../scenario/index.js';
import { checkUntouched, digestUntouched } from './make-disks.js';

const scenario = await loadScenario('scenarios/tmpfs-two-nvme/scenario.yaml');

t.test('one byte more is seen, and so is a disk that is gone', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-disks-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'other.raw');
  await writeFile(file, Buffer.alloc(3 * 1024 * 1024, 7));
  const disks = ['main', 'other'].map((name) => ({
    name,
    bus: 'nvme' as const,
    file: name === 'other' ? file : path.join(folder, 'none'),
    format: 'raw' as const,
  }));
  const before = await digestUntouched(scenario, disks);
  t.strictSame([...before.keys()], ['other'], 'the disk to install on may change');
  t.match(checkUntouched(scenario, before, await digestUntouched(scenario, disks)), [{ status: 'pass' }]);

  const handle = await open(file, 'r+');
  await handle.write(Buffer.from([8]), 0, 1, 2 * 1024 * 1024);
  await handle.close();
  t.match(checkUntouched(scenario, before, await digestUntouched(scenario, disks)), [
    { status: 'fail', promise: { id: 'untouched:other' }, cause: /nvme0n10/ },
  ]);
  t.match(checkUntouched(scenario, before, new Map()), [{ status: 'fail' }]);
});

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { LeaksFile } from '../record/index.js';
import { makeSampleRecord } from './sample-run.js';
import { writeReports, type WrittenReports } from './write-reports.js';

/** The folder of the variant of the made-up run that has evidence. */
export const SAMPLE_PASSED = 'btrfs-luks-rollback-disk-virtio';

const subvolume = (id: number, uuid: string, name: string) => ({ id, uuid, path: name });

/** What the made-up run's subvolumes were after the install. */
export const SAMPLE_INSTALLED = [subvolume(256, 'r0', 'root'), subvolume(257, 'h', 'home')];

const HOME = { mountPoint: '/home', root: '/home', source: '/dev/mapper/cryptfs', fsType: 'btrfs' };
const CANARY = { type: 'f' };

function block(
  kernelName: string,
  parent: string,
  rest: { readonly type: string; readonly fsType?: string; readonly label?: string; readonly path?: string },
) {
  const sizeBytes = 512 * 2 ** 20;
  return { kernelName, parent, path: `/dev/${kernelName}`, fsType: '', label: '', sizeBytes, ...rest };
}

const EVIDENCE: Readonly<Record<string, unknown>> = {
  'install.json': { subvolumes: SAMPLE_INSTALLED, headers: {} },
  'boot-1.json': {
    subvolumes: [subvolume(258, 'r1', 'root'), subvolume(257, 'h', 'home')],
    mounts: [HOME],
  },
  'planted-1.json': {
    subvolumes: [subvolume(258, 'r1', 'root'), subvolume(259, 'n', 'root/srv'), subvolume(257, 'h', 'home')],
    canaries: {
      '/etc/NetworkManager/system-connections/imperm-canary-1': CANARY,
      '/imperm-canary-1': CANARY,
      '/imperm-canary-1/deep': CANARY,
      '/home/imperm-canary-1': CANARY,
    },
  },
  'boot-2.json': {
    subvolumes: [subvolume(260, 'r2', 'root'), subvolume(257, 'h', 'home')],
    mounts: [HOME],
    canaries: { '/home/imperm-canary-1': CANARY },
    journal: [{ monotonicUs: 5_902_000, message: 'Deleting subvolume <root>' }],
  },
  'disk.json': {
    blocks: [
      block('vda', '', { type: 'disk' }),
      block('vda1', 'vda', { type: 'part', fsType: 'vfat', label: 'ESP' }),
      block('vda2', 'vda', { type: 'part', fsType: 'crypto_LUKS', label: 'cryptfs' }),
      block('dm-0', 'vda2', { type: 'crypt', fsType: 'btrfs', path: '/dev/mapper/cryptfs' }),
    ],
    volumes: [{ device: '/dev/mapper/cryptfs', subvolumes: [subvolume(257, 'h', 'home')] }],
  },
};

/**
 * Writes the evidence of the made-up run's first variant, of two boots and the disk, as a run does.
 *
 * @param folder The run's folder.
 * @param change Files that are to have another text.
 */
export async function writeSampleEvidence(
  folder: string,
  change: Readonly<Record<string, string>> = {},
): Promise<void> {
  const own = path.join(folder, SAMPLE_PASSED);
  await mkdir(own, { recursive: true });
  for (const [name, value] of Object.entries(EVIDENCE))
    await writeFile(path.join(own, name), change[name] ?? JSON.stringify(value));
  await writeFile(path.join(own, 'console.log'), change['console.log'] ?? 'one <script>\u001b[31mtwo\n');
}

const SAMPLE_LEAKS: LeaksFile = {
  version: 1,
  view: 'disk',
  lost: [
    {
      path: '/var/lib/app',
      kind: 'directory',
      changes: ['new'],
      mode: '0755',
      user: 'root',
      group: 'root',
      sizeBytes: 0,
      owner: 'unknown',
    },
  ],
  remade: [],
  orphans: [],
  stores: ['/persist'],
  missing: [],
  nix: 'environment.persistence."/persist".directories = [ "/var/lib/app" ];\n',
};

/**
 * Writes a whole made-up run, with a variant of every verdict, as `imperm run` leaves one. For tests of what reads runs.
 *
 * @param folder The run's folder; made if need be.
 */
export async function writeSampleRun(folder: string): Promise<WrittenReports> {
  await writeSampleEvidence(folder);
  for (const { leaks, folder: own } of makeSampleRecord().variants) {
    if (leaks === undefined) continue;
    await mkdir(path.join(folder, own), { recursive: true });
    await writeFile(path.join(folder, own, leaks.file), JSON.stringify(SAMPLE_LEAKS));
  }
  return writeReports(makeSampleRecord(), folder);
}

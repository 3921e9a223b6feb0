// What the root is restored from: read by the real find, judged in every direction.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import t from 'tap';

import { repositoryRoot } from '../core/index.js';
import { loadScenario } from '../scenario/index.js';
import { blankSection, readBlank } from './blank.js';
import { checkDisk } from './check-disk.js';
import type { DiskVolume } from './evidence.js';

const scenario = await loadScenario(
  path.join(repositoryRoot, 'scenarios/btrfs-luks-blank-snapshot/scenario.yaml'),
);

t.test('it is looked through, names with newlines included', async (t) => {
  const top = t.testdir({ bin: {}, 'root-blank': { empty: { deeper: {} } } });
  // btrfs is no part of every host; what it prints is what 6.14 prints.
  const btrfs = path.join(top, 'bin/btrfs');
  writeFileSync(btrfs, '#!/bin/sh\necho "ro=true"\n', { mode: 0o755 });
  const look = (): DiskVolume['blank'] => {
    const { command } = blankSection(top, 'root-blank');
    const env = { PATH: `${path.dirname(btrfs)}:${process.env['PATH'] ?? ''}` };
    const { stdout } = spawnSync('bash', ['-c', command], { env, encoding: 'utf8' });
    return readBlank(stdout.split('\0').filter((part) => part !== ''));
  };
  t.strictSame(look(), { readOnly: true, firstFiles: [] }, 'folders are no content');
  mkdirSync(path.join(top, 'root-blank/a b'));
  writeFileSync(path.join(top, 'root-blank/a b/c\nd'), '');
  t.strictSame(look(), { readOnly: true, firstFiles: ['a b/c\nd'] });
  writeFileSync(btrfs, '#!/bin/sh\necho "ro=false"\n');
  t.equal(look()?.readOnly, false);
});

t.test('it is read-only and empty, or the promise is broken', (t) => {
  const judge = (
    volume: Partial<DiskVolume>,
  ): { status: string; found: string; cause?: string } | undefined => {
    const evidence = {
      partitionTable: { valid: true, output: '' },
      luks: [],
      fileSystems: [],
      blocks: [],
      volumes: [{ device: '/dev/mapper/enc', subvolumes: [], canaries: new Map(), ...volume }],
      trees: new Map(),
    };
    const installed = { subvolumes: [], headers: new Map<string, string>() };
    const found = checkDisk({ scenario, evidence, installed, planted: [], wasCut: false });
    return found.find(({ promise }) => promise.id === 'blank:root-blank');
  };
  const subvolumes = [{ path: 'root-blank', uuid: 'u', parentUuid: '-', id: 256 }];
  t.match(judge({ subvolumes, blank: { readOnly: true, firstFiles: [] } }), { status: 'pass' });
  t.match(judge({ subvolumes, blank: { readOnly: false, firstFiles: [] } }), {
    status: 'fail',
    found: 'root-blank can be written to',
    cause: /snapshot -r/,
  });
  t.match(judge({ subvolumes, blank: { readOnly: true, firstFiles: ['etc/passwd'] } }), {
    status: 'fail',
    found: 'root-blank/etc/passwd is in it',
    cause: /every boot begins with it/,
  });
  t.match(judge({ subvolumes: [] }), { status: 'fail', found: 'there is no subvolume root-blank' });
  t.match(judge({ subvolumes }), { status: 'fail', found: /could not be read/ }, 'no evidence is no pass');
  t.match(judge({ device: '/dev/other' }), { status: 'fail', found: /could not be read/ });
  t.end();
});

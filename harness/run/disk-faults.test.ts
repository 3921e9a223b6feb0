// What is done to a powered-off disk: every fault is a script that bash can read, and one that fails is named.
import { execFileSync } from 'node:child_process';

import t from 'tap';

import { HarnessError } from '../core/index.js';
import { type DiskFault, type Fault, loadScenario } from '../scenario/index.js';
import { diskFaults } from './disk-faults.js';

const scenario = await loadScenario('scenarios/btrfs-luks-rollback/scenario.yaml');
const place = { file: 'x.yaml', line: 7, col: 3 };

const ALL: readonly DiskFault[] = [
  { kind: 'plant-subvolumes', subvolumes: ['root/a b', "root/it's"] },
  { kind: 'delete-subvolume', subvolume: 'root' },
  { kind: 'subvolume-to-directory', subvolume: 'root' },
  { kind: 'directory-to-subvolume', subvolume: 'root' },
  { kind: 'default-subvolume', subvolume: 'home' },
  { kind: 'snapshot', of: 'root', as: 'root-blank', readOnly: true },
  { kind: 'set-property', subvolume: 'root', name: 'ro', value: 'true' },
  { kind: 'set-property', subvolume: 'root', name: 'compression', value: 'zstd' },
  { kind: 'fill', mountPoint: '/persist' },
  { kind: 'label', device: '/dev/mapper/cryptfs', label: 'nixos' },
  { kind: 'overwrite', device: '/dev/vda', offset: 512, sizeBytes: 4096 },
  { kind: 'run-on-disk', script: { file: 'damage.sh', text: 'cat <<EOF\n"\nEOF\n', place } },
];

function faultsOf(actions: readonly DiskFault[]): (Fault & DiskFault)[] {
  return actions.map((action) => ({ ...action, title: action.kind, place }));
}

function outputOf(...codes: readonly (readonly [name: string, code: number, output?: string])[]): Buffer {
  return Buffer.from(
    codes.map(([name, code, output = '']) => `\n@@B ${name}\n${output}\n@@B = ${String(code)}\n`).join(''),
  );
}

void t.test('bash can read every fault, whatever is in its words', (t) => {
  const options = { device: '/dev/vda', boundary: 'B' };
  for (const isInstalled of [true, false]) {
    const { script } = diskFaults(scenario, faultsOf(ALL), { ...options, isInstalled });
    // "-n" reads, and runs nothing.
    execFileSync('bash', ['-n'], { input: script });
    t.equal(script.includes('cryptsetup open'), isInstalled, 'an empty disk has nothing to open');
  }
  t.end();
});

void t.test('the first fault that could not be done is told with its place', (t) => {
  const collection = diskFaults(scenario, faultsOf(ALL.slice(0, 2)), {
    device: '/dev/vda',
    boundary: 'B',
    isInstalled: true,
  });
  const good = [
    ['open', 0],
    ['fault-0', 0],
    ['fault-1', 0],
    ['close', 0],
  ] as const;
  t.doesNotThrow(() => {
    collection.parse(outputOf(...good));
  });
  t.throws(
    () => {
      collection.parse(outputOf(good[0], ['fault-0', 1, 'no such file'], ['fault-1', 1, 'later'], good[3]));
    },
    { code: 'STEP_FAILED', message: 'Could not plant-subvolumes', details: /no such file/, place },
  );
  t.throws(
    () => {
      collection.parse(outputOf(['open', 2, 'No key available'], ...good.slice(1)));
    },
    { code: 'STEP_FAILED', message: 'Could not open the disk' },
  );
  t.throws(() => {
    collection.parse(outputOf(...good.slice(0, 2)));
  }, HarnessError);
  t.end();
});

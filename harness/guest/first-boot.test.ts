// What an image has and an installed system has not.
import path from 'node:path';

import t from 'tap';

import { Budget, runProgram } from '../core/index.js';
import { loadScenario } from '../scenario/index.js';
import { imageNeeds } from './image-needs.js';
import { firstBootEntries, REGISTRATION } from './first-boot.js';
import { listForeignOwners } from './debian-image.js';
import type { GuestImages } from './images.js';
import { renderRegistration } from './store.js';

const { system } = await loadScenario('scenarios/btrfs-image/scenario.yaml');

t.test('the unit of the first boot runs while there is a registration, before all services', (t) => {
  const entries = new Map(firstBootEntries(system));
  const unit = entries.get('/etc/systemd/system/imperm-first-boot.service');
  t.match(unit, { kind: 'file', content: /^ConditionPathExists=\/nix\/nix-path-registration$/m });
  t.match(unit, { content: /^Before=sysinit.target shutdown.target$/m });
  t.match(unit, { content: new RegExp(`^ExecStart=/usr/lib/imperm/first-boot /nix ${REGISTRATION}$`, 'm') });
  t.match(entries.get('/etc/systemd/system/sysinit.target.wants/imperm-first-boot.service'), {
    kind: 'link',
  });
  t.strictSame(imageNeeds(system).packages, ['nix-bin']);
  const { image: _image, ...installed } = system;
  t.strictSame([firstBootEntries(installed), imageNeeds(installed).packages], [[], []]);
  t.end();
});

t.test('the registration has a line for each of what Nix wants to know', (t) => {
  const paths = [
    { path: '/nix/store/b', narHash: 'sha256:0', narSizeBytes: 7, references: ['/nix/store/a'] },
  ];
  t.equal(renderRegistration(paths), '/nix/store/b\nsha256:0\n7\n\n1\n/nix/store/a\n');
  t.end();
});

t.test('what the base gives to others than root is known from its archive', async (t) => {
  const folder = t.testdir({ usr: { mine: '1', 'of a group': '2' } });
  const systemTar = path.join(folder, 'system.tar');
  const add = (file: string, owner: string, group: string): Promise<unknown> =>
    runProgram('tar', ['-rf', systemTar, '-C', folder, `--owner=${owner}`, `--group=${group}`, file]);
  await add('usr/mine', '0', '0');
  await add('usr/of a group', '0', '42');
  const images = { systemTar, system: { path: '/nix/store/x-debian-system' } } as unknown as GuestImages;
  const budget = Budget.start('a test', 10_000, new AbortController().signal);
  t.strictSame(await listForeignOwners(system, images, budget), [
    { path: '@nix/store/x-debian-system/usr/of a group', uid: 0, gid: 42 },
  ]);
});

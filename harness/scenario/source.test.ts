// A scenario loaded with differences: exactly those, at the places that are written, and the files stay as they are.
import path from 'node:path';

import t from 'tap';

import { HarnessError } from '../core/index.js';
import { openScenario } from './index.js';

const BASE = `imperm: 1
title: base
install: install.sh
system:
  fileSystems:
    /: { device: none, fsType: tmpfs, options: [size=1G, mode=755] }
    /nix: { device: /dev/vda2, fsType: ext4 }
  persistence:
    /nix/persist: { directories: [/srv, /opt] }
`;
const folder = t.testdir({
  base: { 'scenario.yaml': BASE, 'install.sh': 'true\n' },
  upper: { 'scenario.yaml': 'imperm: 1\nextends: ../base/scenario.yaml\ntitle: upper\n' },
});
const source = await openScenario(path.join(folder, 'upper/scenario.yaml'));

t.test('what is there, and where', async (t) => {
  t.equal(source.valueAt(['system', 'fileSystems', '/', 'options', 1]), 'mode=755');
  t.same(source.valueAt(['system', 'persistence']), { '/nix/persist': { directories: ['/srv', '/opt'] } });
  t.equal(source.valueAt(['system', 'nothing']), undefined);
  t.match(source.placeAt(['system', 'fileSystems', '/nix', 'device']), {
    line: 7,
    file: /base\/scenario\.yaml$/,
  });
});

t.test('differences', async (t) => {
  const load = async (...edits: Parameters<typeof source.load>[0]) => {
    const { variants } = await source.load(edits);
    return variants[0]?.scenario;
  };
  const at = ['system', 'persistence', '/nix/persist', 'directories', 0];
  const pathsOf = (scenario: Awaited<ReturnType<typeof load>>) =>
    scenario?.system.persistence.flatMap(({ root, directories }) =>
      directories.map((each) => root + each.path),
    );
  t.same(pathsOf(await load({ at, set: '/home' })), ['/nix/persist/home', '/nix/persist/opt']);
  t.same(pathsOf(await load({ at, remove: true })), ['/nix/persist/opt']);
  t.same(pathsOf(await load({ at: ['system', 'persistence', '/nix/persist'], rename: '/nix/other' })), [
    '/nix/other/srv',
    '/nix/other/opt',
  ]);
  for (const nowhere of [
    ['system', 'nowhere', 'at', 'all'],
    [...at.slice(0, -1), 2],
  ])
    await t.rejects(load({ at: nowhere, set: 'x' }), { code: 'INTERNAL' }, 'no other scenario');
  const script = await load({ at: ['install'], set: { text: 'false\n' } });
  t.match(script?.install, { text: 'false\n', place: { line: 3, file: /base\/scenario\.yaml$/ } });
  t.equal((await load())?.install?.text, 'true\n', 'the next one begins anew');
});

t.test('what cannot be used is refused, where it is written', async (t) => {
  const error = await source
    .load([{ at: ['system', 'fileSystems', '/nix', 'fsType'], set: 'zfs' }])
    .catch((thrown: unknown) => thrown);
  t.ok(error instanceof HarnessError && error.code === 'SCENARIO_INVALID');
  t.match((error as HarnessError).details, /base\/scenario\.yaml:7:\d+: .*which the guest cannot test/);
  t.equal((await source.load([])).variants.length, 1, 'and it does no harm to the file');
});

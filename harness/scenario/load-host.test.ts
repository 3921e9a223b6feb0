// What a machine's owner writes about it: everything is checked before anybody talks to the machine.
import { homedir } from 'node:os';
import path from 'node:path';

import t from 'tap';

import { loadHost } from './load-host.js';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2ZwR0x';
const GOOD = `imperm-host: 1
ssh: { address: 192.0.2.7, key: keys/bench, hostKey: ${KEY} root@installer }
disks:
  main: { serial: S64D, model: A disk, size: 1000 }
  second: { serial: S64D, model: A disk, size: 1000, id: nvme-x_2 }
`;

t.test('a host file that can be used', async (t) => {
  const folder = t.testdir({ 'bench.yaml': GOOD, 'home.yaml': GOOD.replace('keys/bench', '~/.ssh/bench') });
  const host = await loadHost(path.join(folder, 'bench.yaml'));
  t.match(host, { address: '192.0.2.7', port: 22, hostKey: KEY, keyFile: path.join(folder, 'keys/bench') });
  t.equal(host.hostKey, KEY, 'without the comment');
  t.strictSame(
    [...host.disks],
    [
      ['main', { serial: 'S64D', model: 'A disk', sizeBytes: 1000 }],
      ['second', { serial: 'S64D', model: 'A disk', sizeBytes: 1000, id: 'nvme-x_2' }],
    ],
  );
  t.match(await loadHost(path.join(folder, 'home.yaml')), { keyFile: path.join(homedir(), '.ssh/bench') });
});

t.test('every problem with its place', async (t) => {
  const problemsOf = async (text: string): Promise<string> => {
    const file = path.join(t.testdir({ 'bad.yaml': text }), 'bad.yaml');
    const error: unknown = await loadHost(file).catch((thrown: unknown) => thrown);
    t.match(error, { code: 'USAGE', message: /^Cannot use the host file: / });
    return (error as { details: string }).details.replaceAll(file, 'bad.yaml');
  };
  const change = (from: string, to: string): Promise<string> => problemsOf(GOOD.replace(from, to));
  t.match(
    await change('address', 'adress'),
    /bad\.yaml:2:\d+: unknown key "adress" in ssh\. Did you mean "address"\?/,
  );
  t.match(await change(', key: keys/bench', ''), /ssh\.key is missing/);
  t.match(
    await change(KEY, 'ssh-rsa AAAA'),
    /ssh\.hostKey must be the host key that `ssh-keyscan -t ed25519`/,
  );
  t.match(
    await change('serial: S64D', 'serial: 123'),
    /:4:\d+: disks\.main\.serial must be a text, .* "123"/,
  );
  t.match(await change('size: 1000 }', 'size: 1TB }'), /disks\.main\.size must be a number/);
  t.match(await change('nvme-x_2', '/dev/disk/by-id/nvme-x_2'), /must be a name in \/dev\/disk\/by-id/);
  t.match(await change(', id: nvme-x_2', ''), /:5:\d+: another disk of this file has the same serial number/);
  t.match(await change('imperm-host: 1', 'imperm-host: 2'), /imperm-host must be 1/);
  t.match(await change('imperm-host: 1\n', ''), /imperm-host is missing/);
  t.match(await change('main:', 'Main Disk:'), /must be the name of a disk in a scenario/);
  t.match(await problemsOf('[]'), /a host file must be a map/);
  t.match(await problemsOf('{'), /not valid YAML/);
  await t.rejects(loadHost('/nonexistent/host.yaml'), { code: 'USAGE', details: /does not exist/ });
});

// What a machine's owner writes about it: everything is checked before anybody talks to the machine.
import { homedir } from 'node:os';
import path from 'node:path';

import t from 'tap';

import { loadHost, parseNetwork } from './load-host.js';

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

t.test('what it says of console, power and network, and what holds without a word', async (t) => {
  const more = `system: { network: { address: 192.0.2.9/24 }, kernelParameters: [quiet] }
console: { command: [./sol, -H, bmc] }
power: { 'off': [plug, 'off'], 'on': [plug, 'on'] }
timeScale: 2
`;
  const folder = t.testdir({ 'bench.yaml': GOOD, 'more.yaml': GOOD + more });
  const plain = await loadHost(path.join(folder, 'bench.yaml'));
  t.strictSame(plain.system, { address: '192.0.2.7', port: 2222, kernelParameters: [] });
  t.strictSame([plain.console, plain.power, plain.timeScale], [undefined, undefined, 1]);
  const host = await loadHost(path.join(folder, 'more.yaml'));
  t.match(host.system, { network: { address: '192.0.2.9/24' }, kernelParameters: ['quiet'] });
  t.strictSame(host.console, { command: [path.join(folder, 'sol'), '-H', 'bmc'], device: 'ttyS0,115200n8' });
  t.strictSame(host.power, { off: ['plug', 'off'], on: ['plug', 'on'] });
  t.equal(host.timeScale, 2);
});

t.test('a fixed address on the command line', async (t) => {
  t.equal(parseNetwork({}), undefined);
  t.strictSame(parseNetwork({ address: '192.0.2.9/24', gateway: '192.0.2.1' }), {
    address: '192.0.2.9/24',
    gateway: '192.0.2.1',
  });
  t.throws(() => parseNetwork({ address: '192.0.2.9' }), {
    code: 'USAGE',
    message: /--address must be an address with the length of its net/,
  });
  t.throws(() => parseNetwork({ gateway: '192.0.2.1' }), { code: 'USAGE', message: /--address/ });
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
  const add = (text: string): Promise<string> => problemsOf(`${GOOD}${text}\n`);
  t.match(await add('power: { "off": [x] }'), /:6:\d+: power\.on is missing/);
  t.match(await add('power: { "off": x, "on": [x] }'), /power\.off must be a list/);
  t.match(await add('console: { command: [x], device: tty0 }'), /console\.device must be a serial console/);
  t.match(await add('system: { network: { address: 192.0.2.7 } }'), /must be an address with the length/);
  t.match(await add('system: { kernelParameters: [a b] }'), /must be one kernel parameter/);
  t.match(await add('timeScale: 0'), /timeScale/);
  t.match(await problemsOf('[]'), /a host file must be a map/);
  t.match(await problemsOf('{'), /not valid YAML/);
  await t.rejects(loadHost('/nonexistent/host.yaml'), { code: 'USAGE', details: /does not exist/ });
});

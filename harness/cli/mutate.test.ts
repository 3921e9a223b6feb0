// `imperm mutate` as a person calls it, as far as it needs no machine.
import t from 'tap';

import { Cli } from './cli-process.js';

t.test('--list shows what would be run, and starts nothing', async (t) => {
  const { exitCode, stdout } = await new Cli([
    'mutate',
    '--list',
    'tmpfs-luks-ext4',
    '--variant',
    'stage1=scripted',
    '--only',
    'fileSystems///*',
    'users/*/drop',
  ]).result;
  t.equal(exitCode, 0);
  t.match(stdout, /^== tmpfs-luks-ext4\[stage1=scripted,.*\]: \d+ mutants, \d+ of them to be run ==$/m);
  t.match(stdout, /^refused +fileSystems\/\/\/drop .*no root to wipe/m);
  t.match(stdout, /^equivalent +fileSystems\/\/\/options:defaults\/drop /m);
  t.match(stdout, /^run +users\/root\/hashedPasswordFile\/drop +the password of root/m);
  t.notMatch(stdout, /swapDevices/);
});

t.test('--list names the trials of survivors', async (t) => {
  const { stdout } = await new Cli(['mutate', '--list', 'btrfs-luks-rollback', '--only', 'rollback/drop'])
    .result;
  t.match(
    stdout,
    /^What survives is put through .*nested-subvolumes-corrected.*power-cut-in-rollback-corrected.*slow-disk/m,
  );
  t.notMatch(stdout, /rollback-fails-open-corrected/, 'which has another rollback');
});

t.test('what cannot be asked is refused before anything is started', async (t) => {
  const cases: Record<string, readonly [readonly string[], RegExp]> = {
    'a faulty layout': [['btrfs-luks-rollback-as-published'], /is known to break promises as it is/],
    'an unknown id': [['--only', 'nix'], /No mutant has an id like nix/],
    'no trial': [['--trial', 'slow-disk', 'small-services'], /small-services is no trial/],
    'no number': [['--controls', 'x'], /--controls takes a whole number/],
    'no results': [['--resume', '/nowhere/mutants.json'], /Could not read the results/],
    'a real machine': [['--target', 'hardware', '--host', 'x.yaml'], /virtual machines only/],
  };
  for (const [name, [args, message]] of Object.entries(cases)) {
    const { exitCode, stderr } = await new Cli(['mutate', ...args]).result;
    t.equal(exitCode, 2, name);
    t.match(stderr, message, name);
  }
});

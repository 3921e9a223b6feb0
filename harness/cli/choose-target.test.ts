// Where machines run, as the command line says it. No machine is started, and no libvirt is asked.
import t from 'tap';

import { Cli, withFolder } from './cli-process.js';
import { chooseTarget, chooseTargets, renderTarget } from './choose-target.js';

t.test('a target and its address', (t) => {
  t.strictSame(chooseTarget({}), { kind: 'qemu' });
  t.strictSame(chooseTarget({ target: 'libvirt' }), { kind: 'libvirt', uri: 'qemu:///system' });
  const session = { target: 'libvirt', connect: ['qemu:///session'] } as const;
  t.strictSame(chooseTarget(session), { kind: 'libvirt', uri: 'qemu:///session' });
  t.throws(() => chooseTarget({ connect: ['qemu:///system'] }), {
    code: 'USAGE',
    message: /--target libvirt/,
  });
  const real = { target: 'hardware', host: 'bench.yaml' } as const;
  t.strictSame(chooseTarget(real), { kind: 'hardware', file: 'bench.yaml' });
  t.throws(() => chooseTarget({ target: 'hardware' }), { code: 'USAGE', message: /needs --host/ });
  t.throws(() => chooseTarget({ host: 'bench.yaml' }), { code: 'USAGE', message: /--target hardware/ });
  t.throws(() => chooseTarget({ ...real, connect: ['qemu:///system'] }), { code: 'USAGE' });
  t.strictSame(renderTarget(chooseTarget(real)), ['--target hardware', '--host bench.yaml']);
  t.strictSame(renderTarget({ kind: 'qemu' }), []);
  t.strictSame(renderTarget(chooseTarget({ target: 'libvirt' })), ['--target libvirt']);
  t.strictSame(renderTarget(chooseTarget(session)), ['--target libvirt', '--connect qemu:///session']);
  const pool = { target: 'libvirt', connect: ['qemu+ssh://a/system', 'qemu+ssh://b/system'] } as const;
  t.strictSame(
    chooseTargets(pool),
    pool.connect.map((uri) => ({ kind: 'libvirt', uri })),
    'the libvirts of several hosts',
  );
  t.throws(() => chooseTarget(pool), { code: 'USAGE', message: /imperm run takes several/ });
  const twice = { target: 'libvirt', connect: ['qemu:///system', 'qemu:///system'] } as const;
  t.throws(() => chooseTargets(twice), { code: 'USAGE', message: /given twice/ });
  t.end();
});

t.test('what cannot be a target is told before anything is made', (t) =>
  withFolder(async (folder) => {
    const run = (...words: string[]) =>
      new Cli(['run', 'btrfs-luks-rollback', '--once', '--reports', folder, ...words], {
        IMPERM_WORK: `${folder}/w`,
      }).result;
    const far = await run('--target', 'libvirt', '--connect', 'qemu+tls://elsewhere/system');
    t.equal(far.exitCode, 2);
    t.match(far.stderr, /only libvirt on this host, or on one that ssh reaches/);
    const lonely = await run('--connect', 'qemu:///system');
    t.equal(lonely.exitCode, 2);
    t.match(lonely.stderr, /goes with --target libvirt/);
    const planned = await new Cli(['plan', 'btrfs-luks-rollback', '--connect', 'qemu:///system']).result;
    t.match(planned, { exitCode: 2, stderr: /goes with --target libvirt/ });
    const several = ['--target', 'libvirt', '--connect', 'qemu:///system', '--connect', 'qemu:///session'];
    const sharded = await run(...several, '--shard', '1/2');
    t.match(sharded, { exitCode: 2, stderr: /--shard and several --connect cannot be together/ });
    const plannedTwice = await new Cli(['plan', 'btrfs-luks-rollback', ...several]).result;
    t.match(plannedTwice, { exitCode: 2, stderr: /Only imperm run takes several/ });
    const other = await run('--target', 'xen');
    t.equal(other.exitCode, 2);
    t.match(other.stderr, /qemu, libvirt/);
  }),
);

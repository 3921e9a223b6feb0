import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import t, { type Test } from 'tap';

import { Budget, HarnessError, type ProgramResult } from '../core/index.js';
import { type DoctorCheck, doctorExitCode, renderDoctor } from './doctor-check.js';
import { type GenericCheckOptions, runGenericChecks } from './doctor.js';
import { readAvailableMemory } from './memory.js';

const GIB = 1024 ** 3;

/** A folder with these files, and nothing of what it held before. */
function createTree(t: Test, tree: Record<string, string>): string {
  const root = t.testdir({});
  for (const [name, body] of Object.entries(tree)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), body);
  }
  return root;
}

/** The checks of a host whose /proc, /sys, /dev and /etc are made up and whose programs answer as told. */
async function look(
  t: Test,
  tree: Record<string, string>,
  options: Partial<GenericCheckOptions> & { programs?: Record<string, string | Error> } = {},
): Promise<Map<string, DoctorCheck>> {
  const root = createTree(t, tree);
  const { programs = {}, ...rest } = options;
  const run = async (file: string, args: readonly string[]): Promise<ProgramResult> => {
    if (file === 'sh')
      return {
        stdout: args
          .slice(3)
          .filter((name) => programs[name] instanceof Error)
          .join('\n'),
        stderr: '',
        exitCode: 0,
      };
    const answer = programs[[file, args.at(-1)].join(' ')];
    if (answer === undefined || answer instanceof Error) {
      throw answer ?? new HarnessError('TOOL_FAILED', `${file} failed: could not be started`);
    }
    return { stdout: answer, stderr: '', exitCode: 0 };
  };
  const checks = await runGenericChecks({
    cacheDir: path.join(root, 'not/yet/there'),
    workDir: root,
    budget: Budget.start('a test', 60_000, new AbortController().signal),
    isRoot: true,
    root,
    run,
    ...rest,
  });
  return new Map(checks.map((check) => [check.id, check]));
}

const meminfo = (availableMiB: number): string =>
  `MemTotal: 99 kB\nMemAvailable:   ${String(availableMiB * 1024)} kB\n`;

t.test('a fit host', async (t) => {
  const checks = await look(t, { 'proc/meminfo': meminfo(8000), 'dev/kvm': '' });
  for (const [id, check] of checks) {
    // The real disk decides: what is said about it must agree with itself.
    const [, freeGiB, neededGiB] = /^([\d.]+) GiB free at .* \((\d) GiB needed\)$/.exec(check.found) ?? [];
    const isFit = !id.startsWith('space-') || Number(freeGiB) >= Number(neededGiB);
    t.equal(check.status, isFit ? 'ok' : 'fail', `${id}: ${check.found}`);
  }
  t.match(checks.get('node')?.found, process.versions.node);
  t.match(checks.get('npm-packages')?.found, /^\d+ installed$/);
  t.match(checks.get('memory')?.found, '8000 MiB available');
  t.match(checks.get('space-cache')?.found, /^\d+\.\d GiB free at .*not\/yet\/there \(6 GiB needed\)$/);
  t.match(
    (await look(t, { 'proc/meminfo': meminfo(8000) }, { imagesBuilt: true })).get('space-cache')?.found,
    '(3 GiB needed)',
  );
});

t.test('memory', async (t) => {
  const memory = async (tree: Record<string, string>): Promise<unknown> =>
    readAvailableMemory(createTree(t, tree));
  const meminfo8 = { 'proc/meminfo': meminfo(8192) };
  const unified = { ...meminfo8, 'proc/self/cgroup': '0::/a/b\n' };
  t.same(await memory(meminfo8), { availableMiB: 8192, boundBy: 'host' });
  t.same(await memory({ ...unified, 'sys/fs/cgroup/a/b/memory.max': 'max\n' }), {
    availableMiB: 8192,
    boundBy: 'host',
  });
  t.same(
    await memory({
      ...unified,
      'sys/fs/cgroup/a/b/memory.max': 'max\n',
      // The limit of a group above holds as well; cached files do not count.
      'sys/fs/cgroup/a/memory.max': `${String(4 * GIB)}\n`,
      'sys/fs/cgroup/a/memory.current': `${String(3 * GIB)}\n`,
      'sys/fs/cgroup/a/memory.stat': `anon 5\ninactive_file ${String(2 * GIB)}\n`,
    }),
    { availableMiB: 3072, boundBy: 'cgroup' },
  );
  const old = { ...meminfo8, 'proc/self/cgroup': '5:devices:/x\n4:cpu,memory:/x\n0::/\n' };
  t.same(
    await memory({
      ...old,
      'sys/fs/cgroup/memory/x/memory.limit_in_bytes': `${String(GIB)}\n`,
      'sys/fs/cgroup/memory/x/memory.usage_in_bytes': '0\n',
    }),
    { availableMiB: 1024, boundBy: 'cgroup' },
  );
  t.same(await memory({ ...old, 'sys/fs/cgroup/memory/x/memory.limit_in_bytes': '9223372036854771712\n' }), {
    availableMiB: 8192,
    boundBy: 'host',
  });
  // Inside a container the group's path may be that of the host, and its files lie at the top.
  t.match(
    await memory({
      ...unified,
      'sys/fs/cgroup/memory.max': '1048576\n',
      'sys/fs/cgroup/memory.current': '0\n',
    }),
    {
      availableMiB: 1,
    },
  );

  const little = (await look(t, { 'proc/meminfo': meminfo(2047) })).get('memory');
  t.match(little, { status: 'fail', found: /2047 MiB available \(3072 MiB needed\)/, cure: /End something/ });
});

t.test('space that is not there', async (t) => {
  const checks = await look(t, {}, { cacheDir: '/proc/imperm', workDir: '/proc/imperm/work' });
  t.match(checks.get('space-cache'), { status: 'fail', cure: /IMPERM_CACHE/ });
  t.match(checks.get('space-work'), { status: 'fail', cure: /IMPERM_WORK/ });
});

t.test('programs', async (t) => {
  const gone = new Error('missing');
  const checks = await look(
    t,
    { 'etc/os-release': 'ID=debian\n' },
    { programs: { mmdebstrap: gone, setpriv: gone } },
  );
  t.match(checks.get('program-mmdebstrap'), { status: 'fail', found: /missing, which unpacks/ });
  t.equal(checks.get('program-mmdebstrap')?.cure, undefined, 'one command for all, at the last');
  t.equal(
    checks.get('program-setpriv')?.cure,
    'apt-get install --no-install-recommends mmdebstrap util-linux',
  );
  t.match(checks.get('program-tar'), { status: 'ok' });
  t.notOk(checks.has('program-newuidmap'));
});

t.test('user namespaces', async (t) => {
  const { username, uid } = os.userInfo();
  const works = { 'unshare true': '' };
  const ids = (owner: string, count = 65536): Record<string, string> => ({
    'etc/subuid': `other:1:65536\n${owner}:100000:${String(count)}\n`,
    'etc/subgid': `${owner}:100000:65536\n`,
  });
  const namespaces = async (
    tree: Record<string, string>,
    programs: Record<string, string> = {},
  ): Promise<unknown> => (await look(t, tree, { isRoot: false, programs })).get('user-namespaces');

  t.match(await namespaces(ids(username), works), { status: 'ok' });
  t.match(await namespaces(ids(String(uid)), works), { status: 'ok' });
  t.match(await namespaces({}, works), {
    status: 'fail',
    found: /no ids in \/etc\/subuid and \/etc\/subgid/,
    cure: /--add-subuids/,
  });
  t.match(await namespaces(ids(username, 1000), works), {
    status: 'fail',
    found: /no ids in \/etc\/subuid$/,
  });
  t.match(await namespaces(ids('other'), works), { status: 'fail' });
  for (const [name, value] of [
    ['kernel/unprivileged_userns_clone', '0'],
    ['user/max_user_namespaces', '0'],
    ['kernel/apparmor_restrict_unprivileged_userns', '1'],
  ] as const) {
    const found = `forbidden by ${name.replace('/', '.')} = ${value}`;
    t.match(await namespaces({ ...ids(username), [`proc/sys/${name}`]: `${value}\n` }), {
      status: 'fail',
      found,
      cure: /sysctl/,
    });
    // What works is not questioned, whatever the switches say.
    t.match(await namespaces({ ...ids(username), [`proc/sys/${name}`]: `${value}\n` }, works), {
      status: 'ok',
    });
  }
  t.match(await namespaces(ids(username)), { status: 'fail', found: /container/ });
});

t.test('what a run can do without is never a failure', async (t) => {
  const without = await look(t, { 'proc/meminfo': meminfo(8000) });
  t.match(without.get('kvm-device'), { status: 'warn', found: /missing/, cure: /firmware/ });
  t.match(without.get('libvirt'), { status: 'ok', found: /not installed/ });
  t.equal(doctorExitCode([...without.values()]), 0);

  const version = 'Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\n';
  const answers = await look(t, {}, { programs: { 'virsh --version': '9.0.0', 'virsh version': version } });
  t.match(answers.get('libvirt'), { status: 'ok', found: '9.0.0, its daemon answers' });
  const silent = new HarnessError('TOOL_FAILED', 'virsh failed: exit code 1', {
    details: 'error: Failed to connect socket',
  });
  const asleep = await look(t, {}, { programs: { 'virsh --version': '9.0.0', 'virsh version': silent } });
  t.match(asleep.get('libvirt'), { status: 'warn', found: /Failed to connect socket/, cure: /systemctl/ });
});

t.test('the table', (t) => {
  const checks: DoctorCheck[] = [
    { id: 'a', title: 'Node', status: 'ok', found: '20.20.2' },
    { id: 'b', title: 'mmdebstrap', status: 'fail', found: 'missing', cure: 'first line\nsecond line' },
    { id: 'c', title: '/dev/kvm', status: 'warn', found: 'missing' },
  ];
  t.equal(
    renderDoctor(checks, { color: false }),
    [
      'ok    Node        20.20.2',
      'FAIL  mmdebstrap  missing',
      '                  → first line',
      '                    second line',
      'note  /dev/kvm    missing',
      '',
      'This host cannot run scenarios yet: mmdebstrap.',
    ].join('\n'),
  );
  t.equal(doctorExitCode(checks), 69);
  const fit = checks.filter(({ status }) => status !== 'fail');
  t.equal(doctorExitCode(fit), 0);
  t.match(renderDoctor(fit, { color: false }), /This host can run scenarios\.$/);
  const colored = renderDoctor(checks, { color: true });
  t.match(colored, '\u001b[31mFAIL');
  t.equal(colored.replaceAll(/\u001b\[\d+m/g, ''), renderDoctor(checks, { color: false }));
  t.end();
});

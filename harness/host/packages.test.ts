import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import {
  Budget,
  HarnessError,
  type ProgramResult,
  type RunProgramOptions,
  runProgram,
} from '../core/index.js';
import { type Distro, readDistro } from './distro.js';
import { findMissing, hostNeeds } from './needs.js';
import { ensurePackages, type EnsurePackagesOptions, installCommand } from './packages.js';

const DEBIAN: Distro = { family: 'debian', name: 'Debian GNU/Linux 13 (trixie)' };

/** A machine with apt, some programs, and packages that bring others; `known`: to the package lists. */
class Machine {
  readonly calls: string[] = [];
  readonly terminal: boolean[] = [];
  constructor(
    readonly programs: Set<string>,
    readonly state: { known: boolean; stale?: boolean; broken?: boolean; brings: Record<string, string[]> },
  ) {}

  readonly run = async (
    file: string,
    args: readonly string[],
    options: RunProgramOptions = {},
  ): Promise<ProgramResult> => {
    const result = (stdout: string): ProgramResult => ({ stdout, stderr: '', exitCode: 0 });
    if (file === 'sh') {
      const names = args.slice(3);
      if (args[1]?.includes('for name') === true)
        return result(names.filter((name) => !this.programs.has(name)).join('\n'));
      return result(this.programs.has(names[0] ?? '') ? `/usr/bin/${names[0] ?? ''}\n` : '');
    }
    if (file === 'apt-cache') {
      const candidate = this.state.known ? '1.0' : '(none)';
      return result(
        args
          .slice(1)
          .map((name) => `${name}:\n  Installed: (none)\n  Candidate: ${candidate}\n`)
          .join(''),
      );
    }
    this.calls.push([file, ...args].join(' '));
    this.terminal.push(options.terminal === true);
    if (args.includes('update')) Object.assign(this.state, { known: true, stale: false });
    if (args.includes('install')) {
      if (this.state.stale === true || this.state.broken === true) {
        throw new HarnessError('TOOL_FAILED', 'apt-get failed: exit code 100', {
          details: 'E: 404 Not Found',
        });
      }
      for (const name of args)
        for (const program of this.state.brings[name] ?? []) this.programs.add(program);
    }
    return result('');
  };
}

const BRINGS = { mmdebstrap: ['mmdebstrap'], 'util-linux': ['setpriv', 'flock'] };
const APT = 'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q';
const INSTALL = `${APT} install --yes --no-install-recommends mmdebstrap util-linux`;

function ensure(machine: Machine, options: Partial<EnsurePackagesOptions> = {}): Promise<string[]> {
  return ensurePackages({
    needs: ['mmdebstrap', 'setpriv', 'flock'],
    distro: DEBIAN,
    isRoot: true,
    assumeYes: true,
    interactive: false,
    ask: () => Promise.reject(new Error('nobody is asked here')),
    log: () => undefined,
    budget: Budget.start('a test', 60_000, new AbortController().signal),
    run: machine.run,
    ...options,
  });
}

t.test('knows distributions by their os-release', async (t) => {
  const cases: [string, string, string][] = [
    ['ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n', 'debian', 'Debian GNU/Linux 13 (trixie)'],
    ["NAME='Ubuntu'\nID=ubuntu\nID_LIKE=debian\n", 'ubuntu', 'Ubuntu'],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\nNAME="Linux Mint"\n', 'ubuntu', 'Linux Mint'],
    ['ID=raspbian\nID_LIKE=debian\n', 'debian', 'an unknown distribution'],
    ['ID=fedora\nNAME="Fedora Linux"\n', 'fedora', 'Fedora Linux'],
    ['ID="almalinux"\nID_LIKE="rhel centos fedora"\n', 'fedora', 'an unknown distribution'],
    ['ID=manjaro\nID_LIKE=arch\n', 'arch', 'an unknown distribution'],
    ['ID=nixos\n', 'nixos', 'an unknown distribution'],
    ['# ID=debian\nID=alpine\n', 'other', 'an unknown distribution'],
  ];
  const file = path.join(t.testdir({}), 'os-release');
  for (const [text, family, name] of cases) {
    await writeFile(file, text);
    t.same(await readDistro(file), { family, name }, text);
  }
  t.match(await readDistro(path.join(t.testdirName, 'nowhere')), { family: 'other' });
});

t.test('finds what is missing', async (t) => {
  t.same(await findMissing(['tar', 'setpriv'], runProgram), []);
  const nowhere = ['no-such-program', '/no/such/file', 'tar'] as unknown as ReturnType<typeof hostNeeds>;
  t.same(await findMissing(nowhere, runProgram), ['no-such-program', '/no/such/file']);
  t.notOk(hostNeeds(true).includes('newuidmap'), 'root needs no ids of its own');
  t.ok(hostNeeds(false).includes('newuidmap'));
});

t.test('names the command for every distribution', (t) => {
  const commands: [Distro['family'], string][] = [
    ['debian', 'sudo apt-get install --no-install-recommends mmdebstrap uidmap util-linux'],
    ['ubuntu', 'sudo apt-get install --no-install-recommends mmdebstrap uidmap util-linux'],
    ['fedora', 'sudo dnf install mmdebstrap shadow-utils util-linux'],
    [
      'arch',
      'sudo pacman -S --needed shadow util-linux && git clone https://aur.archlinux.org/mmdebstrap.git && (cd mmdebstrap && makepkg -si)',
    ],
    ['nixos', 'nix shell nixpkgs#mmdebstrap nixpkgs#shadow nixpkgs#util-linux'],
  ];
  const needs = ['mmdebstrap', 'newuidmap', 'setpriv', 'flock'] as const;
  for (const [family, command] of commands) t.equal(installCommand({ family, name: '' }, needs), command);
  t.equal(installCommand(DEBIAN, ['flock'], true), 'apt-get install --no-install-recommends util-linux');
  const all = installCommand({ family: 'other', name: '' }, needs);
  for (const [, command] of commands) t.ok(all.includes(command), command);
  t.end();
});

t.test('installs', async (t) => {
  await t.test('nothing when nothing is missing', async (t) => {
    const machine = new Machine(new Set(['mmdebstrap', 'setpriv', 'flock']), { known: false, brings: {} });
    t.same(await ensure(machine, { distro: { family: 'other', name: 'something' } }), []);
    t.same(machine.calls, []);
  });
  await t.test('after an update when the lists are empty', async (t) => {
    const machine = new Machine(new Set(['tar']), { known: false, brings: BRINGS });
    t.same(await ensure(machine), ['mmdebstrap', 'util-linux']);
    t.same(machine.calls, [`${APT} update`, INSTALL]);
  });
  await t.test('without an update when the lists know the packages', async (t) => {
    const machine = new Machine(new Set(['tar']), { known: true, brings: BRINGS });
    await ensure(machine);
    t.same(machine.calls, [INSTALL]);
  });
  await t.test('again after an update when the lists were too old', async (t) => {
    const machine = new Machine(new Set(['tar']), { known: true, stale: true, brings: BRINGS });
    await ensure(machine);
    t.same(machine.calls, [INSTALL, `${APT} update`, INSTALL]);
  });
  await t.test('by sudo, which may ask for a password only when somebody is there', async (t) => {
    for (const interactive of [true, false]) {
      const machine = new Machine(new Set(['sudo']), { known: true, brings: BRINGS });
      await ensure(machine, { isRoot: false, interactive });
      t.same(machine.calls, [`sudo ${interactive ? '' : '--non-interactive '}${INSTALL}`]);
      t.same(machine.terminal, [interactive]);
    }
  });
  await t.test('after a yes', async (t) => {
    const machine = new Machine(new Set(), { known: true, brings: BRINGS });
    let question = '';
    const ask = async (text: string): Promise<boolean> => {
      question = text;
      return true;
    };
    await ensure(machine, { assumeYes: false, interactive: true, ask });
    t.match(question, 'mmdebstrap and util-linux');
    t.match(question, installCommand(DEBIAN, ['mmdebstrap', 'setpriv'], true));
    t.same(machine.calls, [INSTALL]);
  });
});

t.test('refuses with the command', async (t) => {
  const cases: [string, Partial<EnsurePackagesOptions>, Partial<Machine['state']>, RegExp][] = [
    ['a no', { assumeYes: false, interactive: true, ask: async () => false }, {}, /declined/],
    ['nobody to ask', { assumeYes: false, interactive: false }, {}, /nobody can be asked.*--yes/],
    [
      'another distribution',
      { distro: { family: 'fedora', name: 'Fedora Linux 42' } },
      {},
      /this is Fedora Linux 42/,
    ],
    ['no sudo', { isRoot: false }, {}, /there is no sudo/],
    ['apt fails', {}, { broken: true }, /installing it failed/],
    [
      'the package does not bring it',
      {},
      { brings: { mmdebstrap: ['mmdebstrap'] } },
      /did not bring setpriv and flock/,
    ],
  ];
  for (const [title, options, state, message] of cases) {
    const machine = new Machine(new Set(['tar']), { known: true, brings: BRINGS, ...state });
    const command = installCommand(
      options.distro ?? DEBIAN,
      ['mmdebstrap', 'setpriv', 'flock'],
      options.isRoot ?? true,
    );
    await t.rejects(
      ensure(machine, options),
      { name: 'HarnessError', code: 'HOST_UNFIT', exitCode: 69, message, hint: command },
      title,
    );
    if (title !== 'apt fails' && !title.startsWith('the package'))
      t.same(machine.calls, [], `${title}: nothing is done`);
  }
});

t.test('an interruption is no lack of the host', async (t) => {
  const machine = new Machine(new Set(), { known: true, brings: BRINGS });
  const stopped = new HarnessError('INTERRUPTED', 'Interrupted');
  const run: typeof runProgram = (file, args, options) =>
    args.includes('install') ? Promise.reject(stopped) : machine.run(file, args, options);
  await t.rejects(ensure(machine, { run }), { code: 'INTERRUPTED' });
});

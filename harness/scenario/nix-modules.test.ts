// Nix modules of a scenario's own: read as text, never evaluated here.
import { symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { HarnessError } from '../core/index.js';
import { loadScenario } from './index.js';

const MODULE = '{ services.dbus.implementation = "broker"; }\n';

const SCENARIO = `imperm: 1
title: A bug report
install: { text: "true" }
system:
  nixModules: [bus.nix, ./deeper/more.nix]
  fileSystems: { /: { device: none, fsType: tmpfs }, /nix: { device: /dev/vda2, fsType: ext4 } }
`;

/** Nobody here reads it as Nix. */
const NO_NIX = '{ a = ;\n';

const FILES = { 'bus.nix': MODULE, deeper: { 'more.nix': NO_NIX } };

function write(test: Test, text = SCENARIO, more: object = {}): string {
  const folder = test.testdir({ report: { 'scenario.yaml': text, ...FILES }, ...more });
  return path.join(folder, 'report/scenario.yaml');
}

async function problemsIn(test: Test, file: string): Promise<string> {
  const error: unknown = await loadScenario(file).catch((thrown: unknown) => thrown);
  if (!(error instanceof HarnessError) || error.code !== 'SCENARIO_INVALID') return 'none';
  return (error.details ?? '').replaceAll(`${path.relative('', test.testdirName)}/`, '');
}

t.test('the files of Nix modules are read as text, each with its name and place', async (t) => {
  const file = write(t);
  const { system } = await loadScenario(file);
  const folder = path.relative('', path.dirname(file));
  t.strictSame(
    system.nixModules.map(({ file, text, place }) => [file, text, place.line, place.col]),
    [
      [path.join(folder, 'bus.nix'), MODULE, 5, 16],
      [path.join(folder, 'deeper/more.nix'), NO_NIX, 5, 25],
    ],
  );
  const none = write(t, SCENARIO.replace(/ {2}nixModules.*\n/, ''));
  t.strictSame((await loadScenario(none)).system.nixModules, [], 'a scenario without them has none');
});

t.test('a scenario that extends another has its modules, or its own in their place', async (t) => {
  const load = async (difference: string): Promise<string[]> => {
    const upper = { 'scenario.yaml': difference, 'own.nix': '{ own = 1; }\n' };
    const base = write(t, SCENARIO, { upper });
    const { system } = await loadScenario(path.join(path.dirname(base), '../upper/scenario.yaml'));
    return system.nixModules.map(({ text }) => text.trim());
  };
  const head = 'imperm: 1\nextends: ../report/scenario.yaml\n';
  t.strictSame(await load(head), [MODULE.trim(), NO_NIX.trim()], 'relative to the file that names them');
  t.strictSame(await load(`${head}system: { nixModules: [own.nix] }\n`), ['{ own = 1; }']);
  t.strictSame(await load(`${head}system: { nixModules: null }\n`), []);
});

t.test('refused, at the place where it stands', async (t) => {
  const cases: [modules: string, problem: RegExp][] = [
    [
      '[none.nix]',
      /^report\/scenario.yaml:5:16: system.nixModules\[0\]: \S*report\/none.nix does not exist$/,
    ],
    ['[bus.nix, deeper.nix]', /:5:25: system.nixModules\[1\]: .*report\/deeper.nix is not a regular file$/],
    ['[empty.nix]', /:5:16: .*empty.nix is empty$/],
    ['[../secret.nix]', /:5:16: .*secret.nix lies outside the folders of the scenario/],
    ['[/etc/nixos/configuration.nix]', /:5:16: .*configuration.nix lies outside the folders of the scenario/],
    ['[link.nix]', /:5:16: .*link.nix is a link, and what it leads to lies outside/],
    ['[bus.sh]', /:5:16: system.nixModules\[0\] must be the path of a .nix file/],
    ['["my module.nix"]', /:5:16: .*letters, digits/],
    ['[.hidden.nix]', /:5:16: .*letters, digits/],
    ['[{ text: "{ }" }]', /:5:16: system.nixModules\[0\] must be a text, not a map/],
    ['bus.nix', /:5:15: system.nixModules must be a list, not "bus.nix"/],
    ['[bus.nix, bus.nix]', /:5:25: system.nixModules has "bus.nix" twice/],
  ];
  for (const [modules, problem] of cases) {
    const text = SCENARIO.replace('[bus.nix, ./deeper/more.nix]', modules);
    const file = write(t, text, { 'secret.nix': MODULE });
    const folder = path.dirname(file);
    await symlink('../secret.nix', path.join(folder, 'link.nix'));
    await symlink('deeper', path.join(folder, 'deeper.nix'));
    await writeFile(path.join(folder, 'empty.nix'), ' \n');
    t.match(await problemsIn(t, file), problem, modules);
  }
  const misspelt = SCENARIO.replace('nixModules', 'nixModule');
  t.match(
    await problemsIn(t, write(t, misspelt)),
    /unknown key "nixModule" in system. Did you mean "nixModules"/,
  );
});

t.test('modules that no guest of the scenario could evaluate are refused', async (t) => {
  const on = (guests: string): Promise<string> =>
    problemsIn(t, write(t, SCENARIO.replace('system:', `guests: [${guests}]\nsystem:`)));
  t.match(await on('debian'), /:6:3: system.nixModules needs the guest nixos, and guests has only debian/);
  for (const guests of ['nixos', 'debian, nixos']) t.equal(await on(guests), 'none', guests);
});

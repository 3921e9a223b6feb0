// The Nix modules of a scenario's own: carried as text, and files again where Nix reads them.
import path from 'node:path';

import t from 'tap';

import { HarnessError } from '../core/index.js';
import { NIX_DIR } from './evaluate.js';
import { makeNixDocument } from './index.js';
import { setUpNixTest } from './test-set-up.js';
import { loadAllScenarios } from './write.js';

const { folder, nix } = await setUpNixTest(t, 'Nix modules to be read');

const documents = (await loadAllScenarios()).map(makeNixDocument);

void t.test(
  'a document holds the modules of its scenario as text, and no word of them where there are none',
  (t) => {
    const carrying = documents.filter((each) => JSON.stringify(each).includes('nixModules'));
    t.strictSame(
      carrying.map(({ scenario, systems }) => [scenario, Object.keys(systems)]),
      [['machine-id-in-etc', ['machine-id-in-etc']]],
    );
    const [carried] = carrying[0]?.systems['machine-id-in-etc']?.nixModules ?? [];
    t.equal(carried?.name, 'dbus-broker.nix');
    t.match(carried?.text, /^# .*\n\{\n {2}environment\.etc\."machine-id"/);
    t.end();
  },
);

interface UserModule {
  /** Name of the file in Nix's store. */
  readonly file: string;
  /** What a module that is no function gives. */
  readonly options: unknown;
}

/** The modules of the scenario's own among those that make a system, evaluated by real Nix; any other is left out. */
async function readUserModules(nixModules: string): Promise<readonly UserModule[]> {
  const document = path.join(NIX_DIR, 'scenarios/machine-id-in-etc.json');
  const text = await nix('nix-instantiate', [
    // The files have to be somewhere to be read: no store that only counts.
    ...['--store', path.join(folder, 'store'), '--eval', '--read-write-mode', '--strict', '--json', '--expr'],
    `let
        said = (builtins.fromJSON (builtins.readFile ${document})).systems.machine-id-in-etc;
        modules = import ${NIX_DIR}/lib/make-modules.nix {
          system = said // (${nixModules});
          lane = { modules = [ ]; options = _: { }; persistence = "plain"; };
        };
        read = file:
          let module = import file; in
          {
            file = baseNameOf file;
            options = if builtins.isFunction module then module { lib = "lib"; } else module;
          };
      in
      map read (builtins.filter builtins.isString modules)`,
  ]);
  return JSON.parse(text) as UserModule[];
}

async function failureOf(nixModules: string): Promise<string> {
  const error: unknown = await readUserModules(nixModules).catch((thrown: unknown) => thrown);
  return error instanceof HarnessError ? (error.details ?? '') : 'no failure';
}

void t.test('Nix has each module as a file with its own name', async (t) => {
  t.match(await readUserModules('{ }'), [
    {
      file: /^[a-z0-9]{32}-dbus-broker\.nix$/,
      options: {
        environment: { etc: { 'machine-id': { source: '/persist/etc/machine-id' } } },
        services: { dbus: { implementation: 'broker' } },
      },
    },
  ]);
  const two = await readUserModules(
    '{ nixModules = [ { name = "b.nix"; text = "{ lib, ... }: { b = lib; }"; } { name = "a.nix"; text = "{ a = 1; }"; } ]; }',
  );
  t.strictSame(
    two.map(({ file, options }) => [file.replace(/^[^-]*-/, ''), options]),
    [
      ['b.nix', { b: 'lib' }],
      ['a.nix', { a: 1 }],
    ],
    'in their order, functions among them',
  );
  t.strictSame(await readUserModules('{ nixModules = [ ]; }'), []);
});

void t.test('what is wrong with a module is said with the name of its file', async (t) => {
  const withText = (text: string): Promise<string> =>
    failureOf(`{ nixModules = [ { name = "mine.nix"; text = ${JSON.stringify(text)}; } ]; }`);
  t.match(await withText('{\n  a = broker;\n}'), /undefined variable 'broker'[^]*-mine\.nix:2:7/);
  t.match(await withText('{ a = 1 }'), /syntax error[^]*-mine\.nix:1:9/);
  t.match(await withText('{ a = import ./beside.nix; }'), /\/nix\/store\/beside\.nix' does not exist/);
});

void t.test('a word about a module that the mapping does not know is refused', async (t) => {
  t.match(
    await failureOf('{ nixModules = [ { name = "mine.nix"; text = "{ }"; colour = "red"; } ]; }'),
    /a Nix module has colour, of which this mapping knows nothing/,
  );
});

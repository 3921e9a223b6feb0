// How systems are made by Nix: real Nix, and a flake that offers what nix/ offers.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import t from 'tap';

import { HarnessError, repositoryRoot } from '../core/index.js';
import { loadScenario } from '../scenario/index.js';
import { buildIso, buildSystems, isRefusedAsDeclared, nameSystem, readGuestName } from './build-systems.js';
import { copyClosure } from './copy-closure.js';
import { openHostNix } from './host-nix.js';
import { setUpNixTest } from './test-set-up.js';

const { toolbox, cacheDir, folder, budget } = await setUpNixTest(t, 'systems to be made');
const nix = await openHostNix({ toolbox, cacheDir, store: path.join(folder, 'store'), budget });
const scenario = await loadScenario(path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'));

const LANE =
  'laneNames = [ "main" "other" ]; expectedRefusals = { document, lane }: builtins.mapAttrs (_: _: [ ]) document.systems;';

/** A flake with this body, and the options to build with it. */
async function withFlake(
  name: string,
  lib: string,
  lane = LANE,
): Promise<Parameters<typeof buildSystems>[1]> {
  const flake = path.join(folder, name);
  await mkdir(flake);
  await writeFile(
    path.join(flake, 'flake.nix'),
    `{ outputs = _: { lib = { guest = "a stub"; ${lane} ${lib} }; }; }`,
  );
  const cache = path.join(folder, 'cache');
  return { nix, flake: `path:${flake}`, lane: 'main', cacheDir: cache, budget, onBuild: () => undefined };
}

const TOPLEVEL = `mkSystems = { document, lane }: builtins.mapAttrs (name: system: {
  config.system.build.toplevel = builtins.toFile "nixos-system" "\${lane} \${system.hostName}";
}) document.systems;`;

t.test('a system is made of the document, and a medium of the systems', async (t) => {
  const options = await withFlake(
    'good',
    `${TOPLEVEL} mkIso = contents: builtins.path { path = ./medium; name = "medium"; };`,
  );
  await mkdir(path.join(folder, 'good/medium/iso'), { recursive: true });
  await writeFile(path.join(folder, 'good/medium/iso/some.iso'), 'bytes');
  t.equal(await readGuestName(options.flake, nix, budget), 'a stub');
  const systems = await buildSystems([scenario, { ...scenario }], options);
  t.strictSame([...systems.keys()], [nameSystem(scenario)], 'each once');
  const toplevel = systems.get(nameSystem(scenario))?.made;
  if (typeof toplevel !== 'string') throw new Error(String(toplevel));
  t.match(toplevel, /^\/nix\/store\/\w{32}-nixos-system$/);
  t.equal(await readFile(nix.realPath(toplevel), 'utf8'), `main ${scenario.system.hostName}`);
  const iso = await buildIso({ ...options, contents: [toplevel] });
  t.equal(await readFile(iso, 'utf8'), 'bytes');
  t.match(iso, /\/iso\/some\.iso$/);
});

t.test('what NixOS declines is told apart from what goes wrong, in the words of Nix', async (t) => {
  const first = async (name: string, lib: string): Promise<unknown> =>
    [...(await buildSystems([scenario], await withFlake(name, lib))).values()][0]?.made;
  const refuse = "throw ''\\nFailed assertions:\\n- systemd stage 1 does not support it.''";
  const system = (what: string): string =>
    `mkSystems = { document, lane }: builtins.mapAttrs (name: _: { config.system.build.toplevel = ${what}; }) document.systems;`;
  const refused = await first('refused', system(refuse.replaceAll('\\n', '\n')));
  t.match(refused, { code: 'SYSTEM_REFUSED', details: /^- systemd stage 1 does not support it\./ });
  const broken = await first('broken', system('throw "no such option"'));
  t.ok(broken instanceof HarnessError);
  t.match(broken, { code: 'NIX_FAILED', details: /no such option/ });
});

t.test('a lane says what it has, and what NixOS has to decline there', async (t) => {
  const lane = (refusals: string): string =>
    `laneNames = [ "main" ]; expectedRefusals = { document, lane }: ${refusals};`;
  const declining = (words: string): string =>
    `mkSystems = { document, lane }: builtins.mapAttrs (name: _: { config.system.build.toplevel = throw ''\nFailed assertions:\n${words}''; }) document.systems;`;
  let number = 0;
  const build = async (lib: string, refusals: string): ReturnType<typeof buildSystems> => {
    number += 1;
    return buildSystems([scenario], await withFlake(`lane-${String(number)}`, lib, lane(refusals)));
  };
  const each = (list: string): string => `builtins.mapAttrs (_: _: [ ${list} ]) document.systems`;
  const isDeclared = async (words: string, list: string): Promise<boolean> => {
    const [system] = [...(await build(declining(words), each(list))).values()];
    if (system === undefined) throw new Error('no system');
    return isRefusedAsDeclared(system);
  };
  t.ok(await isDeclared('- This module cannot be used with it.\n', '"This module cannot"'));
  t.ok(await isDeclared('- one a\n- two b\n', '"two" "one"'));
  t.notOk(await isDeclared('- one a\n- two b\n', '"one"'), 'more than declared');
  t.notOk(await isDeclared('- one a\n', '"one" "two"'), 'less than declared');
  t.notOk(await isDeclared('- one a\n', ''), 'nothing declared');
  const [made] = [...(await build(TOPLEVEL, each('"one"'))).values()];
  t.notOk(isRefusedAsDeclared(made!), 'taken, although it has to be declined');
  t.equal((await build(TOPLEVEL, '{ }')).size, 0, 'not in this lane');
  await t.rejects(buildSystems([scenario], { ...(await withFlake('no-lane', TOPLEVEL)), lane: 'mian' }), {
    code: 'USAGE',
    message: 'There is no lane "mian"',
    hint: 'The lanes are: main, other.',
  });
});

t.test('a closure is copied through a stream, by Nix on both sides', async (t) => {
  const dependency = (
    await nix.run(['store', 'add-file', path.join(repositoryRoot, 'LICENSE')], budget)
  ).trim();
  const target = path.join(folder, 'target');
  const server = toolbox.command('nix-daemon', ['--stdio']);
  const { spawn } = await import('node:child_process');
  const { Duplex } = await import('node:stream');
  const copy = (path_: string): Promise<void> =>
    copyClosure([path_], {
      nix,
      socket: path.join(folder, 'nix.sock'),
      openServer: () => {
        const [program = '', ...args] = server.args;
        const env = {
          ...process.env,
          ...server.env,
          NIX_REMOTE: `local?root=${target}`,
          NIX_CONF_DIR: '/nonexistent',
        };
        const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
        return Promise.resolve(Duplex.from({ readable: child.stdout, writable: child.stdin }));
      },
      budget,
    });
  await copy(dependency);
  t.equal(
    await readFile(path.join(target, dependency), 'utf8'),
    await readFile(path.join(repositoryRoot, 'LICENSE'), 'utf8'),
  );
  await t.rejects(copy(`/nix/store/${'a'.repeat(32)}-nothing`), { code: 'NIX_FAILED' });
});

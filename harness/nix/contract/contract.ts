import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { HarnessError } from '../../core/index.js';
import { buildImages, imageNeeds, renderRegistration, type StorePath } from '../../guest/index.js';
import type { Scenario } from '../../scenario/index.js';
import { nameSystem } from '../build-systems.js';
import { describeSystem } from '../document.js';
import { NIX_DIR, nixEnvironment } from '../evaluate.js';
import { buildParts, joinInitrds, makeIso, makeNetboot, makeSquashfs } from './media.js';
import { addPath, type MakeContractOptions, type Place, RELEASE, SOURCES } from './place.js';
import { addClosure, addSystem } from './system.js';

/**
 * Everything that the driver for NixOS meets, with NixOS's interface and made of Debian packages: a flake with systems and
 * a medium, store paths with the shape of NixOS systems, an ISO image with the layout of NixOS's releases. It shows that
 * the driver works; nothing of it is NixOS, and no report says so.
 */
export interface Contract {
  /** Reference of a flake that takes the place of nix/. */
  readonly flake: string;
  /** A store that holds the systems and the medium. */
  readonly store: string;
  /** Reference of a host in a flake of somebody's own: the first scenario as its owner would have written it. */
  readonly host: string;
  /** Has the layout of NixOS's own minimal medium: no agent, none of the systems, a user who is logged in on the console. */
  readonly officialIso: string;
}

/** Makes a contract for the systems of scenarios. */
export async function makeContract(options: MakeContractOptions): Promise<Contract> {
  const { folder, toolbox, budget } = options;
  const store = path.join(folder, 'store');
  await mkdir(path.join(store, 'nix/store'), { recursive: true });
  const base = await buildImages(options);
  const parts = await buildParts(base, options);
  const paths = new Map<string, StorePath>();
  const toplevels: Record<string, string> = {};
  const closures: Record<string, string> = {};
  for (const scenario of options.scenarios) {
    const images = await buildImages({ ...options, needs: imageNeeds(scenario.system) });
    const toplevel = await addSystem(scenario, { images, paths, store, options });
    toplevels[nameSystem(scenario)] = toplevel;
    if (scenario.system.image !== undefined)
      closures[nameSystem(scenario)] = await addClosure(toplevel, { paths, store, options });
  }
  const own = new Map<string, StorePath>();
  const [first] = options.scenarios;
  if (first === undefined) throw new HarnessError('INTERNAL', 'Internal error: a contract without a system');
  const owned = {
    system: describeSystem(first),
    toplevel: toplevels[nameSystem(first)],
    // Not on the medium: it has to be copied.
    diskoScript: await addDiskoScript(first, { paths: own, store, options }),
  };
  const media = { base, initrd: await joinInitrds(base, parts), parts, options };
  const full = await makeSquashfs(path.join(folder, 'full.squashfs'), { paths, store, options });
  const serial = 'console=tty0 console=ttyS0,115200';
  await makeIso(path.join(folder, 'own/iso/imperm-installer.iso'), {
    ...media,
    label: 'imperm-installer',
    parameters: serial,
    squashfs: full,
  });
  await makeNetboot(path.join(folder, 'netboot'), { ...media, squashfs: full });
  const officialIso = path.join(folder, `nixos-minimal-${RELEASE}-x86_64-linux.iso`);
  await makeIso(officialIso, {
    ...media,
    label: `nixos-minimal-${RELEASE}-x86_64`,
    // What the driver has to bring, NixOS's media do not have.
    parameters: 'systemd.mask=imperm-agent.service',
    squashfs: await makeSquashfs(path.join(folder, 'empty.squashfs'), { paths: new Map(), store, options }),
  });
  const iso = await addPath(path.join(folder, 'own'), [], { paths, store, options });
  const netboot = await addPath(path.join(folder, 'netboot'), [], { paths, store, options });
  const input = renderRegistration([...paths.values(), ...own.values()]);
  await toolbox.run('nix-store', ['--store', store, '--load-db'], budget, {
    env: nixEnvironment(folder),
    input,
  });
  const flake = await writeFlake('flake', folder);
  await writeFile(
    path.join(flake, 'contract.json'),
    JSON.stringify({ toplevels, closures, iso: iso.path, netboot: netboot.path }),
  );
  const host = await writeFlake('host', folder);
  await writeFile(path.join(host, 'host.json'), JSON.stringify(owned));
  return { flake: `path:${flake}`, store, officialIso, host: `path:${host}#laptop` };
}

/** Copies a flake of ours, with what it reads of nix/. @returns Its folder. */
async function writeFlake(name: string, folder: string): Promise<string> {
  const target = path.join(folder, name);
  await cp(path.join(SOURCES, name), target, { recursive: true });
  for (const each of ['lib', 'modules'])
    await cp(path.join(NIX_DIR, each), path.join(target, 'nix', each), { recursive: true });
  return target;
}

/** A script that stands where disko's would be: it asks for a passphrase twice, and makes the disk of the scenario. */
async function addDiskoScript(scenario: Scenario, place: Place): Promise<string> {
  const ask = 'read -rs passphrase\nread -rs again\n[ "$passphrase" = "$again" ] || exit 1\n';
  const content = `#!/bin/bash\n${ask}${scenario.install?.text ?? 'exit 1'}`;
  const file = path.join(place.options.folder, 'scratch', 'disko');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content, { mode: 0o755 });
  return (await addPath(file, [], place)).path;
}

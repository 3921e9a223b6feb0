import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { runProgram } from '../../core/index.js';
import {
  type GuestImages,
  makeCpio,
  makeRollbackTree,
  makeStageOneTree,
  makeSystemTree,
  renderRegistration,
  stageOneImage,
  type StorePath,
  writeTree,
} from '../../guest/index.js';
import type { Scenario } from '../../scenario/index.js';
import { addPath, padded, type Place, RELEASE, SOURCES } from './place.js';

/** Adds a system with the shape of a NixOS toplevel. @returns Its store path. */
export async function addSystem(
  scenario: Scenario,
  { images, ...place }: Place & { readonly images: GuestImages },
): Promise<string> {
  const { budget, folder } = place.options;
  const { system } = scenario;
  const base = path.join(place.store, images.system.path);
  if (!place.paths.has(images.system.path)) {
    await mkdir(base);
    await runProgram('tar', ['-xf', images.systemTar, '-C', base, '--no-same-owner'], { budget });
    await runProgram('chmod', ['-R', 'u+rwX', base], { budget });
    place.paths.set(images.system.path, images.system);
  }
  const scratch = path.join(folder, 'scratch');
  const rollback = makeRollbackTree(system);
  const references = [images.system.path];
  if (rollback !== undefined) {
    await writeTree(path.join(scratch, rollback.name), rollback.tree);
    references.push((await addPath(path.join(scratch, rollback.name), [], place)).path);
  }
  const initrdFolder = path.join(scratch, `initrd-linux-${images.kernelRelease}`);
  await mkdir(initrdFolder, { recursive: true });
  const generic = await readFile(path.join(base, 'boot', stageOneImage(system)));
  const own = makeCpio(makeStageOneTree(system, references[1]));
  await writeFile(path.join(initrdFolder, 'initrd'), Buffer.concat([...padded(generic), own]));
  const initrd = (await addPath(initrdFolder, [], place)).path;
  const name = `nixos-system-${system.hostName}-${RELEASE}.contract`;
  const toplevel = path.join(scratch, name);
  await writeTree(toplevel, makeSystemTree(system, images.system.path));
  const kernel = `${images.system.path}/boot/vmlinuz`;
  await rm(path.join(toplevel, 'initrd'));
  await writeTree(
    toplevel,
    new Map([
      ['/initrd', { kind: 'link', target: `${initrd}/initrd` }],
      // Below it, lib/systemd as in NixOS's package.
      ['/systemd', { kind: 'link', target: `${images.system.path}/usr` }],
      [
        '/bin/switch-to-configuration',
        {
          kind: 'file',
          content: await readFile(path.join(SOURCES, 'switch-to-configuration'), 'utf8'),
          executable: true,
        },
      ],
      [
        '/boot.json',
        { kind: 'file', content: renderBootspec(system.stage1, { kernel, initrd: `${initrd}/initrd` }) },
      ],
    ]),
  );
  // A bootspec names the system that it lies in: NixOS's builder fills the path in, a path that we cannot know before. What
  // installs it does.
  return (await addPath(toplevel, [...references, initrd], place)).path;
}

/** Adds what `closureInfo` makes of a system. @returns Its store path. */
export async function addClosure(toplevel: string, place: Place): Promise<string> {
  const closure = new Map<string, StorePath>();
  const add = (storePath: string): void => {
    const found = place.paths.get(storePath);
    if (found === undefined || closure.has(storePath)) return;
    closure.set(storePath, found);
    found.references.forEach(add);
  };
  add(toplevel);
  const folder = path.join(place.options.folder, 'scratch', 'closure-info');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'store-paths'), [...closure.keys()].map((each) => `${each}\n`).join(''));
  await writeFile(path.join(folder, 'registration'), renderRegistration([...closure.values()]));
  return (await addPath(folder, [...closure.keys()], place)).path;
}

/** As bootspec v1 has it, with a mark where the path of the system itself belongs. */
function renderBootspec(
  stage1: string,
  { kernel, initrd }: { readonly kernel: string; readonly initrd: string },
): string {
  const parameters = ['console=ttyS0', ...(stage1 === 'systemd' ? ['root=fstab'] : []), 'loglevel=4'];
  const bootspec = {
    init: '@toplevel@/init',
    initrd,
    kernel,
    kernelParams: parameters,
    label: `Debian with the interface of NixOS ${RELEASE}`,
    system: 'x86_64-linux',
    toplevel: '@toplevel@',
  };
  return `${JSON.stringify({ 'org.nixos.bootspec.v1': bootspec, 'org.nixos.specialisation.v1': {} }, null, 2)}\n`;
}

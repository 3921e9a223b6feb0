// What is put on the disk is what real Nix expects: the same paths, hashes and database.
import { mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { loadScenario } from '../scenario/index.js';
import { buildImages, makePayload } from './index.js';

const LIMIT_MS = 600_000;

void t.test('real Nix verifies the store of an installed system, and notices a change', async (t) => {
  const { cacheDir, debianMirror } = readEnvironment();
  const budget = Budget.start('the store to be verified', LIMIT_MS, new AbortController().signal);
  const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
  const images = await buildImages({ toolbox, cacheDir, mirror: debianMirror, budget });
  const scenario = await loadScenario(
    path.join(repositoryRoot, 'scenarios/btrfs-luks-rollback/scenario.yaml'),
  );
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-store-'));
  t.teardown(async () => {
    await runProgram('chmod', ['-R', 'u+w', folder]);
    await rm(folder, { recursive: true, force: true });
  });
  const root = path.join(folder, 'root');
  const base = path.join(root, images.system.path);
  const payload = await makePayload(scenario, images, { toolbox, workDir: folder, budget, luksKey: '' });
  await mkdir(base, { recursive: true });
  await runProgram('tar', ['-xf', images.systemTar, '-C', base], { budget });
  const tar = path.join(folder, 'store.tar');
  await writeFile(tar, payload.storeTar);
  await runProgram('tar', ['-xf', tar, '-C', root], { budget });

  t.match(payload.system, /^\/nix\/store\/[0-9a-z]{32}-nixos-system-imperm-btrfs-luks-rollback$/);
  t.match(payload.bootEntry, `init=${payload.system}/init`);
  t.equal(await readlink(path.join(root, 'nix/var/nix/profiles/system')), 'system-1-link');
  t.equal(await readlink(path.join(root, 'nix/var/nix/profiles/system-1-link')), payload.system);

  const nix = (args: readonly string[]): Promise<string> =>
    toolbox.run('nix-store', ['--store', root, ...args], budget, {
      env: { NIX_CONF_DIR: '/nonexistent', NIX_CONFIG: 'build-users-group =', NIX_REMOTE: '', HOME: folder },
    });
  await nix(['--verify', '--check-contents']);
  t.match(await nix(['--query', '--requisites', payload.system]), images.system.path);

  const program = path.join(root, payload.system, 'etc/fstab');
  await runProgram('chmod', ['-R', 'u+w', path.join(root, payload.system)]);
  await writeFile(program, 'another\n');
  await t.rejects(nix(['--verify', '--check-contents']), { code: 'TOOL_FAILED' });
});

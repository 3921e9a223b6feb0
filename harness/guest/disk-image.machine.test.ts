// An image made by the real tools on this host, and read back from its bytes: nothing of it is mounted, nothing booted.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import t from 'tap';

import { Budget, readEnvironment, repositoryRoot, runProgram } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import { loadScenario } from '../scenario/index.js';
import {
  buildImages,
  debianImageContent,
  imageNeeds,
  listForeignOwners,
  makeDiskImage,
  makePayload,
} from './index.js';

const LIMIT_MS = 900_000;
const MIB = 1024 * 1024;

void t.test('partitions, boot files, subvolumes, registration and owners of an image', async (t) => {
  const { cacheDir, debianMirror } = readEnvironment();
  const budget = Budget.start('the image to be made', LIMIT_MS, new AbortController().signal);
  const toolbox = await openToolbox({ kind: 'private', cacheDir, mirror: debianMirror, budget });
  const scenario = await loadScenario(path.join(repositoryRoot, 'scenarios/btrfs-image/scenario.yaml'));
  const { image, ...rest } = scenario.system;
  if (image === undefined) throw new Error('the scenario has no image');
  const images = await buildImages({
    toolbox,
    cacheDir,
    mirror: debianMirror,
    needs: imageNeeds(scenario.system),
    budget,
  });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'imperm-image-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const payload = await makePayload(scenario, images, { toolbox, workDir: folder, budget, luksKey: '' });

  /** The owners of all inodes of the btrfs, and what its directories name. */
  const make = async (owner: typeof image.owner): Promise<{ owners: Map<string, number>; tree: string }> => {
    const file = path.join(folder, 'disk.qcow2');
    const options = { toolbox, workDir: folder, file, diskMiB: 12 * 1024, budget };
    const content = debianImageContent(images, payload);
    await makeDiskImage({ ...rest, image: { ...image, owner } }, content, options);
    const info = JSON.parse(await toolbox.run('qemu-img', ['info', '--output=json', file], budget)) as object;
    t.match(info, { 'virtual-size': 12 * 1024 * MIB });
    const raw = path.join(folder, 'disk.raw');
    await toolbox.run('qemu-img', ['convert', '-O', 'raw', file, raw], budget);
    const btrfs = path.join(folder, 'btrfs');
    const { sizeMiB } = image.btrfs;
    const words = [
      `skip=${String(1 + image.esp.sizeMiB)}`,
      `count=${String(sizeMiB)}`,
      'bs=1M',
      'conv=sparse',
    ];
    await runProgram('dd', [`if=${raw}`, `of=${btrfs}`, ...words], { budget });
    await runProgram('truncate', ['-s', String(sizeMiB * MIB), btrfs], { budget });
    await toolbox.run('btrfs', ['check', '--readonly', btrfs], budget);
    const tree = await toolbox.run('btrfs', ['inspect-internal', 'dump-tree', btrfs], budget);
    const owners = new Map<string, number>();
    // btrfs has folders of its own, too, which nobody sees: only the trees of files count.
    const files = tree.split(/^(?=\S[^\n]* tree key )/m).filter((each) => /^(fs|file) tree key /.test(each));
    t.equal(files.length, 1 + image.subvolumes.length, 'the top level and each subvolume');
    for (const [, uid, gid] of files.join('').matchAll(/ links [1-9]\d* uid (\d+) gid (\d+) rdev/g)) {
      const key = `${uid ?? ''}:${gid ?? ''}`;
      owners.set(key, (owners.get(key) ?? 0) + 1);
    }
    return { owners, tree };
  };

  const { owners, tree } = await make({ uid: 0, gid: 0 });
  const brought = await listForeignOwners(rest, images, budget);
  const exceptions = new Set(brought.map(({ uid, gid }) => `${String(uid)}:${String(gid)}`));
  const others = [...owners].filter(([key]) => key !== '0:0' && !exceptions.has(key));
  t.strictSame(others, [], 'everything is root:root, but what the base itself gives to groups');
  t.ok((owners.get('0:0') ?? 0) > 1000);
  for (const name of ['@nix', '@persistent', '@home', 'nix-path-registration'])
    t.match(tree, `name: ${name}\n`);
  t.notMatch(tree, 'name: db.sqlite', 'Nix knows nothing before the first boot');
  const raw = path.join(folder, 'disk.raw');
  t.match(await toolbox.run('sgdisk', ['--print', raw], budget), /ef00 {2}ESP\n.*8300 {2}nixos/i);
  const esp = await toolbox.run('mdir', ['-b', '-/', '-i', `${raw}@@1M`, '::'], budget);
  t.match(esp, '::/EFI/BOOT/BOOTX64.EFI');
  t.match(esp, `::/EFI/nixos/${payload.bootFiles.stageOne}`);
  t.match(esp, '::/loader/entries/nixos-generation-1.conf');

  const small = { toolbox, workDir: folder, file: path.join(folder, 'small.qcow2'), diskMiB: 640, budget };
  const tooLarge = makeDiskImage({ ...rest, image }, debianImageContent(images, payload), small);
  await t.rejects(tooLarge, {
    code: 'INSTALL_FAILED',
    message: /has 1154 MiB, and the disk of the scenario 640 MiB/,
  });

  const fault = await make({ uid: 1000, gid: 100 });
  t.strictSame([...fault.owners.keys()], ['1000:100'], 'the published fault');
});

import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, cachedFolder, digestOf, quote, repositoryRoot, runProgram } from '../../core/index.js';
import {
  buildImages,
  type GuestImages,
  hashStorePath,
  imageNeeds,
  makeCpio,
  makeRollbackTree,
  makeStageOneTree,
  makeSystemTree,
  readSources,
  renderRegistration,
  stageOneImage,
  type StorePath,
  writeTree,
} from '../../guest/index.js';
import { runMmdebstrap, type Toolbox } from '../../host/index.js';
import type { Scenario } from '../../scenario/index.js';
import { nameSystem } from '../build-systems.js';

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
  /** Has the layout of NixOS's own minimal medium: no agent, none of the systems, a user who is logged in on the console. */
  readonly officialIso: string;
}

export interface MakeContractOptions {
  readonly toolbox: Toolbox;
  readonly cacheDir: string;
  readonly mirror: string | undefined;
  /** Empty; filled with some gigabytes. */
  readonly folder: string;
  readonly scenarios: readonly Scenario[];
  readonly budget: Budget;
}

const SOURCES = path.join(repositoryRoot, 'harness/nix/contract');
const RELEASE = '26.05';
const EPOCH = '1700000000';
/** What the medium has beyond the installer, and what its boot loader is made with. */
const PACKAGES = [
  'cpio',
  'dosfstools',
  'grub-common',
  'grub-efi-amd64-bin',
  'mtools',
  'nix-bin',
  'sudo',
  'zstd',
];

/** Makes a contract for the systems of scenarios. */
export async function makeContract(options: MakeContractOptions): Promise<Contract> {
  const { folder, toolbox, budget } = options;
  const store = path.join(folder, 'store');
  await mkdir(path.join(store, 'nix/store'), { recursive: true });
  const base = await buildImages(options);
  const parts = await buildParts(base, options);
  const paths = new Map<string, StorePath>();
  const toplevels: Record<string, string> = {};
  for (const scenario of options.scenarios) {
    const images = await buildImages({ ...options, needs: imageNeeds(scenario.system) });
    toplevels[nameSystem(scenario)] = await addSystem(scenario, { images, paths, store, options });
  }
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
  const input = renderRegistration([...paths.values()]);
  await toolbox.run('nix-store', ['--store', store, '--load-db'], budget, {
    env: nixEnvironment(folder),
    input,
  });
  const flake = path.join(folder, 'flake');
  await cp(path.join(SOURCES, 'flake'), flake, { recursive: true });
  await writeFile(
    path.join(flake, 'contract.json'),
    JSON.stringify({ toplevels, iso: iso.path, netboot: netboot.path }),
  );
  return { flake: `path:${flake}`, store, officialIso };
}

interface Place {
  readonly paths: Map<string, StorePath>;
  readonly store: string;
  readonly options: MakeContractOptions;
}

/** Moves a folder into the store. @returns What it is called there. */
async function addPath(folder: string, references: readonly string[], place: Place): Promise<StorePath> {
  const { toolbox, budget } = place.options;
  const hashed = await hashStorePath(toolbox, folder, references, budget);
  await rm(path.join(place.store, hashed.path), { recursive: true, force: true });
  await runProgram('mv', [folder, path.join(place.store, hashed.path)], { budget });
  place.paths.set(hashed.path, hashed);
  return hashed;
}

/** Adds a system with the shape of a NixOS toplevel. @returns Its store path. */
async function addSystem(
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

/** The kernel looks for the next archive at a multiple of four. */
function padded(archive: Buffer): readonly Buffer[] {
  return [archive, Buffer.alloc((4 - (archive.length % 4)) % 4)];
}

/** What all media have in common. @returns A folder with `overlay.cpio.zst` and `efi.img`. */
async function buildParts(base: GuestImages, options: MakeContractOptions): Promise<string> {
  const { dir } = await cachedFolder({
    cacheDir: options.cacheDir,
    name: 'contract',
    key: digestOf('1', base.installer.key, EPOCH, ...PACKAGES, ...(await readSources(SOURCES))),
    budget: options.budget,
    build: async (part) => {
      const hooks = [
        'mkdir -p "$1/imperm/in"',
        `sync-in ${quote(path.join(SOURCES, 'overlay'))} /imperm/in`,
        `upload ${quote(path.join(SOURCES, 'build-medium.sh'))} /imperm/build-medium.sh`,
        `upload ${quote(path.join(path.dirname(base.installer.initrd), 'packages.txt'))} /imperm/base-packages.txt`,
        'chroot "$1" bash /imperm/build-medium.sh',
        `sync-out /imperm/out ${quote(part)}`,
      ];
      await runMmdebstrap({
        args: [
          ...['--quiet', '--variant=minbase', '--format=null', `--include=${PACKAGES.join(',')}`],
          ...['locale', 'man', 'doc', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
          ...hooks.map((hook) => `--customize-hook=${hook}`),
          ...['trixie', '/dev/null'],
        ],
        mirror: options.mirror,
        budget: options.budget,
        env: { SOURCE_DATE_EPOCH: EPOCH },
      });
    },
  });
  return dir;
}

/** The installer and what makes a medium of NixOS's shape of it, as one initrd. */
async function joinInitrds(base: GuestImages, parts: string): Promise<Buffer> {
  const installer = await readFile(base.installer.initrd);
  const overlay = await readFile(path.join(parts, 'overlay.cpio.zst'));
  return Buffer.concat([...padded(installer), ...padded(overlay)]);
}

/** The store of a medium: paths with all that Nix has to know of them. */
async function makeSquashfs(file: string, { paths, store, options }: Place): Promise<string> {
  const registration = path.join(options.folder, 'nix-path-registration');
  await writeFile(registration, renderRegistration([...paths.values()]));
  const sources = [...[...paths.keys()].map((each) => path.join(store, each)), registration];
  const words = ['-all-root', '-no-progress', '-quiet', '-keep-as-directory'];
  const packed = ['-comp', 'zstd', '-Xcompression-level', '1'];
  await options.toolbox.run('mksquashfs', [...sources, file, ...words, ...packed], options.budget);
  return file;
}

interface Medium {
  readonly base: GuestImages;
  readonly initrd: Buffer;
  readonly parts: string;
  readonly options: MakeContractOptions;
  readonly squashfs: string;
}

/** Makes kernel, initrd with the store in it, and command line, as nix/ offers them. */
async function makeNetboot(folder: string, { base, initrd, squashfs }: Medium): Promise<void> {
  await mkdir(folder);
  await copyFile(base.installer.kernel, path.join(folder, 'kernel'));
  const content = await readFile(squashfs);
  const store = makeCpio(new Map([['/nix-store.squashfs', { kind: 'file', content }]]));
  await writeFile(path.join(folder, 'initrd'), Buffer.concat([initrd, store]));
  await writeFile(path.join(folder, 'command-line'), `init=${toplevelOf('netboot')}/init loglevel=4\n`);
}

/** A store path as media have it on their command line; there is nothing at it. */
function toplevelOf(label: string): string {
  return `/nix/store/${digestOf(label).padEnd(32, '0')}-nixos-system-nixos-${RELEASE}`;
}

/** Makes an ISO image with the layout of NixOS's: GRUB, kernel and initrd below boot/nix/store, the store as a squashfs. */
async function makeIso(
  file: string,
  medium: Medium & { readonly label: string; readonly parameters: string },
): Promise<void> {
  const { base, label } = medium;
  const { folder, toolbox, budget } = medium.options;
  const tree = path.join(folder, 'medium');
  const hash = digestOf(label).padEnd(32, '0');
  const kernel = `/boot/nix/store/${hash}-linux-${base.kernelRelease}/bzImage`;
  const initrd = `/boot/nix/store/${hash}-initrd-linux-${base.kernelRelease}/initrd`;
  const put = async (target: string, content: string | Buffer): Promise<void> => {
    await mkdir(path.dirname(path.join(tree, target)), { recursive: true });
    await writeFile(path.join(tree, target), content);
  };
  const grub = `search --set=root --file /EFI/nixos-installer-image
set timeout=1
menuentry 'NixOS ${RELEASE} Installer' --class installer {
  # The firmware's console.
  terminal_output console
  linux ${kernel} \${isoboot} init=${toplevelOf(label)}/init root=LABEL=${label} boot.shell_on_fail nohibernate loglevel=4 ${medium.parameters}
  initrd ${initrd}
}
`;
  await put('EFI/nixos-installer-image', '');
  await put('EFI/BOOT/grub.cfg', grub);
  await put('version.txt', RELEASE);
  await put(kernel, await readFile(base.installer.kernel));
  await put(initrd, medium.initrd);
  await put('boot/efi.img', await readFile(path.join(medium.parts, 'efi.img')));
  await copyFile(medium.squashfs, path.join(tree, 'nix-store.squashfs'));
  const [image, config] = ['boot/efi.img', 'EFI/BOOT/grub.cfg'].map((name) => path.join(tree, name));
  await toolbox.run('mcopy', ['-i', image ?? '', config ?? '', '::EFI/BOOT/grub.cfg'], budget);
  await mkdir(path.dirname(file), { recursive: true });
  await toolbox.run(
    'xorriso',
    [
      ...['-as', 'mkisofs', '-quiet', '-iso-level', '3', '-volid', label, '-joliet', '-joliet-long'],
      ...['-rational-rock', '-eltorito-alt-boot', '-e', 'boot/efi.img', '-no-emul-boot'],
      ...['-output', file, tree],
    ],
    budget,
  );
  await rm(tree, { recursive: true, force: true });
}

function nixEnvironment(home: string): Record<string, string> {
  return {
    NIX_CONF_DIR: '/nonexistent',
    NIX_USER_CONF_FILES: '/dev/null',
    NIX_CONFIG: 'build-users-group =\nsubstituters =\nsandbox = false',
    NIX_REMOTE: '',
    HOME: home,
  };
}

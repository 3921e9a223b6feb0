import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, cachedFolder, digestOf, quote, repositoryRoot, runProgram } from '../core/index.js';
import { runMmdebstrap, type Toolbox } from '../host/index.js';
import type { ImageNeeds } from './image-needs.js';
import { hashStorePath, type StorePath } from './store.js';

const SUITE = 'trixie';

/** Everything that the installed system, the installer or the making of stage 1 needs. */
const PACKAGES = [
  'acl',
  'attr',
  'btrfs-progs',
  'busybox',
  'cpio',
  'cryptsetup-bin',
  'dbus',
  'dosfstools',
  'dracut-core',
  'e2fsprogs',
  'gdisk',
  'kmod',
  'less',
  'libpam-systemd',
  // Loaded by those who talk to a TPM, and by nobody else.
  'libtss2-esys-3.0.2-0t64',
  'libtss2-rc0t64',
  'libtss2-tcti-device0t64',
  // Only in the installer.
  'openssl',
  'openssh-server',
  'parted',
  // Only in the installer.
  'sbsigntool',
  'systemd-boot',
  'systemd-boot-efi',
  'systemd-cryptsetup',
  'systemd-sysv',
  'udev',
  'whois',
  'xz-utils',
  'zstd',
];

/** The small kernel knows the devices of virtual machines, and starts faster. */
const KERNELS = { virtual: 'linux-image-cloud-amd64', hardware: 'linux-image-amd64' } as const;

/** Never used inside a machine, and a third of the files. */
const LEFT_OUT = ['/usr/share/locale/*', '/usr/share/man/*', '/usr/share/doc/*', '/usr/share/info/*'];

/** Time stamp of every file in the images: the same packages give the same images. */
const EPOCH = '1700000000';

const SOURCES = path.join(repositoryRoot, 'harness/guest/debian');

/** The RAM-only system that installs, and looks into powered-off disks. */
export interface InstallerImages {
  /** Digest of the inputs. */
  readonly key: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** What was built from Debian packages, ready to be booted and installed. */
export interface GuestImages {
  /** Digest of the inputs: names everything that is derived from the images. */
  readonly key: string;
  readonly kernelRelease: string;
  /** Archive of what lies below `system.path`. */
  readonly systemTar: string;
  readonly system: StorePath;
  /** The same whatever packages the system has beyond the base of its kind of machine. */
  readonly installer: InstallerImages;
}

export interface BuildImagesOptions {
  /** Absent: the base. */
  readonly needs?: ImageNeeds;
  readonly toolbox: Toolbox;
  readonly cacheDir: string;
  readonly mirror: string | undefined;
  readonly budget: Budget;
  /** Told what is built. */
  readonly onBuild?: (needs: ImageNeeds) => void;
  readonly onWait?: () => void;
}

/**
 * The images from the cache, built when an input changed. Needs neither root nor loop devices: mmdebstrap makes a
 * throw-away tree, and everything is done inside it.
 *
 * @throws {HarnessError} TOOL_FAILED with the output of what failed.
 */
export async function buildImages(options: BuildImagesOptions): Promise<GuestImages> {
  const { needs = BASE } = options;
  const base = await buildSet({ ...BASE, hardware: needs.hardware }, options);
  const installer = {
    key: base.key,
    kernel: path.join(base.dir, 'vmlinuz'),
    initrd: path.join(base.dir, 'installer.cpio.zst'),
  };
  const isBase = needs.packages.length === 0 && !needs.signedModules;
  const { key, dir } = isBase ? base : await buildSet(needs, { ...options, base });
  return {
    key,
    kernelRelease: (await readFile(path.join(dir, 'kernel-release'), 'utf8')).trim(),
    systemTar: path.join(dir, 'system.tar'),
    system: JSON.parse(await readFile(path.join(dir, 'system.json'), 'utf8')) as StorePath,
    installer,
  };
}

const BASE: ImageNeeds = { packages: [], signedModules: false, hardware: false };

function machineOf({ hardware }: ImageNeeds): keyof typeof KERNELS {
  return hardware ? 'hardware' : 'virtual';
}

interface BuiltSet {
  readonly key: string;
  readonly dir: string;
}

type SetOptions = BuildImagesOptions & { readonly base?: BuiltSet };

async function buildSet(needs: ImageNeeds, options: SetOptions): Promise<BuiltSet> {
  const key = digestOf(
    '3',
    SUITE,
    EPOCH,
    ...PACKAGES,
    ...LEFT_OUT,
    ...needs.packages,
    ...(needs.signedModules ? ['signed modules'] : []),
    KERNELS[machineOf(needs)],
    ...(await readSources(SOURCES)),
  );
  const { dir } = await cachedFolder({
    cacheDir: options.cacheDir,
    name: 'debian',
    key,
    budget: options.budget,
    build: (part) => {
      options.onBuild?.(needs);
      return build(part, needs, options);
    },
    ...(options.onWait === undefined ? {} : { onWait: options.onWait }),
  });
  return { key, dir };
}

async function build(out: string, needs: ImageNeeds, options: SetOptions): Promise<void> {
  const { base } = options;
  // Without root, the tree belongs to other ids than the cache: mmdebstrap itself carries files in and out.
  const hooks = [
    'mkdir -p "$1/imperm/in"',
    `sync-in ${quote(path.join(SOURCES, 'overlay'))} /imperm/in`,
    `upload ${quote(path.join(SOURCES, 'build-images.sh'))} /imperm/build-images.sh`,
    // What is more than this belongs to the scenario, and the installer is there already.
    ...(base === undefined
      ? []
      : [`upload ${quote(path.join(base.dir, 'packages.txt'))} /imperm/base-packages.txt`]),
    `chroot "$1" bash /imperm/build-images.sh ${needs.signedModules ? 'signed' : 'plain'} ${machineOf(needs)}`,
    `sync-out /imperm/out ${quote(out)}`,
  ];
  await runMmdebstrap({
    args: [
      '--variant=minbase',
      '--format=null',
      `--include=${[...PACKAGES, KERNELS[machineOf(needs)], ...needs.packages].join(',')}`,
      ...LEFT_OUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      ...hooks.map((hook) => `--customize-hook=${hook}`),
      SUITE,
      '/dev/null',
    ],
    mirror: options.mirror,
    budget: options.budget,
    // INITRD=No: the kernel package would make an initrd that nobody uses.
    env: { INITRD: 'No', SOURCE_DATE_EPOCH: EPOCH },
  });
  // Real Nix computes the store path. Its archive form knows no owners and no modes but "executable", so the path
  // stays right although the archive keeps the real ones (setuid, 0600).
  const folder = path.join(out, 'debian-system');
  await mkdir(folder);
  await runProgram('tar', ['-xf', path.join(out, 'system.tar'), '-C', folder, '--no-same-owner'], {
    budget: options.budget,
  });
  await runProgram('chmod', ['-R', 'u+rwX', folder], { budget: options.budget });
  const system = await hashStorePath(options.toolbox, folder, [], options.budget);
  await writeFile(path.join(out, 'system.json'), JSON.stringify(system));
  await rm(folder, { recursive: true, force: true });
}

/** Names and contents of all files that decide what the images hold. */
export async function readSources(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => ({ file: path.join(entry.parentPath, entry.name), link: entry.isSymbolicLink() }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const contents = await Promise.all(
    files.map(async ({ file, link }) => [
      path.relative(folder, file),
      link ? await readlink(file) : await readFile(file, 'utf8'),
    ]),
  );
  return contents.flat();
}

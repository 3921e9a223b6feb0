import { access, constants, readFile, stat, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { type Budget, HarnessError, repositoryRoot, runProgram } from '../core/index.js';
import { readDistro } from './distro.js';
import type { DoctorCheck } from './doctor-check.js';
import { readAvailableMemory } from './memory.js';
import { findMissing, type HostNeed, hostNeeds } from './needs.js';
import { installCommand } from './packages.js';
import { checkUserNamespaces } from './user-namespaces.js';

const GIB = 1024 ** 3;
/** The images while they are built, and once they are there. */
const BUILD_SPACE_GIB = 6;
const RUN_SPACE_GIB = 3;
/** One machine of 2 GiB, its emulator, and the harness. */
const MEMORY_NEEDED_MIB = 3 * 1024;

export interface GenericCheckOptions {
  /** Where images are kept. */
  readonly cacheDir: string;
  /** Where the disks of running machines lie. */
  readonly workDir: string;
  /** Whether the images have been built: running them needs less space. Default false. */
  readonly imagesBuilt?: boolean;
  readonly budget: Budget;
  /** Default: whether we are root. */
  readonly isRoot?: boolean;
  /** Where /proc, /sys, /dev and /etc lie. Default `/`. */
  readonly root?: string;
  /** Default `runProgram`. */
  readonly run?: typeof runProgram;
}

/**
 * Looks at everything of the host that can be known without starting a machine. Looking never fails: what cannot
 * be found out is a check that says so.
 */
export async function runGenericChecks(options: GenericCheckOptions): Promise<DoctorCheck[]> {
  const isRoot = options.isRoot ?? process.getuid?.() === 0;
  const all = { root: '/', run: runProgram, imagesBuilt: false, ...options, isRoot };
  const spaceGiB = all.imagesBuilt ? RUN_SPACE_GIB : BUILD_SPACE_GIB;
  const checks: Promise<DoctorCheck | readonly DoctorCheck[]>[] = [
    checkNode(),
    checkNpmPackages(),
    checkPrograms(all),
    checkUserNamespaces(all),
    checkSpace('space-cache', 'Space for images', {
      folder: all.cacheDir,
      neededGiB: spaceGiB,
      variable: 'IMPERM_CACHE',
    }),
    checkSpace('space-work', 'Space for disks', {
      folder: all.workDir,
      neededGiB: RUN_SPACE_GIB,
      variable: 'IMPERM_WORK',
    }),
    checkMemory(all.root),
    checkKvmDevice(all.root),
    checkLibvirt(all),
  ];
  return (await Promise.all(checks)).flat();
}

async function checkNode(): Promise<DoctorCheck> {
  const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as {
    engines?: { node?: string };
  };
  // An older one would not have come this far.
  const found = `${process.versions.node} (${manifest.engines?.node ?? 'any'} needed), ${String(os.availableParallelism())} processors`;
  return { id: 'node', title: 'Node', status: 'ok', found };
}

async function checkNpmPackages(): Promise<DoctorCheck> {
  const check = { id: 'npm-packages', title: 'npm packages' };
  const file = path.join(repositoryRoot, 'node_modules/.package-lock.json');
  try {
    const { packages = {} } = JSON.parse(await readFile(file, 'utf8')) as {
      packages?: Record<string, unknown>;
    };
    return { ...check, status: 'ok', found: `${String(Object.keys(packages).length)} installed` };
  } catch {
    return { ...check, status: 'fail', found: 'not installed, or not to the end', cure: 'npm ci' };
  }
}

interface HostAccess {
  readonly isRoot: boolean;
  readonly root: string;
  readonly run: typeof runProgram;
  readonly budget: Budget;
}

/** What each program is for, so that its lack means something to a reader. */
const PURPOSE: Partial<Record<HostNeed, string>> = {
  mmdebstrap: 'unpacks the Debian packages of which tools and images are made',
  setpriv: 'ends machines together with imperm',
  newuidmap: 'unpacks Debian packages without root',
};

async function checkPrograms({ isRoot, root, run }: HostAccess): Promise<DoctorCheck[]> {
  const needs = hostNeeds(isRoot);
  const missing = await findMissing(needs, run);
  const distro = await readDistro(path.join(root, 'etc/os-release'));
  return needs.map((need) => {
    const purpose = PURPOSE[need] === undefined ? '' : `, which ${PURPOSE[need]}`;
    const check = { id: `program-${need}`, title: need };
    if (!missing.includes(need)) return { ...check, status: 'ok', found: 'installed' };
    // One command installs them all.
    const cure = need === missing.at(-1) ? { cure: installCommand(distro, missing, isRoot) } : {};
    return { ...check, status: 'fail', found: `missing${purpose}`, ...cure };
  });
}

interface SpaceOptions {
  readonly folder: string;
  readonly neededGiB: number;
  /** The environment variable that puts the folder elsewhere. */
  readonly variable: string;
}

async function checkSpace(id: string, title: string, options: SpaceOptions): Promise<DoctorCheck> {
  const { folder, neededGiB, variable } = options;
  const cure = `Free some space, or set ${variable} to a folder elsewhere.`;
  const existing = await findExisting(folder);
  try {
    const { bavail, bsize } = await statfs(existing);
    const freeGiB = (bavail * bsize) / GIB;
    const found = `${freeGiB.toFixed(1)} GiB free at ${folder} (${String(neededGiB)} GiB needed)`;
    if (freeGiB < neededGiB) return { id, title, status: 'fail', found, cure };
    await access(existing, constants.W_OK);
    return { id, title, status: 'ok', found };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return {
      id,
      title,
      status: 'fail',
      found: `${folder} cannot be written to (${code} at ${existing})`,
      cure,
    };
  }
}

/** The folder, or the nearest above it that is there. */
async function findExisting(folder: string): Promise<string> {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if ((await stat(at).catch(() => undefined)) !== undefined || at === path.dirname(at)) return at;
  }
}

async function checkMemory(root: string): Promise<DoctorCheck> {
  const check = { id: 'memory', title: 'Memory' };
  const { availableMiB, boundBy } = await readAvailableMemory(root);
  const bound = boundBy === 'cgroup' ? ' within the limit of the control group' : '';
  const found = `${String(availableMiB)} MiB available${bound} (${String(MEMORY_NEEDED_MIB)} MiB needed)`;
  if (availableMiB >= MEMORY_NEEDED_MIB) return { ...check, status: 'ok', found };
  const cure =
    boundBy === 'cgroup' ? 'Give this container or service more memory.' : 'End something that uses memory.';
  return { ...check, status: 'fail', found, cure };
}

/** Only facts: a device that opens is no proof that a guest runs. */
async function checkKvmDevice(root: string): Promise<DoctorCheck> {
  const check = { id: 'kvm-device', title: '/dev/kvm' };
  const file = path.join(root, 'dev/kvm');
  try {
    await access(file);
  } catch {
    return {
      ...check,
      status: 'warn',
      found: 'missing: machines will be emulated, about ten times slower',
      cure: 'Switch on virtualisation in the firmware (VT-x, AMD-V, SVM), or nested virtualisation for this VM.',
    };
  }
  try {
    await access(file, constants.R_OK | constants.W_OK);
    return { ...check, status: 'ok', found: 'there, and may be opened' };
  } catch {
    return {
      ...check,
      status: 'warn',
      found: 'there, but this user may not open it: machines will be emulated, about ten times slower',
      cure: 'sudo usermod -aG kvm "$USER"   (then log in again)',
    };
  }
}

async function checkLibvirt({ isRoot, root, run, budget }: HostAccess): Promise<DoctorCheck> {
  const check = { id: 'libvirt', title: 'libvirt' };
  try {
    await run('virsh', ['--version'], { budget });
  } catch {
    const distro = await readDistro(path.join(root, 'etc/os-release'));
    return {
      ...check,
      status: 'ok',
      found: 'not installed; only --target libvirt needs it',
      cure: installCommand(distro, ['libvirtd', 'virsh', 'qemu-system-x86_64'], isRoot),
    };
  }
  try {
    const { stdout } = await run('virsh', ['--connect', 'qemu:///system', 'version'], {
      budget: budget.part('libvirt', 5000),
    });
    const version = /^Using library: libvirt (\S+)/m.exec(stdout)?.[1] ?? '';
    return { ...check, status: 'ok', found: `${version}, its daemon answers`.replace(/^, /, '') };
  } catch (error) {
    const why =
      error instanceof HarnessError ? (error.details?.split('\n').at(-1) ?? error.message) : String(error);
    return {
      ...check,
      status: 'warn',
      found: `installed, but its daemon does not answer (${why.trim()}); only --target libvirt needs it`,
      cure: 'sudo systemctl start libvirtd   (without systemd: sudo virtlogd -d; sudo libvirtd -d)\nsudo usermod -aG libvirt "$USER"   (then log in again; --connect qemu:///session needs neither)',
    };
  }
}

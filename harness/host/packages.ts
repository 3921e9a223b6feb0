import { type Budget, HarnessError, runProgram } from '../core/index.js';
import type { Distro } from './distro.js';
import { findMissing, type HostNeed, packagesFor } from './needs.js';

/** Another apt (an automatic update, say) may hold the lock for a while. */
const APT_OPTIONS = ['-o', 'DPkg::Lock::Timeout=300', '-q'];

/**
 * The command that installs what is missing, ready to be pasted. Several lines where a distribution is unknown.
 *
 * @param isRoot Whether the command will be run by root, who needs no sudo. Default false.
 */
export function installCommand(distro: Distro, needs: readonly HostNeed[], isRoot = false): string {
  const sudo = isRoot ? '' : 'sudo ';
  const apt = `${sudo}apt-get install --no-install-recommends ${packagesFor(needs, 'apt').join(' ')}`;
  const dnf = `${sudo}dnf install ${packagesFor(needs, 'dnf').join(' ')}`;
  const pacman = archCommand(packagesFor(needs, 'pacman'), sudo);
  const nix = `nix shell ${packagesFor(needs, 'nix')
    .map((name) => `nixpkgs#${name}`)
    .join(' ')}`;
  switch (distro.family) {
    case 'debian':
    case 'ubuntu':
      return apt;
    case 'fedora':
      return dnf;
    case 'arch':
      return pacman;
    case 'nixos':
      return nix;
    case 'other':
      return [`Debian, Ubuntu: ${apt}`, `Fedora: ${dnf}`, `Arch: ${pacman}`, `Nix: ${nix}`].join('\n');
  }
}

/** makepkg refuses to be run by root, so what the user repository alone has is built without sudo. */
function archCommand(packages: readonly string[], sudo: string): string {
  const official = packages.filter((name) => !name.startsWith('aur:'));
  const built = packages.filter((name) => name.startsWith('aur:')).map((name) => name.slice('aur:'.length));
  return [
    ...(official.length > 0 ? [`${sudo}pacman -S --needed ${official.join(' ')}`] : []),
    ...built.map((name) => `git clone https://aur.archlinux.org/${name}.git && (cd ${name} && makepkg -si)`),
  ].join(' && ');
}

export interface EnsurePackagesOptions {
  readonly needs: readonly HostNeed[];
  readonly distro: Distro;
  readonly isRoot: boolean;
  /** Install without asking: `--yes`, or a CI server. */
  readonly assumeYes: boolean;
  /** Whether somebody can answer. */
  readonly interactive: boolean;
  /** Asks a question that is answered by yes or no. */
  readonly ask: (question: string) => Promise<boolean>;
  /** Told what is done. */
  readonly log: (line: string) => void;
  readonly budget: Budget;
  /** Default `runProgram`. */
  readonly run?: typeof runProgram;
}

/**
 * Installs the host packages that are missing, on Debian and Ubuntu after a yes. Does nothing when nothing is
 * missing.
 *
 * @returns The packages that were installed.
 * @throws {HarnessError} HOST_UNFIT with the command to type when we may not or cannot install here.
 * @throws {HarnessError} TIMEOUT or INTERRUPTED.
 */
export async function ensurePackages(options: EnsurePackagesOptions): Promise<string[]> {
  const run = options.run ?? runProgram;
  const missing = await findMissing(options.needs, run);
  if (missing.length === 0) return [];
  const packages = packagesFor(missing, 'apt');
  const command = installCommand(options.distro, missing, options.isRoot);
  const refuse = (why: string, details?: { details?: string; cause?: unknown }): HarnessError =>
    new HarnessError('HOST_UNFIT', `This machine lacks ${listWords(missing)}: ${why}`, {
      hint: `Install what is missing, then start again:\n${command}`,
      ...details,
    });

  if (options.distro.family !== 'debian' && options.distro.family !== 'ubuntu') {
    throw refuse(
      `imperm installs packages by itself on Debian and Ubuntu only, and this is ${options.distro.name}.`,
    );
  }
  if (!options.isRoot && (await findProgram('sudo', run)) === undefined) {
    throw refuse('only root can install packages, and there is no sudo. Run the command below as root.');
  }
  if (!options.assumeYes) {
    if (!options.interactive) throw refuse('nobody can be asked here. --yes installs it without asking.');
    if (!(await options.ask(`Install ${listWords(packages)} (${command})?`)))
      throw refuse('installing it was declined.');
  }

  const asRoot = async (args: readonly string[]): Promise<void> => {
    const words = ['env', 'DEBIAN_FRONTEND=noninteractive', ...args];
    const sudo = options.isRoot ? [] : ['sudo', ...(options.interactive ? [] : ['--non-interactive'])];
    const [file = '', ...rest] = [...sudo, ...words];
    // sudo may ask for a password.
    await run(file, rest, { budget: options.budget, terminal: !options.isRoot && options.interactive });
  };
  const update = async (): Promise<void> => {
    options.log('Updating the package lists (apt-get update)');
    await asRoot(['apt-get', ...APT_OPTIONS, 'update']);
  };
  const install = async (): Promise<void> => {
    options.log(`Installing ${listWords(packages)} (apt-get install)`);
    await asRoot(['apt-get', ...APT_OPTIONS, 'install', '--yes', '--no-install-recommends', ...packages]);
  };

  try {
    const areKnown = await areKnownToApt(packages, run);
    if (!areKnown) await update();
    try {
      await install();
    } catch (error) {
      // Lists that are too old name versions that the mirror no longer has.
      if (areKnown && error instanceof HarnessError && error.code === 'TOOL_FAILED') {
        await update();
        await install();
      } else throw error;
    }
  } catch (error) {
    if (!(error instanceof HarnessError) || error.code !== 'TOOL_FAILED') throw error;
    throw refuse('installing it failed.', { details: error.details ?? error.message, cause: error });
  }
  const still = await findMissing(missing, run);
  if (still.length > 0) throw refuse(`${listWords(packages)} did not bring ${listWords(still)}.`);
  return packages;
}

async function findProgram(name: string, run: typeof runProgram): Promise<string | undefined> {
  const { stdout } = await run('sh', ['-c', 'command -v "$1"', 'sh', name], { okExitCodes: [0, 1, 127] });
  return stdout.trim() === '' ? undefined : stdout.trim();
}

/** Whether apt knows where to get every package: not on a fresh machine, whose package lists are empty. */
async function areKnownToApt(packages: readonly string[], run: typeof runProgram): Promise<boolean> {
  const { stdout } = await run('apt-cache', ['policy', ...packages], { okExitCodes: [0, 100] });
  return packages.every((name) =>
    new RegExp(`^${name}:\\n.*\\n  Candidate: (?!\\(none\\))`, 'm').test(stdout),
  );
}

/** "a", "a and b", "a, b and c". */
function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, digestOf, type Environment, HarnessError, quote } from '../core/index.js';
import { INSTALLER_DIR, makeDiskImage } from '../guest/index.js';
import {
  buildIso,
  buildNetboot,
  buildSystems,
  copyClosure,
  type HostNix,
  isRefusedAsDeclared,
  nameSystem,
  nixosImageContent,
  openHostNix,
  openOfficialIso,
  ownFlake,
  readGuestName,
  STORE_SERVER,
} from '../nix/index.js';
import type { Scenario } from '../scenario/index.js';
import type { CommandResult } from '../target/index.js';
import { bringAgent } from './bring-agent.js';
import { EMULATED_KERNEL } from './budgets.js';
import type { PreparationContext } from './preparation.js';
import type { Guest, PreparedSystem } from './guest.js';
import { type Installer, type InstallerMedium, prepareInstaller } from './installer.js';

/** What the system is installed from: media of our own, or the ISO image of a release, by its path. */
export type MediumChoice = 'iso' | 'netboot' | { readonly officialIso: string };

export interface NixosOptions {
  readonly environment: Environment;
  readonly scenarios: readonly Scenario[];
  readonly medium: MediumChoice;
  /** Of the flake that makes systems and media. Default: nix/ of this checkout. */
  readonly systemsFlake?: string;
  /** Which NixOS, and which module keeps the state: a lane of that flake. Default `main`. */
  readonly lane?: string;
}

/** NixOS as it is released, with the module that most people use. */
const MAIN_LANE = 'main';
/** What an installation medium with a desktop's worth of tools needs. */
const MEDIUM_MEMORY_MIB = 3072;
/** Where `boot.initrd.secrets` of a system with a key file reads it when its boot loader is installed. */
const LUKS_KEY = '/mnt/nix/imperm/crypto_keyfile.bin';

/** Real NixOS, made by Nix on the host. */
export async function prepareNixosGuest(context: PreparationContext, options: NixosOptions): Promise<Guest> {
  const { host, phases, budget, note } = context;
  const { cacheDir, nixStore } = options.environment;
  const nix = await openHostNix({ toolbox: host.toolbox, cacheDir, store: nixStore, budget });
  const flake = options.systemsFlake ?? (await ownFlake());
  const { lane = MAIN_LANE } = options;
  const { name, systems } = await phases.run('systems', async () => {
    const guestName = await readGuestName(flake, nix, budget);
    note(`Systems are made by ${nix.version}${nix.store === 'private' ? ' of our own, in the cache' : ''}.`);
    const built = await buildSystems(options.scenarios, {
      nix,
      flake,
      lane,
      cacheDir,
      budget,
      onBuild: (system) => {
        note(`Building ${system}.`);
      },
    });
    return { name: guestName, systems: built };
  });
  const made = [...systems.values()].flatMap(({ made: toplevel, imageClosure }) =>
    toplevel instanceof HarnessError ? [] : [{ toplevel, imageClosure }],
  );
  // What comes as an image is not installed; a medium is there to look into it.
  const contents = made.flatMap(({ toplevel, imageClosure }) =>
    imageClosure === undefined ? [toplevel] : [],
  );
  const installer =
    made.length === 0
      ? undefined
      : await prepareMedium({ ...context, nix, flake, contents: [...new Set(contents)] }, options);
  return {
    name: lane === MAIN_LANE ? name : `${name}, lane ${lane}`,
    get installer() {
      if (installer === undefined)
        throw new HarnessError('INTERNAL', 'Internal error: there is nothing to install, and no medium');
      return installer;
    },
    whyNot: (scenario) =>
      systems.has(nameSystem(scenario)) ? undefined : `the lane ${lane} does not have this system`,
    knownBug: (scenario) => {
      const built = systems.get(nameSystem(scenario));
      if (built === undefined || built.refusals.length === 0) return undefined;
      // Declined by other words: a failure like any other.
      if (built.made instanceof HarnessError && !isRefusedAsDeclared(built)) return undefined;
      const reason = `NixOS has to decline it in the lane ${lane}: ${built.refusals.join('; ')}`;
      return {
        reason,
        broken: ['evaluates'],
        sometimes: [],
        place: { file: scenario.file, line: 1, col: 1 },
      };
    },
    prepareSystem: (scenario, { workDir, luksKey }) => {
      const made = systems.get(nameSystem(scenario))?.made;
      if (made === undefined)
        return Promise.reject(new HarnessError('INTERNAL', 'Internal error: this system was not built'));
      if (made instanceof HarnessError) return Promise.reject(made);
      const key = scenario.system.luks.some(({ unlock }) => unlock === 'key-file') ? luksKey : undefined;
      return Promise.resolve(makeSystem(made, { nix, workDir, ...(key === undefined ? {} : { key }) }));
    },
    images: {
      write: async (scenario, image) => {
        const { made: toplevel, imageClosure: closure } = systems.get(nameSystem(scenario)) ?? {};
        if (toplevel instanceof HarnessError) throw toplevel;
        if (toplevel === undefined || closure === undefined)
          throw new HarnessError('INTERNAL', 'Internal error: this image was not built');
        const content = await nixosImageContent({ toplevel, closure }, nix);
        await makeDiskImage(scenario.system, content, image);
      },
      // In Nix's store everything is root's.
      listForeignOwners: () => Promise.resolve([]),
    },
  };
}

/** Whoever installs from a medium by hand has these, too. */
const PRELOAD = `modprobe -a qemu_fw_cfg efivarfs
mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
`;

export interface MediumContext extends PreparationContext {
  readonly nix: HostNix;
  readonly flake: string;
  /** Store paths that a medium of our own holds. */
  readonly contents: readonly string[];
}

/** Makes the medium to install from, and boots it once. */
export async function prepareMedium(
  context: MediumContext,
  options: Pick<NixosOptions, 'medium' | 'environment'>,
): Promise<Installer> {
  const medium = await context.phases.run('medium', () => {
    context.note('Making the medium to install from.');
    return openMedium(context, options);
  });
  return prepareInstaller(medium, { ...context, cacheDir: options.environment.cacheDir });
}

async function openMedium(
  context: MediumContext,
  { medium, environment }: Pick<NixosOptions, 'medium' | 'environment'>,
): Promise<InstallerMedium> {
  const { budget, host } = context;
  const { cacheDir } = environment;
  const build = { ...context, cacheDir };
  const shared = { memoryMiB: MEDIUM_MEMORY_MIB, preload: PRELOAD };
  const consoles = 'console=tty0 console=ttyS0,115200';
  if (medium === 'iso') {
    const iso = await buildIso(build);
    return { ...shared, boot: { from: 'disk' }, cdrom: iso, key: await identify(iso) };
  }
  if (medium === 'netboot') {
    const folder = await buildNetboot(build);
    const [kernel = '', initrd = '', words = ''] = ['kernel', 'initrd', 'command-line'].map((name) =>
      path.join(folder, name),
    );
    const commandLine = `${(await readFile(words, 'utf8')).trim()} ${consoles}`;
    // The initrd twice, packed and in the file system that is made of it.
    const memoryMiB = MEDIUM_MEMORY_MIB + 2 * Math.ceil((await stat(initrd)).size / 2 ** 20);
    return {
      ...shared,
      boot: { from: 'kernel', kernel, initrd, commandLine },
      memoryMiB,
      key: await identify(initrd),
    };
  }
  const { kernel, initrd, commandLine } = await openOfficialIso(medium.officialIso, {
    toolbox: host.toolbox,
    cacheDir,
    budget,
  });
  // Only asked for where nobody is logged in on the console. The medium is no secret, and is gone with its machine.
  const password = 'imperm';
  const fast = host.accelerator.timeScale > 1 ? [EMULATED_KERNEL] : [];
  const words = [commandLine, consoles, ...fast, `live.nixos.passwd=${password}`];
  return {
    ...shared,
    boot: { from: 'kernel', kernel, initrd, commandLine: words.join(' ') },
    cdrom: medium.officialIso,
    key: await identify(medium.officialIso),
    bringAgent: (machine, keys, part) => bringAgent(machine, keys, { password, budget: part }),
  };
}

/** What tells a file from another without reading gigabytes of it. */
async function identify(file: string): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  return digestOf(file, String(size), String(mtimeMs));
}

/** What `nixos-install` puts on the disk. */
export function makeSystem(
  toplevel: string,
  options: { readonly nix: HostNix; readonly workDir: string; readonly key?: string },
): PreparedSystem {
  const { nix, workDir, key } = options;
  return {
    disks: [],
    install: async ({ machine, shell }, budget): Promise<CommandResult> => {
      await bringPath(toplevel, { machine, shell }, { nix, workDir, server: STORE_SERVER, budget });
      if (key !== undefined)
        await shell.run(`umask 077; mkdir -p "$(dirname ${LUKS_KEY})"; cat >${LUKS_KEY}`, budget, {
          input: key,
        });
      return machine.until(
        shell.execute(
          `cd ${INSTALLER_DIR}; nixos-install --root /mnt --system ${quote(toplevel)} --no-channel-copy --no-root-passwd 2>&1`,
          budget,
        ),
        budget,
      );
    },
  };
}

/** Copies a store path into the machine, where the medium's own store does not have it: `nixos-install` copies from there. */
export async function bringPath(
  storePath: string,
  { machine, shell }: Parameters<PreparedSystem['install']>[0],
  options: {
    readonly nix: HostNix;
    readonly workDir: string;
    /** What takes it in the machine. */
    readonly server: string;
    readonly budget: Budget;
  },
): Promise<void> {
  const { nix, workDir, server, budget } = options;
  const check = await shell.execute(`nix-store --check-validity ${quote(storePath)}`, budget);
  if (check.exitCode === 0) return;
  const copied = copyClosure([storePath], {
    nix,
    socket: path.join(workDir, 'nix.sock'),
    openServer: () => shell.stream(server, budget),
    budget,
  });
  await machine.until(copied, budget);
}

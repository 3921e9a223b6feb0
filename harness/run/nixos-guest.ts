import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { digestOf, type Environment, HarnessError, quote } from '../core/index.js';
import { INSTALLER_DIR } from '../guest/index.js';
import {
  buildIso,
  buildNetboot,
  buildSystems,
  copyClosure,
  type HostNix,
  nameSystem,
  openHostNix,
  openOfficialIso,
  ownFlake,
  readGuestName,
  STORE_SERVER,
} from '../nix/index.js';
import type { Scenario } from '../scenario/index.js';
import type { CommandResult, MachineShell } from '../target/index.js';
import { bringAgent } from './bring-agent.js';
import { EMULATED_KERNEL } from './budgets.js';
import type { PreparationContext } from './context.js';
import type { Guest, PreparedSystem } from './guest.js';
import { type InstallerMedium, prepareInstaller } from './installer.js';

/** What the system is installed from: media of our own, or the ISO image of a release, by its path. */
export type MediumChoice = 'iso' | 'netboot' | { readonly officialIso: string };

export interface NixosOptions {
  readonly environment: Environment;
  readonly scenarios: readonly Scenario[];
  readonly medium: MediumChoice;
  /** Of the flake that makes systems and media. Default: nix/ of this checkout. */
  readonly systemsFlake?: string;
}

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
  const { name, systems } = await phases.run('systems', async () => {
    const guestName = await readGuestName(flake, nix, budget);
    note(`Systems are made by ${nix.version}${nix.store === 'private' ? ' of our own, in the cache' : ''}.`);
    const built = await buildSystems(options.scenarios, {
      nix,
      flake,
      lane: 'main',
      cacheDir,
      budget,
      onBuild: (system) => {
        note(`Building ${system}.`);
      },
    });
    return { name: guestName, systems: built };
  });
  const contents = [...systems.values()].flatMap((each) => (each instanceof HarnessError ? [] : [each]));
  const medium = await phases.run('medium', () => {
    note('Making the medium to install from.');
    return openMedium({ ...context, nix, flake, contents: [...new Set(contents)] }, options);
  });
  const installer = await prepareInstaller(medium, { ...context, cacheDir });
  return {
    name,
    installer,
    prepareSystem: (scenario, { workDir, luksKey }) => {
      const built = systems.get(nameSystem(scenario));
      if (built === undefined)
        return Promise.reject(new HarnessError('INTERNAL', 'Internal error: this system was not built'));
      if (built instanceof HarnessError) return Promise.reject(built);
      const key = scenario.system.luks.some(({ unlock }) => unlock === 'key-file') ? luksKey : undefined;
      return Promise.resolve(makeSystem(built, { nix, workDir, ...(key === undefined ? {} : { key }) }));
    },
  };
}

/** Whoever installs from a medium by hand has these, too. */
const PRELOAD = `modprobe -a qemu_fw_cfg efivarfs
mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
`;

async function openMedium(
  context: PreparationContext & {
    readonly nix: HostNix;
    readonly flake: string;
    readonly contents: readonly string[];
  },
  { medium, environment }: NixosOptions,
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

function makeSystem(
  toplevel: string,
  options: { readonly nix: HostNix; readonly workDir: string; readonly key?: string },
): PreparedSystem {
  const { nix, workDir, key } = options;
  return {
    disks: [],
    install: async ({ machine, shell }, budget): Promise<CommandResult> => {
      if (!(await isThere(toplevel, shell, budget))) {
        await machine.until(
          copyClosure([toplevel], {
            nix,
            socket: path.join(workDir, 'nix.sock'),
            openServer: () => shell.stream(STORE_SERVER, budget),
            budget,
          }),
          budget,
        );
      }
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

/** The medium's own store has it, and `nixos-install` copies from there. */
async function isThere(
  toplevel: string,
  shell: MachineShell,
  budget: Parameters<MachineShell['execute']>[1],
): Promise<boolean> {
  return (await shell.execute(`nix-store --check-validity ${quote(toplevel)}`, budget)).exitCode === 0;
}

import { type Budget, quote } from '../core/index.js';
import {
  buildOwnHost,
  copyClosure,
  type HostNix,
  openHostNix,
  ownFlake,
  type OwnHost,
  readGuestName,
  STORE_SERVER,
} from '../nix/index.js';
import type { PreparationContext } from './context.js';
import type { Guest, PreparedSystem } from './guest.js';
import { isThere, makeSystem, type NixosOptions, prepareMedium } from './nixos-guest.js';

export type OwnHostOptions = Omit<NixosOptions, 'scenarios'> & { readonly host: OwnHost };

/** A host of somebody's own flake: it is installed whatever the scenario says, and the scenario says what it has to be. */
export async function prepareOwnHostGuest(
  context: PreparationContext,
  options: OwnHostOptions,
): Promise<Guest> {
  const { host: machineHost, phases, budget, note } = context;
  const { environment, host } = options;
  const { cacheDir, nixStore } = environment;
  const nix = await openHostNix({ toolbox: machineHost.toolbox, cacheDir, store: nixStore, budget });
  const flake = options.systemsFlake ?? (await ownFlake());
  const { name, built } = await phases.run('systems', async () => {
    const guestName = await readGuestName(flake, nix, budget);
    note(`Building ${host.name} of ${host.flake}.`);
    return {
      name: guestName,
      built: await buildOwnHost(host, { nix, systemsFlake: flake, cacheDir, budget }),
    };
  });
  const { toplevel, diskoScript } = built;
  const contents = diskoScript === undefined ? [toplevel] : [toplevel, diskoScript];
  const installer = await prepareMedium({ ...context, nix, flake, contents }, options);
  return {
    name,
    installer,
    prepareSystem: (scenario, { workDir }) => {
      const system = makeSystem(toplevel, { nix, workDir });
      return Promise.resolve(
        diskoScript === undefined
          ? system
          : { ...system, openInstall: (installerShell, part) => openDisko(installerShell, part) },
      );
      async function openDisko(
        { machine, shell }: Parameters<PreparedSystem['install']>[0],
        part: Budget,
      ): Promise<Readonly<Record<string, string>>> {
        if (diskoScript === undefined) return {};
        return { DISKO_SCRIPT: diskoScript };
      }
    },
  };
}

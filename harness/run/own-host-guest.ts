import {
  buildOwnHost,
  INSTALLER_STORE_SERVER,
  openHostNix,
  ownFlake,
  type OwnHost,
  readGuestName,
} from '../nix/index.js';
import type { PreparationContext } from './preparation.js';
import type { Guest } from './guest.js';
import { bringPath, makeSystem, type NixosOptions, prepareMedium } from './nixos-guest.js';

/** A host of somebody's own flake. It is installed as it is; the scenario only says what it has to be like. */
export async function prepareOwnHostGuest(
  context: PreparationContext,
  options: Omit<NixosOptions, 'scenarios'> & { readonly host: OwnHost },
): Promise<Guest> {
  const { phases, budget, note } = context;
  const { host } = options;
  const { cacheDir, nixStore } = options.environment;
  const nix = await openHostNix({ toolbox: context.host.toolbox, cacheDir, store: nixStore, budget });
  const flake = options.systemsFlake ?? (await ownFlake());
  const name = await phases.run('systems', () => readGuestName(flake, nix, budget));
  const { toplevel, diskoScript } = await phases.run('systems', () => {
    note(`Building ${host.name} of ${host.flake}.`);
    return buildOwnHost(host, { nix, systemsFlake: flake, cacheDir, budget });
  });
  const contents = [toplevel, ...(diskoScript === undefined ? [] : [diskoScript])];
  return {
    name,
    installer: await prepareMedium({ ...context, nix, flake, contents }, options),
    prepareSystem: (_scenario, { workDir }) => {
      const system = makeSystem(toplevel, { nix, workDir });
      if (diskoScript === undefined) return Promise.resolve(system);
      return Promise.resolve({
        ...system,
        bringTools: async (installer, part) => {
          await bringPath(diskoScript, installer, {
            nix,
            workDir,
            server: INSTALLER_STORE_SERVER,
            budget: part,
          });
          return { DISKO_SCRIPT: diskoScript };
        },
      });
    },
  };
}

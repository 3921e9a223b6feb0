import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, digestOf, HarnessError, repositoryRoot } from '../core/index.js';
import type { Scenario } from '../scenario/index.js';
import { collectSystems, describeSystem, type NixSystem } from './document.js';
import { build, buildSystem, evaluate, getFlake, openRoots, quoteNix } from './expression.js';
import type { HostNix } from './host-nix.js';

/** What became of a system in its lane. */
export interface BuiltSystem {
  /** `/nix/store/<hash>-nixos-system-…` in the host's store; or why Nix did not make it. */
  readonly made: string | HarnessError;
  /** Of a system that comes as a disk image: the store path of what `closureInfo` says of it. */
  readonly imageClosure?: string;
  /** How the assertions begin by which NixOS has to decline it there. Mostly none. */
  readonly refusals: readonly string[];
}

/** By what `nameSystem` says. Systems that are not in the lane are missing. */
export type BuiltSystems = ReadonlyMap<string, BuiltSystem>;

export interface BuildSystemsOptions {
  readonly nix: HostNix;
  /** Of the flake that makes systems and media: `nixosConfigurations`, as in nix/. */
  readonly flake: string;
  readonly lane: string;
  /** Keeps links to what was built, so that Nix does not collect it. */
  readonly cacheDir: string;
  readonly budget: Budget;
  /** Told before each system. */
  readonly onBuild: (name: string) => void;
}

/** The flake of this checkout. A checkout is read through git, so that nothing but the project is copied to the store. */
export async function ownFlake(): Promise<string> {
  const isCheckout = await stat(path.join(repositoryRoot, '.git')).then(
    () => true,
    () => false,
  );
  return `${isCheckout ? 'git+file' : 'path'}://${encodeURI(repositoryRoot)}?dir=nix`;
}

/** What the system of a scenario is called in the document of a run. */
export function nameSystem(scenario: Scenario): string {
  return `${scenario.name}-${digestOf(JSON.stringify(describeSystem(scenario))).slice(0, 8)}`;
}

/** What a flake's systems are, as reports name it: `nixos` for real ones. */
export function readGuestName(flake: string, nix: HostNix, budget: Budget): Promise<string> {
  return evaluate<string>(`${getFlake(flake)}.lib.guest`, nix, budget);
}

/**
 * Builds the systems of scenarios, each once.
 *
 * @returns The errors among them are SYSTEM_REFUSED when NixOS itself declines the configuration, NIX_FAILED for
 * everything else.
 * @throws {HarnessError} USAGE when there is no such lane.
 */
export async function buildSystems(
  scenarios: readonly Scenario[],
  options: BuildSystemsOptions,
): Promise<BuiltSystems> {
  const { nix, cacheDir, budget } = options;
  const systems: Record<string, NixSystem> = {};
  for (const scenario of scenarios) systems[nameSystem(scenario)] = describeSystem(scenario);
  const document = `${JSON.stringify(collectSystems(systems))}\n`;
  const file = path.join(await openRoots(cacheDir), `${digestOf(document)}.json`);
  await writeFile(file, document);
  const words = `{ document = builtins.fromJSON (builtins.readFile ${quoteNix(file)}); lane = ${quoteNix(options.lane)}; }`;
  const expression = `${getFlake(options.flake)}.lib.mkSystems ${words}`;
  const refusals = await readLane(words, options);
  const built = new Map<string, BuiltSystem>();
  for (const name of Object.keys(systems)) {
    const expected = refusals[name];
    if (expected === undefined) continue;
    options.onBuild(name);
    const make = (part: string, link: string): Promise<string> => {
      const attribute = `${quoteNix(name)}.config.system.build.${part}`;
      return buildSystem(nix, { name, expression, attribute, cacheDir, link, budget });
    };
    try {
      const made = await make('toplevel', name);
      const isImage = systems[name]?.image !== undefined;
      const closure = isImage ? { imageClosure: await make('imageClosure', `${name}-closure`) } : {};
      built.set(name, { made, ...closure, refusals: expected });
    } catch (error) {
      if (!(error instanceof HarnessError && OF_ONE_SYSTEM.has(error.code))) throw error;
      built.set(name, { made: error, refusals: expected });
    }
  }
  return built;
}

/** Errors that concern one system: the others are built all the same. */
const OF_ONE_SYSTEM: ReadonlySet<string> = new Set(['SYSTEM_REFUSED', 'NIX_FAILED']);

/** What is in a lane, and what NixOS has to decline there. */
async function readLane(
  words: string,
  { nix, flake, lane, budget }: BuildSystemsOptions,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const expression = `let flake = ${getFlake(flake)}; in if builtins.elem ${quoteNix(lane)} flake.lib.laneNames then { refusals = flake.lib.expectedRefusals ${words}; } else { lanes = flake.lib.laneNames; }`;
  const found = await evaluate<
    { readonly refusals: Readonly<Record<string, readonly string[]>> } | { readonly lanes: readonly string[] }
  >(expression, nix, budget);
  if ('refusals' in found) return found.refusals;
  throw new HarnessError('USAGE', `There is no lane "${lane}"`, {
    hint: `The lanes are: ${[...found.lanes].sort().join(', ')}.`,
  });
}

/**
 * Whether NixOS declines a system by exactly the assertions by which it has to.
 *
 * @param refusals How they begin.
 */
export function isRefusedAsDeclared({ made, refusals }: BuiltSystem): boolean {
  if (!(made instanceof HarnessError) || made.code !== 'SYSTEM_REFUSED') return false;
  const said = (made.details ?? '').split(/^- /m).filter((text) => text.trim() !== '');
  const isDeclared = (text: string): boolean => refusals.some((beginning) => text.startsWith(beginning));
  const isSaid = (beginning: string): boolean => said.some((text) => text.startsWith(beginning));
  return refusals.length > 0 && said.every(isDeclared) && refusals.every(isSaid);
}

export interface BuildMediumOptions extends Omit<BuildSystemsOptions, 'lane' | 'onBuild'> {
  /** Store paths that the medium holds, with all they need: installing them copies nothing from the host. */
  readonly contents: readonly string[];
}

/** Builds a medium that boots by UEFI from a CD. @returns The ISO image on the host. */
export async function buildIso(options: BuildMediumOptions): Promise<string> {
  const folder = path.join(await buildMedium('mkIso', options), 'iso');
  const name = (await readdir(folder)).find((each) => each.endsWith('.iso'));
  if (name === undefined)
    throw new HarnessError('NIX_FAILED', `Nix built a medium without an ISO image: ${folder}`);
  return path.join(folder, name);
}

/** Builds kernel, initrd and command line of a medium that needs no CD. @returns The folder on the host. */
export function buildNetboot(options: BuildMediumOptions): Promise<string> {
  return buildMedium('mkNetboot', options);
}

async function buildMedium(kind: 'mkIso' | 'mkNetboot', options: BuildMediumOptions): Promise<string> {
  const { nix, contents, cacheDir, budget } = options;
  const paths = contents.map((each) => `(builtins.storePath ${quoteNix(each)})`).join(' ');
  const expression = `${getFlake(options.flake)}.lib.${kind} [ ${paths} ]`;
  const link = `${kind}-${digestOf(expression)}`;
  return nix.realPath(await build(nix, { expression, cacheDir, link, budget }));
}

import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, digestOf, HarnessError, repositoryRoot } from '../core/index.js';
import type { Scenario } from '../scenario/index.js';
import { collectSystems, describeSystem, type NixSystem } from './document.js';
import type { HostNix } from './host-nix.js';

/** `/nix/store/<hash>-nixos-system-…` in the host's store, by what `nameSystem` says; or why Nix did not make it. */
export type BuiltSystems = ReadonlyMap<string, string | HarnessError>;

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
  return nix.run(['eval', '--impure', '--raw', '--expr', `${getFlake(flake)}.lib.guest`], budget);
}

/**
 * Builds the systems of scenarios, each once.
 *
 * @returns The errors among them are SYSTEM_REFUSED when NixOS itself declines the configuration, NIX_FAILED for
 * everything else.
 */
export async function buildSystems(
  scenarios: readonly Scenario[],
  options: BuildSystemsOptions,
): Promise<BuiltSystems> {
  const { nix, budget } = options;
  const systems: Record<string, NixSystem> = {};
  for (const scenario of scenarios) systems[nameSystem(scenario)] = describeSystem(scenario);
  const document = `${JSON.stringify(collectSystems(systems))}\n`;
  const folder = path.join(options.cacheDir, 'nix-roots');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${digestOf(document)}.json`);
  await writeFile(file, document);
  const expression = `${getFlake(options.flake)}.lib.mkSystems { document = builtins.fromJSON (builtins.readFile ${quoteNix(file)}); lane = ${quoteNix(options.lane)}; }`;
  const built = new Map<string, string | HarnessError>();
  for (const name of Object.keys(systems)) {
    options.onBuild(name);
    const made = await build(nix, {
      expression,
      attribute: `${quoteNix(name)}.config.system.build.toplevel`,
      link: path.join(folder, name),
      budget,
    }).catch((error: unknown) => {
      if (error instanceof HarnessError && error.code === 'NIX_FAILED') return refusalOf(name, error);
      throw error;
    });
    built.set(name, made);
  }
  return built;
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
  const { nix, contents, budget } = options;
  const folder = path.join(options.cacheDir, 'nix-roots');
  await mkdir(folder, { recursive: true });
  const paths = contents.map((each) => `(builtins.storePath ${quoteNix(each)})`).join(' ');
  const expression = `${getFlake(options.flake)}.lib.${kind} [ ${paths} ]`;
  return nix.realPath(
    await build(nix, { expression, link: path.join(folder, `${kind}-${digestOf(expression)}`), budget }),
  );
}

/** Builds an attribute of an expression, and keeps a link to it. @returns Its store path. */
export async function build(
  nix: HostNix,
  options: {
    readonly expression: string;
    readonly attribute?: string;
    readonly link: string;
    readonly budget: Budget;
  },
): Promise<string> {
  const { expression, attribute, link, budget } = options;
  const output = await nix.run(
    [
      ...['build', '--impure', '--print-out-paths', '--out-link', link, '--expr', expression],
      ...(attribute === undefined ? [] : [attribute]),
    ],
    budget,
  );
  return output.trim();
}

/** What NixOS says before the assertions that a configuration does not meet. Nix also shows the line that says it. */
const FAILED_ASSERTIONS = 'Failed assertions:\n';

/** The same error; as SYSTEM_REFUSED where NixOS itself declines the configuration. */
export function refusalOf(name: string, error: HarnessError): HarnessError {
  const details = error.details ?? '';
  const start = details.lastIndexOf(FAILED_ASSERTIONS);
  if (start < 0) return error;
  const lines = details.slice(start + FAILED_ASSERTIONS.length).split('\n');
  return new HarnessError('SYSTEM_REFUSED', `NixOS declines the configuration of ${name}`, {
    details: lines.map((line) => line.trim()).join('\n'),
    cause: error,
  });
}

/** A flake as an expression. */
export function getFlake(reference: string): string {
  return `(builtins.getFlake ${quoteNix(reference)})`;
}

/** As a string of the Nix language. */
export function quoteNix(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('${', '\\${')}"`;
}

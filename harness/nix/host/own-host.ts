import { distance } from 'fastest-levenshtein';

import { type Budget, digestOf, HarnessError } from '../../core/index.js';
import { buildSystem, evaluate, getFlake, quoteNix } from '../expression.js';
import type { HostNix } from '../host-nix.js';
import { type HostDescription, hostDescription } from './description.js';

/** `nixosConfigurations.<name>` of a flake. */
export interface OwnHost {
  /** A reference that means the same in every folder: `git+file:///home/me/config`. */
  readonly flake: string;
  readonly name: string;
}

interface HostOptions {
  readonly nix: HostNix;
  /** Of the flake that knows how to describe a host: nix/ of this checkout. */
  readonly systemsFlake: string;
  readonly budget: Budget;
}

/** Farther than this from a name nobody meant it. */
const TYPOS = 4;

/**
 * Finds a host in a flake.
 *
 * @param text `<flake>#<host>`; without a host the only one there is. `.#nixosConfigurations.<host>` means the same.
 * @throws {HarnessError} USAGE when the flake has no such host, or several and none is named.
 * @throws {HarnessError} NIX_FAILED with Nix's own words when there is no such flake, or it cannot be evaluated.
 */
export async function findOwnHost(
  text: string,
  { nix, budget }: Pick<HostOptions, 'nix' | 'budget'>,
): Promise<OwnHost> {
  const { reference, host } = splitReference(text);
  const flake = await resolve(reference, nix, budget);
  const names = await evaluate<readonly string[]>(
    `builtins.attrNames (${getFlake(flake)}.nixosConfigurations or { })`,
    nix,
    budget,
  );
  const [only, ...others] = names;
  if (only === undefined)
    throw new HarnessError('USAGE', `The flake ${reference} has no nixosConfigurations`);
  if (host !== undefined && names.includes(host)) return { flake, name: host };
  if (host === undefined && others.length === 0) return { flake, name: only };
  const known = `It has: ${names.join(', ')}.`;
  if (host === undefined)
    throw new HarnessError('USAGE', `The flake ${reference} has several hosts; say which one`, {
      hint: `${known} For example: --flake ${reference}#${only}`,
    });
  const [closest = only] = [...names].sort((a, b) => distance(a, host) - distance(b, host));
  throw new HarnessError('USAGE', `The flake ${reference} has no host "${host}"`, {
    hint: distance(closest, host) <= TYPOS ? `Did you mean ${closest}? ${known}` : known,
  });
}

function splitReference(text: string): { readonly reference: string; readonly host?: string } {
  const at = text.indexOf('#');
  if (at < 0) return { reference: text };
  const host = text
    .slice(at + 1)
    .replace(/^nixosConfigurations\./, '')
    .replace(/^"(.*)"$/, '$1');
  return { reference: text.slice(0, at) || '.', ...(host === '' ? {} : { host }) };
}

interface Metadata {
  /** Names the very content. */
  readonly url: string;
  readonly resolvedUrl: string;
  /** There are changes that are not committed. */
  readonly dirtyRevision?: string;
}

/** A reference that does not depend on the folder, and as far as it can be had, on the time. */
async function resolve(reference: string, nix: HostNix, budget: Budget): Promise<string> {
  const words = ['flake', 'metadata', '--json', '--no-write-lock-file', reference];
  const { url, resolvedUrl, dirtyRevision } = JSON.parse(await nix.run(words, budget)) as Metadata;
  return dirtyRevision === undefined ? url : resolvedUrl;
}

/**
 * Evaluates what imperm has to know of a host.
 *
 * @throws {HarnessError} NIX_FAILED with Nix's own words when the configuration cannot be evaluated.
 */
export async function describeOwnHost(
  host: OwnHost,
  { nix, systemsFlake, budget }: HostOptions,
): Promise<HostDescription> {
  const found = hostDescription.safeParse(
    await evaluate(`(${describe(host, systemsFlake)}).description`, nix, budget),
  );
  if (found.success) return found.data;
  throw new HarnessError('INTERNAL', `Internal error: the description of ${host.name} is not understood`, {
    details: found.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('\n'),
  });
}

/** A host as it runs in the virtual machine, in the host's store. */
export interface BuiltHost {
  readonly toplevel: string;
  /** Wipes, makes and mounts the disks. Absent: the host does not use disko. */
  readonly diskoScript?: string;
}

/**
 * Builds a host as it runs in the virtual machine.
 *
 * @param options.cacheDir Keeps links to what was built, so that Nix does not collect it.
 * @throws {HarnessError} SYSTEM_REFUSED when NixOS itself declines the configuration; NIX_FAILED.
 */
export async function buildOwnHost(
  host: OwnHost,
  options: HostOptions & { readonly cacheDir: string },
): Promise<BuiltHost> {
  const { nix, systemsFlake, cacheDir, budget } = options;
  const expression = `(${describe(host, systemsFlake)}).vm`;
  const make = (attribute: string): Promise<string> =>
    buildSystem(nix, {
      name: host.name,
      expression,
      attribute,
      cacheDir,
      link: `own-${digestOf(host.flake, host.name, attribute)}`,
      budget,
    });
  const toplevel = await make('toplevel');
  const hasDisko = await evaluate<boolean>(`(${expression}).diskoScript != null`, nix, budget);
  return hasDisko ? { toplevel, diskoScript: await make('diskoScript') } : { toplevel };
}

function describe({ flake, name }: OwnHost, systemsFlake: string): string {
  return `${getFlake(systemsFlake)}.lib.describeHost { host = ${getFlake(flake)}.nixosConfigurations.${quoteNix(name)}; }`;
}

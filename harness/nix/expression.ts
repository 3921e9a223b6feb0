import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { type Budget, HarnessError } from '../core/index.js';
import type { HostNix } from './host-nix.js';

/** A flake as an expression. */
export function getFlake(reference: string): string {
  return `(builtins.getFlake ${quoteNix(reference)})`;
}

/** As a string of the Nix language. */
export function quoteNix(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('${', '\\${')}"`;
}

/** Evaluates an expression to JSON. */
export async function evaluate<T>(expression: string, nix: HostNix, budget: Budget): Promise<T> {
  return JSON.parse(await nix.run(['eval', '--json', '--impure', '--expr', expression], budget)) as T;
}

/** The folder with links to what was built: Nix does not collect it. */
export async function openRoots(cacheDir: string): Promise<string> {
  const folder = path.join(cacheDir, 'nix-roots');
  await mkdir(folder, { recursive: true });
  return folder;
}

export interface BuildOptions {
  readonly expression: string;
  /** Of the expression; absent: the expression itself. */
  readonly attribute?: string;
  readonly cacheDir: string;
  /** Name of the link that keeps what is built. */
  readonly link: string;
  readonly budget: Budget;
}

/** Builds an attribute of an expression, and keeps a link to it. @returns Its store path. */
export async function build(nix: HostNix, options: BuildOptions): Promise<string> {
  const { expression, attribute, budget } = options;
  const link = path.join(await openRoots(options.cacheDir), options.link);
  const output = await nix.run(
    [
      ...['build', '--impure', '--print-out-paths', '--out-link', link, '--expr', expression],
      ...(attribute === undefined ? [] : [attribute]),
    ],
    budget,
  );
  return output.trim();
}

/**
 * Builds a part of a NixOS system.
 *
 * @param options.name What the system is called.
 * @throws {HarnessError} SYSTEM_REFUSED when NixOS itself declines the configuration; NIX_FAILED.
 */
export async function buildSystem(
  nix: HostNix,
  { name, ...options }: BuildOptions & { readonly name: string },
): Promise<string> {
  return build(nix, options).catch((error: unknown) => {
    throw error instanceof HarnessError && error.code === 'NIX_FAILED' ? refusalOf(name, error) : error;
  });
}

/** What NixOS says before the assertions that a configuration does not meet. Nix also shows the line that says it. */
const FAILED_ASSERTIONS = 'Failed assertions:\n';

/** The same error; as SYSTEM_REFUSED where NixOS itself declines the configuration. */
function refusalOf(name: string, error: HarnessError): HarnessError {
  const details = (error.cause instanceof HarnessError ? error.cause : error).details ?? '';
  const start = details.lastIndexOf(FAILED_ASSERTIONS);
  if (start < 0) return error;
  const lines = details.slice(start + FAILED_ASSERTIONS.length).split('\n');
  return new HarnessError('SYSTEM_REFUSED', `NixOS declines the configuration of ${name}`, {
    details: lines.map((line) => line.trim()).join('\n'),
    cause: error,
  });
}

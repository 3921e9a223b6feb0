import path from 'node:path';

import { repositoryRoot } from '../core/index.js';

/** The folder of the flake. */
export const NIX_DIR = path.join(repositoryRoot, 'nix');

/** What nix/checks/mapping.nix gives for a system. */
export interface MappedSystem {
  /** NixOS options. */
  readonly options: unknown;
  /** Options of each module that can keep what the system persists. */
  readonly persistence: unknown;
  /** What NixOS writes for stage 1. */
  readonly rendered: {
    /** Lines, in no order. */
    readonly fstab: readonly string[];
    readonly initrdFstab: readonly string[];
    readonly crypttab: string;
    readonly services: Readonly<
      Record<string, { readonly program: string; readonly script: string; readonly unit: string }>
    >;
    readonly hooks: Readonly<
      Record<string, { readonly _type: 'order'; readonly priority: number; readonly content: string }>
    >;
  };
}

/** By scenario, then by the system's name. */
export type Mapping = Readonly<Record<string, Readonly<Record<string, MappedSystem>>>>;

/** Runs a program of Nix. @returns Its standard output. */
export type RunNix = (program: string, args: readonly string[]) => Promise<string>;

/** Settings for Nix with which it asks no daemon, no user's settings and no network. */
export function nixEnvironment(home: string): Record<string, string> {
  return {
    NIX_CONF_DIR: '/nonexistent',
    NIX_USER_CONF_FILES: '/dev/null',
    NIX_CONFIG: 'build-users-group =\nsubstituters =\nexperimental-features = nix-command flakes',
    NIX_REMOTE: '',
    HOME: home,
  };
}

/** Evaluates the mapping of every scenario, strictly, without nixpkgs and without a store. */
export async function evaluateMapping(run: RunNix): Promise<Mapping> {
  const text = await run('nix-instantiate', [
    ...['--store', 'dummy://', '--eval', '--strict', '--json'],
    path.join(NIX_DIR, 'checks/mapping.nix'),
  ]);
  return JSON.parse(text) as Mapping;
}

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Budget, type Environment, HarnessError } from '../core/index.js';
import { openToolbox } from '../host/index.js';
import {
  describeOwnHost,
  findOwnHost,
  type HostScenario,
  openHostNix,
  ownFlake,
  type OwnHost,
  renderHostScenario,
} from '../nix/index.js';
import type { HostOptions } from './options.js';

/** A first evaluation fetches every input of the flake, and ours. */
const LIMIT_MS = 1_800_000;

export interface OwnHostOptions {
  /** `.#laptop` */
  readonly flake?: string;
  /** A script that fills the disk in the place of disko. */
  readonly install?: string;
}

/** A host that was asked for, before a run has a folder. */
export interface AskedHost {
  readonly host: OwnHost;
  /** What it has to be like, when no file says it. */
  readonly scenario?: HostScenario;
}

/**
 * Checks what stands beside `--flake` on the command line.
 *
 * @param names Scenarios that were named.
 * @throws {HarnessError} USAGE when they do not go together.
 */
export function checkOwnHostOptions(
  names: readonly string[],
  { flake, install, all }: OwnHostOptions & { readonly all?: boolean },
): void {
  if (flake === undefined) {
    if (install !== undefined) throw new HarnessError('USAGE', '--install is for --flake');
    return;
  }
  const [name, ...others] = names;
  if (all === true || others.length > 0 || (name !== undefined && !/\.ya?ml$/.test(name)))
    throw new HarnessError('USAGE', '--flake tests a host of that flake, and no other scenario', {
      hint: 'Beside it there can be one file: a scenario that was made of this host, edited.',
    });
  if (name !== undefined && install !== undefined)
    throw new HarnessError('USAGE', `--install is for a scenario that is still to be made; ${name} has one`);
}

/**
 * Evaluates the host that `--flake` asks for.
 *
 * @param options.isScenarioGiven A file says what it has to be like.
 * @throws {HarnessError} USAGE, NIX_FAILED: see `findOwnHost`, `describeOwnHost` and `renderHostScenario`.
 */
export async function askForHost(
  options: HostOptions &
    OwnHostOptions & {
      readonly flake: string;
      readonly systemsFlake?: string;
      readonly isScenarioGiven: boolean;
    },
  { environment, signal }: { readonly environment: Environment; readonly signal: AbortSignal },
): Promise<AskedHost> {
  const { flake: reference, install } = options;
  const budget = Budget.start('the flake to be evaluated', LIMIT_MS, signal);
  const own = install === undefined ? undefined : { file: install, text: await readInstall(install) };
  const { cacheDir, nixStore } = environment;
  const toolbox = await openToolbox({
    kind: options.tools,
    suite: environment.toolsSuite,
    cacheDir,
    mirror: environment.debianMirror,
    budget,
  });
  const nix = await openHostNix({ toolbox, cacheDir, store: nixStore, budget });
  process.stderr.write(`imperm: evaluating ${reference} by ${nix.version}\n`);
  const host = await findOwnHost(reference, { nix, budget });
  if (options.isScenarioGiven) return { host };
  const systemsFlake = options.systemsFlake ?? (await ownFlake());
  const description = await describeOwnHost(host, { nix, systemsFlake, budget });
  return {
    host,
    scenario: renderHostScenario(description, {
      reference: reference.includes('#') ? reference : `${reference}#${host.name}`,
      name: host.name,
      ...(own === undefined ? {} : { install: own }),
    }),
  };
}

async function readInstall(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new HarnessError('USAGE', `Cannot read the install script ${file}: ${code}`, { cause: error });
  }
}

/** Writes the scenario into a run's folder. @returns Its file. */
export async function writeHostScenario({ name, text }: HostScenario, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(file, text);
  return file;
}
